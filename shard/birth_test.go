package shard

import (
	"slices"
	"testing"
)

func TestBirthIsDecided(t *testing.T) {
	l := Layout{3, 6}
	store := func(node int, n byte) uint64 { return MemberID(node, [16]byte{n}) }
	a, b, c := store(0, 1), store(1, 2), store(2, 3)
	founders, silent := []uint64{a, b, c}, Greeting{}
	cases := []struct {
		name  string
		self  uint64
		heard []Greeting
		want  Birth
	}{
		{"nobody answers", a, []Greeting{silent, silent, silent},
			Birth{Reason: "a cluster is born when all 3 nodes are there; these have not answered: [1 2]"}},
		{"one is missing", a, []Greeting{{Member: a}, {Member: b}, silent},
			Birth{Reason: "a cluster is born when all 3 nodes are there; these have not answered: [2]"}},
		{"another node answers", a, []Greeting{silent, {Member: c}, {Member: c}},
			Birth{Reason: "a cluster is born when all 3 nodes are there; these have not answered: [1]"}},
		{"all are there", a, []Greeting{silent, {Member: b}, {Member: c}}, Birth{Members: founders}},
		{"all are there, another decides", b, []Greeting{{Member: a}, silent, {Member: c}},
			Birth{Reason: "all nodes are there; node 0 decides"}},
		{"born while it was away", c, []Greeting{{Member: a, Born: founders}, silent, silent}, Birth{Members: founders}},
		{"node 0 forgot its birth before it was stored", a, []Greeting{silent, {Member: b, Born: founders},
			{Member: c}}, Birth{Members: founders}},
		{"born without it", store(1, 9), []Greeting{{Member: a, Born: founders}, silent, {Member: c}}, Birth{Join: true}},
		{"node 0 lost its store", store(0, 9), []Greeting{silent, {Member: b}, {Member: c, Born: founders}},
			Birth{Join: true}},
		{"a birth of another size", a, []Greeting{silent, {Member: b, Born: []uint64{a, b}}, {Member: c}},
			Birth{Members: founders}},
		{"a birth in another order", a, []Greeting{silent, {Member: b, Born: []uint64{b, a, c}}, {Member: c}},
			Birth{Members: founders}},
	}
	for _, k := range cases {
		got := DecideBirth(l, k.self, k.heard)
		if !slices.Equal(got.Members, k.want.Members) || got.Join != k.want.Join || got.Reason != k.want.Reason {
			t.Errorf("%s: %+v, expected %+v", k.name, got, k.want)
		}
	}
}

func TestBirthIsRemembered(t *testing.T) {
	one, two, three := MemberID(1, [16]byte{1}), MemberID(1, [16]byte{2}), MemberID(1, [16]byte{3})
	zero, other := MemberID(0, [16]byte{1}), MemberID(2, [16]byte{1})
	b := Book{Members: []uint64{zero, three, other}, Gone: []uint64{one, two}}
	if got := BornWith(b); !slices.Equal(got, []uint64{zero, one, other}) || b.Members[1] != three {
		t.Errorf("%x", got)
	}
	if got := BornWith(Book{}); len(got) > 0 {
		t.Errorf("%x", got)
	}
}
