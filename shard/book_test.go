package shard

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestCouncilDecides(t *testing.T) {
	old := []View{{1, 0, 1, true}, {4, 1, 2, false}}
	cases := []struct {
		name string
		p    Proposal
		want View
	}{
		{"leader alone", Proposal{0, 1, View{2, 0, 1, false}}, View{2, 0, 1, false}},
		{"backup takes over", Proposal{0, 1, View{2, 1, 0, false}}, View{2, 1, 0, false}},
		{"swap", Proposal{0, 1, View{2, 1, 0, true}}, View{2, 1, 0, true}},
		{"late", Proposal{0, 0, View{1, 0, 1, false}}, old[0]},
		{"early", Proposal{0, 2, View{3, 0, 1, false}}, old[0]},
		{"epoch skipped", Proposal{0, 1, View{3, 0, 1, false}}, old[0]},
		{"another node", Proposal{0, 1, View{2, 0, 2, true}}, old[0]},
		{"one node twice", Proposal{0, 1, View{2, 0, 0, true}}, old[0]},
		{"a replica out of sync may not lead", Proposal{1, 4, View{5, 2, 1, false}}, old[1]},
		{"in sync again", Proposal{1, 4, View{5, 1, 2, true}}, View{5, 1, 2, true}},
	}
	for _, c := range cases {
		kept := slices.Clone(old)
		got := Decide(old, []Proposal{{-1, 1, View{}}, {2, 1, View{}}, c.p})
		if got[c.p.Shard] != c.want || !slices.Equal(old, kept) {
			t.Errorf("%s: %v, expected %v", c.name, got[c.p.Shard], c.want)
		}
	}
	both := Decide(old, []Proposal{{0, 1, View{2, 0, 1, false}}, {0, 1, View{2, 1, 0, false}},
		{1, 4, View{5, 1, 2, false}}})
	if both[0] != (View{2, 0, 1, false}) || both[1] != (View{5, 1, 2, false}) {
		t.Errorf("each proposal decides by itself and the first wins: %v", both)
	}
}

func someBook() Book {
	b := Book{Index: 7, Version: BirthVersion, Incarnation: Incarnation([]uint64{1, 2, 3}), Views: make([]View, 6),
		Members: []uint64{1<<63 | 1, 2, 3}, Starts: []Start{{5, 1 << 60}, {}, {1, 2}}, Speaks: []uint64{3, 0, 4},
		Gone: []uint64{9, 8}}
	b.Views[5] = View{1 << 60, 2, 1, true}
	return b
}

func TestCouncilRecordsRoundTrip(t *testing.T) {
	l := Layout{3, 6}
	book := someBook()
	whole := packNumbers(bookNumbers(book))
	if got, err := readBook(whole, l); err != nil || fmt.Sprint(got) != fmt.Sprint(book) {
		t.Errorf("%v %v", got, err)
	}
	if _, err := readBook(whole, Layout{5, 6}); !errors.Is(err, ErrBook) || errors.Is(err, ErrVersion) {
		t.Errorf("a book of another layout: %v", err)
	}
	later := bookNumbers(book)
	later[0]++
	if _, err := readBook(packNumbers(later), l); !errors.Is(err, ErrVersion) {
		t.Errorf("a book of a later format: %v", err)
	}
	proposals := []Proposal{{3, 4, View{5, 1, 2, true}}, {0, 1, View{2, 0, 1, false}}}
	if got, err := proposalsOf(proposalNumbers(proposals)); err != nil || !slices.Equal(got, proposals) {
		t.Errorf("%v %v", got, err)
	}
	chance := rand.New(rand.NewPCG(1, 1))
	for range 20000 { // garbled bytes are an error or other numbers, never a panic
		data := slices.Clone(whole[:1+chance.IntN(len(whole))])
		data[chance.IntN(len(data))] = byte(chance.Uint32())
		_, _ = readBook(data, l)
		_, _ = follow(EntryRules, book, data)
	}
	if id := MemberID(4, [16]byte{1, 2, 3, 4, 5, 6, 7}); NodeOf(id) != 4 || id != 0x0102030405060005 || NodeOf(0) != -1 {
		t.Errorf("%x", id)
	}
}

// A store joins anew 254 times at most: the generation behind those is the operator's, and is left for the one that
// comes after the one before it.
func TestNextGeneration(t *testing.T) {
	for _, c := range []struct {
		generation, before, next uint8
		ok                       bool
	}{{0, 0, 1, true}, {1, 1, 2, true}, {253, 253, 254, true}, {254, 254, 254, false}, {Displaces, 0, 1, true},
		{Displaces, 7, 8, true}, {Displaces, 254, 254, false}} {
		if next, ok := NextGeneration(c.generation, c.before); next != c.next || ok != c.ok {
			t.Errorf("after %d (before it %d): %d, %v", c.generation, c.before, next, ok)
		}
	}
}
