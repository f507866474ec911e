package shard

import (
	"encoding/hex"
	"strings"
	"testing"
)

// atGreeting is what node name of the cluster a, b, c says of itself.
func atGreeting(role, name string) Greeting {
	g := Greeting{Least: 3, Most: 4, Cluster: "tandem", Role: role, Name: name, Build: "v1", Incarnation: [16]byte{7},
		Names: []string{"a", "b", "c"}, Shards: 24}
	g.Ring = RingHash(g.Names)
	if role == RoleNode {
		g.Lease, g.Grace = 100e6, 120e6
	}
	return g
}

// TestWhoFits: each difference is refused for what it is, whoever of the two looks, and the text names what both have.
func TestWhoFits(t *testing.T) {
	ring := func(names ...string) func(g Greeting) Greeting {
		return func(g Greeting) Greeting { g.Names, g.Ring = names, RingHash(names); return g }
	}
	times := func(lease, grace int64) func(g Greeting) Greeting {
		return func(g Greeting) Greeting { g.Lease, g.Grace = lease*1e6, grace*1e6; return g }
	}
	for _, c := range []struct {
		what   string
		theirs func(g Greeting) Greeting
		role   string
		in     Misfit
		names  []string // what the text has
	}{
		{"a neighbour", func(g Greeting) Greeting { return g }, RoleNode, "", nil},
		{"a gateway", func(g Greeting) Greeting { return g }, RoleGateway, "", nil},
		{"an older version", func(g Greeting) Greeting { g.Least, g.Most = 1, 3; return g }, RoleNode, "", nil},
		{"a newer version", func(g Greeting) Greeting { g.Least, g.Most = 4, 9; return g }, RoleNode, "", nil},
		{"too old a version", func(g Greeting) Greeting { return Greeting{Least: 1, Most: 2} }, RoleNode, OtherVersion,
			[]string{"3 to 4", "1 to 2"}},
		{"too new a version", func(g Greeting) Greeting { return Greeting{Least: 5, Most: 6} }, RoleNode, OtherVersion,
			[]string{"3 to 4", "5 to 6"}},
		{"another cluster", func(g Greeting) Greeting { g.Cluster = "other"; return g }, RoleGateway, OtherCluster,
			[]string{`"tandem"`, `"other"`}},
		{"another incarnation", func(g Greeting) Greeting { g.Incarnation[1] = 1; return g }, RoleNode,
			OtherIncarnation, []string{"07000000-0000-0000-0000-000000000000", "07010000-"}},
		{"another incarnation, of a gateway", func(g Greeting) Greeting { g.Incarnation[1] = 1; return g }, RoleGateway,
			OtherIncarnation, []string{"07000000-0000-0000-0000-000000000000", "07010000-"}},
		{"one that knows none", func(g Greeting) Greeting { g.Incarnation = [16]byte{}; return g }, RoleNode, "", nil},
		{"another order", ring("b", "a", "c"), RoleNode, OtherRing, []string{"a,b,c"}},
		{"another order, of a gateway", ring("b", "a", "c"), RoleGateway, OtherRing, []string{"a,b,c"}},
		{"a node more", ring("a", "b", "c", "d"), RoleNode, OtherRing, nil},
		{"a gateway with fewer nodes", ring("a", "b"), RoleGateway, OtherRing, nil},
		{"other shards", func(g Greeting) Greeting { g.Shards = 48; return g }, RoleGateway, OtherShards,
			[]string{"24", "48"}},
		{"a lease longer than the grace here", times(1000, 1200), RoleNode, OtherLease, []string{"120 ms", "1000 ms"}},
		{"a lease that leaves nothing for drift", times(110, 200), RoleNode, OtherLease, nil},
		{"a lease that just fits", times(109, 200), RoleNode, "", nil},
		{"a grace shorter than the lease here", times(50, 100), RoleNode, OtherLease,
			[]string{"for 100 ms", "100 ms for which a"}},
		{"a grace that just fits", times(10, 110), RoleNode, "", nil},
		{"a lease below zero", times(-1, 120), RoleNode, OtherLease, nil},
		{"a lease beyond all", func(g Greeting) Greeting { g.Lease = 1<<63 - 1; return g }, RoleNode, OtherLease, nil},
		{"a gateway has no lease", times(0, 0), RoleGateway, "", nil},
		{"no role", func(g Greeting) Greeting { g.Role = "king"; return g }, RoleNode, OtherName, []string{"king"}},
		{"a stranger", func(g Greeting) Greeting { g.Name = "d"; return g }, RoleNode, OtherName, []string{"a,b,c", "d"}},
		{"itself", func(g Greeting) Greeting { g.Name = "a"; return g }, RoleNode, OtherName, []string{"node a"}},
		{"a gateway of a node's name", func(g Greeting) Greeting { g.Name = "a"; return g }, RoleGateway, "", nil},
	} {
		mine, theirs := atGreeting(RoleNode, "a"), c.theirs(atGreeting(c.role, "b"))
		in, text := Fits(mine, theirs, "")
		back, backText := Fits(theirs, mine, "")
		if in != c.in || (text == "") != (in == "") {
			t.Errorf("%s: misfit %q: %s; want %q", c.what, in, text, c.in)
		}
		if c.in != OtherName && back != c.in {
			t.Errorf("%s, seen from there: misfit %q: %s; want %q", c.what, back, backText, c.in)
		}
		for _, want := range c.names {
			if !strings.Contains(text+backText, want) {
				t.Errorf("%s: neither %q nor %q names %s", c.what, text, backText, want)
			}
		}
	}
}

