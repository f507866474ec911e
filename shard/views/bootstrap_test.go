package views

import (
	"slices"
	"tandem/shard"
	"testing"
)

func TestBootstrapIsDecided(t *testing.T) {
	l := shard.Layout{Nodes: 3, Shards: 6}
	store := func(node int, n byte) uint64 { return shard.MemberID(node, [16]byte{n}) }
	a, b, c := store(0, 1), store(1, 2), store(2, 3)
	founders, silent := []uint64{a, b, c}, shard.Greeting{}
	cases := []struct {
		name  string
		self  uint64
		heard []shard.Greeting
		want  Bootstrap
	}{
		{"nobody answers", a, []shard.Greeting{silent, silent, silent},
			Bootstrap{Reason: "a cluster is bootstrapped when all 3 nodes are there; these have not answered: [1 2]"}},
		{"one is missing", a, []shard.Greeting{{Member: a}, {Member: b}, silent},
			Bootstrap{Reason: "a cluster is bootstrapped when all 3 nodes are there; these have not answered: [2]"}},
		{"another node answers", a, []shard.Greeting{silent, {Member: c}, {Member: c}},
			Bootstrap{Reason: "a cluster is bootstrapped when all 3 nodes are there; these have not answered: [1]"}},
		{"all are there", a, []shard.Greeting{silent, {Member: b}, {Member: c}}, Bootstrap{Members: founders}},
		{"all are there, another decides", b, []shard.Greeting{{Member: a}, silent, {Member: c}},
			Bootstrap{Reason: "all nodes are there; node 0 decides"}},
		{"bootstrapped while it was away", c, []shard.Greeting{{Member: a, Founders: founders}, silent, silent},
			Bootstrap{Members: founders}},
		{"node 0 forgot its bootstrap before it was stored", a, []shard.Greeting{silent, {Member: b, Founders: founders},
			{Member: c}}, Bootstrap{Members: founders}},
		{"bootstrapped without it", store(1, 9), []shard.Greeting{{Member: a, Founders: founders}, silent, {Member: c}},
			Bootstrap{Join: true}},
		{"node 0 lost its store", store(0, 9), []shard.Greeting{silent, {Member: b}, {Member: c, Founders: founders}},
			Bootstrap{Join: true}},
		{"a bootstrap of another size", a, []shard.Greeting{silent, {Member: b, Founders: []uint64{a, b}}, {Member: c}},
			Bootstrap{Members: founders}},
		{"a bootstrap in another order", a, []shard.Greeting{silent, {Member: b, Founders: []uint64{b, a, c}}, {Member: c}},
			Bootstrap{Members: founders}},
	}
	for _, k := range cases {
		got := DecideBootstrap(l, k.self, k.heard)
		if !slices.Equal(got.Members, k.want.Members) || got.Join != k.want.Join || got.Reason != k.want.Reason {
			t.Errorf("%s: %+v, expected %+v", k.name, got, k.want)
		}
	}
}

func TestBootstrapIsRemembered(t *testing.T) {
	one, two, three := shard.MemberID(1, [16]byte{1}), shard.MemberID(1, [16]byte{2}), shard.MemberID(1, [16]byte{3})
	zero, other := shard.MemberID(0, [16]byte{1}), shard.MemberID(2, [16]byte{1})
	b := State{Members: []uint64{zero, three, other}, Replaced: []uint64{one, two}}
	if got := Founders(b); !slices.Equal(got, []uint64{zero, one, other}) || b.Members[1] != three {
		t.Errorf("%x", got)
	}
	if got := Founders(State{}); len(got) > 0 {
		t.Errorf("%x", got)
	}
}
