package shard

import (
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
	both := Decide(old, []Proposal{{0, 1, View{2, 0, 1, false}}, {0, 1, View{2, 1, 0, false}}, {1, 4, View{5, 1, 2, false}}})
	if both[0] != (View{2, 0, 1, false}) || both[1] != (View{5, 1, 2, false}) {
		t.Errorf("each proposal decides by itself and the first wins: %v", both)
	}
}

func TestCouncilRecordsRoundTrip(t *testing.T) {
	l := Layout{3, 6}
	book := Book{7, make([]View, 6), []uint64{1<<63 | 1, 2, 3}, []uint64{9, 8}}
	book.Views[5] = View{1 << 60, 2, 1, true}
	numbers, err := unpackNumbers(packNumbers(bookNumbers(book)))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := bookOf(numbers, l); err != nil || fmt.Sprint(got) != fmt.Sprint(book) {
		t.Errorf("%v %v", got, err)
	}
	if _, err := bookOf(numbers, Layout{5, 6}); err == nil {
		t.Error("a book of another layout is taken")
	}
	proposals := []Proposal{{3, 4, View{5, 1, 2, true}}, {0, 1, View{2, 0, 1, false}}}
	numbers, _ = unpackNumbers(packNumbers(proposalNumbers(proposals)))
	if got, err := proposalsOf(numbers); err != nil || !slices.Equal(got, proposals) {
		t.Errorf("%v %v", got, err)
	}
	chance := rand.New(rand.NewPCG(1, 1))
	whole := packNumbers(bookNumbers(book))
	for range 20000 { // garbled bytes are an error or other numbers, never a panic
		data := slices.Clone(whole[:1+chance.IntN(len(whole))])
		data[chance.IntN(len(data))] = byte(chance.Uint32())
		numbers, _ := unpackNumbers(data)
		_, _ = bookOf(numbers, l)
		_, _ = proposalsOf(numbers)
	}
	if id := MemberID(4, [16]byte{1, 2, 3, 4, 5, 6, 7}); NodeOf(id) != 4 || id != 0x0102030405060005 || NodeOf(0) != -1 {
		t.Errorf("%x", id)
	}
}