// TestWhoAnswersAtAnAddress must be the node that the settings name, no other of the cluster and no gateway.
func TestWhoAnswersAtAnAddress(t *testing.T) {
	for _, mine := range []Greeting{atGreeting(RoleNode, "a"), atGreeting(RoleGateway, "127.0.0.1:8080")} {
		if in, text := Fits(mine, atGreeting(RoleNode, "b"), "b"); in != "" {
			t.Error(in, text)
		}
		if in, text := Fits(mine, atGreeting(RoleNode, "c"), "b"); in != OtherName ||
			!strings.Contains(text, "expected the node b at that address, found the node c") {
			t.Error(in, text)
		}
		if in, _ := Fits(mine, atGreeting(RoleGateway, "b"), "b"); in != OtherName {
			t.Error(in)
		}
	}
}

// TestIncarnation is a UUID of version 5 that differs with the founders and their order, and is the same on every node.
func TestIncarnation(t *testing.T) {
	one := Incarnation([]uint64{1<<16 | 1, 1<<16 | 2, 1<<16 | 3})
	if got := hex.EncodeToString(one[:]); got != "e81b49f627925bf8887c13302040e055" {
		t.Errorf("%s", got)
	}
	if one[6]>>4 != 5 || one[8]>>6 != 2 {
		t.Errorf("%x is no UUID of version 5", one)
	}
	for _, other := range [][]uint64{{1<<16 | 2, 1<<16 | 1, 1<<16 | 3}, {1<<16 | 1, 1<<16 | 2},
		{2<<16 | 1, 1<<16 | 2, 1<<16 | 3}, nil} {
		if Incarnation(other) == one {
			t.Errorf("%v has the same", other)
		}
	}
	if Incarnation(nil) != [16]byte{} {
		t.Error("none has one")
	}
}

// TestRingHashKnowsTheOrder.
func TestRingHashKnowsTheOrder(t *testing.T) {
	if RingHash([]string{"db-0", "db-1", "db-2"}) != 0xf32a345b60dc6f57 { // as the example in package wire has it
		t.Errorf("%x", RingHash([]string{"db-0", "db-1", "db-2"}))
	}
	if RingHash([]string{"a", "b"}) == RingHash([]string{"b", "a"}) {
		t.Error("the order does not count")
	}
}

func TestChooseCluster(t *testing.T) {
	x, y, z, none := [16]byte{1}, [16]byte{2}, [16]byte{3}, [16]byte{}
	for _, c := range []struct {
		what   string
		said   [][16]byte
		chosen [16]byte
		waited bool
		want   [16]byte
	}{
		{"nobody has answered", [][16]byte{none, none, none}, none, true, none},
		{"all say so", [][16]byte{x, x, x}, none, false, x},
		{"one has answered", [][16]byte{none, x, none}, none, false, none},
		{"one has answered in time", [][16]byte{none, x, none}, none, true, x},
		{"two of three", [][16]byte{none, x, x}, none, false, x},
		{"two of four are no majority", [][16]byte{none, x, x, none}, none, false, none},
		{"a foreign node among them", [][16]byte{x, y, x}, none, false, x},
		{"a foreign node is the first to answer", [][16]byte{none, y, none}, none, false, none},
		{"as many of one as of the other", [][16]byte{none, y, x}, none, true, none},
		{"all different", [][16]byte{z, y, x}, none, true, none},
		{"the most of five", [][16]byte{z, y, x, x, none}, none, true, x},
		{"two and two of five", [][16]byte{y, y, x, x, z}, none, true, none},
		{"the first two are beaten", [][16]byte{y, z, x, x, none}, none, true, x},
		{"a choice stays", [][16]byte{y, y, x, x, z}, z, true, z},
		{"a choice stays when all are gone", [][16]byte{none, none, none}, x, true, x},
		{"a choice stays against one", [][16]byte{none, none, y}, x, true, x},
		{"made anew", [][16]byte{y, y, x}, x, true, y},
		{"made anew, half of them so far", [][16]byte{y, y, x, x}, x, true, x},
	} {
		if got := ChooseCluster(c.said, c.chosen, c.waited); got != c.want {
			t.Errorf("%s: chosen %v, want %v", c.what, got[0], c.want[0])
		}
	}
}
