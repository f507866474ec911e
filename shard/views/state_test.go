package views

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"tandem/shard"
	"testing"
)

func TestServiceDecides(t *testing.T) {
	old := []shard.View{{Epoch: 1, Leader: 0, Backup: 1, InSync: true}, {Epoch: 4, Leader: 1, Backup: 2, InSync: false}}
	cases := []struct {
		name string
		p    shard.Proposal
		want shard.View
	}{
		{"leader alone", shard.Proposal{Shard: 0, Epoch: 1, View: shard.View{Epoch: 2, Leader: 0, Backup: 1,
			InSync: false}}, shard.View{Epoch: 2, Leader: 0, Backup: 1, InSync: false}},
		{"backup takes over", shard.Proposal{Shard: 0, Epoch: 1, View: shard.View{Epoch: 2, Leader: 1, Backup: 0,
			InSync: false}}, shard.View{Epoch: 2, Leader: 1, Backup: 0, InSync: false}},
		{"swap", shard.Proposal{Shard: 0, Epoch: 1, View: shard.View{Epoch: 2, Leader: 1, Backup: 0, InSync: true}},
			shard.View{Epoch: 2, Leader: 1, Backup: 0, InSync: true}},
		{"late", shard.Proposal{Shard: 0, Epoch: 0, View: shard.View{Epoch: 1, Leader: 0, Backup: 1, InSync: false}}, old[0]},
		{"early", shard.Proposal{Shard: 0, Epoch: 2, View: shard.View{Epoch: 3, Leader: 0, Backup: 1, InSync: false}},
			old[0]},
		{"epoch skipped", shard.Proposal{Shard: 0, Epoch: 1, View: shard.View{Epoch: 3, Leader: 0, Backup: 1,
			InSync: false}}, old[0]},
		{"another node", shard.Proposal{Shard: 0, Epoch: 1, View: shard.View{Epoch: 2, Leader: 0, Backup: 2, InSync: true}},
			old[0]},
		{"one node twice", shard.Proposal{Shard: 0, Epoch: 1, View: shard.View{Epoch: 2, Leader: 0, Backup: 0,
			InSync: true}}, old[0]},
		{"a replica out of sync may not lead", shard.Proposal{Shard: 1, Epoch: 4, View: shard.View{Epoch: 5, Leader: 2,
			Backup: 1, InSync: false}}, old[1]},
		{"in sync again", shard.Proposal{Shard: 1, Epoch: 4, View: shard.View{Epoch: 5, Leader: 1, Backup: 2,
			InSync: true}}, shard.View{Epoch: 5, Leader: 1, Backup: 2, InSync: true}},
	}
	for _, c := range cases {
		kept := slices.Clone(old)
		got := Decide(old, []shard.Proposal{{Shard: -1, Epoch: 1, View: shard.View{}}, {Shard: 2, Epoch: 1,
			View: shard.View{}}, c.p})
		if got[c.p.Shard] != c.want || !slices.Equal(old, kept) {
			t.Errorf("%s: %v, expected %v", c.name, got[c.p.Shard], c.want)
		}
	}
	both := Decide(old, []shard.Proposal{{Shard: 0, Epoch: 1, View: shard.View{Epoch: 2, Leader: 0, Backup: 1,
		InSync: false}}, {Shard: 0, Epoch: 1, View: shard.View{Epoch: 2, Leader: 1, Backup: 0, InSync: false}},
		{Shard: 1, Epoch: 4, View: shard.View{Epoch: 5, Leader: 1, Backup: 2, InSync: false}}})
	if both[0] != (shard.View{Epoch: 2, Leader: 0, Backup: 1, InSync: false}) ||
		both[1] != (shard.View{Epoch: 5, Leader: 1, Backup: 2, InSync: false}) {
		t.Errorf("each proposal decides by itself and the first wins: %v", both)
	}
}

func someState() State {
	b := State{Index: 7, Version: InitialVersion, Incarnation: shard.Incarnation([]uint64{1, 2, 3}),
		Views:   make([]shard.View, 6),
		Members: []uint64{1<<63 | 1, 2, 3}, Starts: []Start{{5, 1 << 60}, {}, {1, 2}}, Speaks: []uint64{3, 0, 4},
		Replaced: []uint64{9, 8}}
	b.Views[5] = shard.View{Epoch: 1 << 60, Leader: 2, Backup: 1, InSync: true}
	return b
}

func TestServiceRecordsRoundTrip(t *testing.T) {
	l := shard.Layout{Nodes: 3, Shards: 6}
	state := someState()
	whole := packNumbers(stateNumbers(state))
	if got, err := readState(whole, l); err != nil || fmt.Sprint(got) != fmt.Sprint(state) {
		t.Errorf("%v %v", got, err)
	}
	if _, err := readState(whole, shard.Layout{Nodes: 5, Shards: 6}); !errors.Is(err, ErrState) || errors.Is(err,
		ErrVersion) {
		t.Errorf("a state of another layout: %v", err)
	}
	later := stateNumbers(state)
	later[0]++
	if _, err := readState(packNumbers(later), l); !errors.Is(err, ErrVersion) {
		t.Errorf("a state of a later format: %v", err)
	}
	proposals := []shard.Proposal{{Shard: 3, Epoch: 4, View: shard.View{Epoch: 5, Leader: 1, Backup: 2, InSync: true}},
		{Shard: 0, Epoch: 1, View: shard.View{Epoch: 2, Leader: 0, Backup: 1, InSync: false}}}
	if got, err := proposalsOf(proposalNumbers(proposals)); err != nil || !slices.Equal(got, proposals) {
		t.Errorf("%v %v", got, err)
	}
	chance := rand.New(rand.NewPCG(1, 1))
	for range 20000 { // garbled bytes are an error or other numbers, never a panic
		data := slices.Clone(whole[:1+chance.IntN(len(whole))])
		data[chance.IntN(len(data))] = byte(chance.Uint32())
		_, _ = readState(data, l)
		_, _ = nextState(EntryRules, state, data)
	}
	if id := shard.MemberID(4, [16]byte{1, 2, 3, 4, 5, 6, 7}); shard.NodeOf(id) != 4 || id != 0x0102030405060005 ||
		shard.NodeOf(0) != -1 {
		t.Errorf("%x", id)
	}
}

// A store joins anew 254 times at most: the generation behind those is the operator's, and is left for the one that
// comes after the one before it.
func TestNextGeneration(t *testing.T) {
	for _, c := range []struct {
		generation, before, next uint8
		ok                       bool
	}{{0, 0, 1, true}, {1, 1, 2, true}, {253, 253, 254, true}, {254, 254, 254, false}, {shard.Displaces, 0, 1, true},
		{shard.Displaces, 7, 8, true}, {shard.Displaces, 254, 254, false}} {
		if next, ok := shard.NextGeneration(c.generation, c.before); next != c.next || ok != c.ok {
			t.Errorf("after %d (before it %d): %d, %v", c.generation, c.before, next, ok)
		}
	}
}
