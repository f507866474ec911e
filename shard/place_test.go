package shard

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestEachNodeLeadsAndBacksItsShare(t *testing.T) {
	for nodes := MinNodes; nodes <= 12; nodes++ {
		l := Layout{nodes, 24 * nodes}
		leads, backs := make([]int, nodes), make([]int, nodes)
		for s := range l.Shards {
			v := InitialView(l, s)
			leads[v.Leader]++
			backs[v.Backup]++
			if a, b := Pair(l, s); v.Leader+v.Backup != a+b || (a+1)%nodes != b || !v.InSync || v.Epoch != 1 {
				t.Errorf("shard %d of %+v: view %+v, pair %d and %d", s, l, v, a, b)
			}
		}
		for i := range nodes {
			if leads[i] != 24 || backs[i] != 24 {
				t.Errorf("%d nodes: node %d leads %d and backs %d of %d shards", nodes, i, leads[i], backs[i], l.Shards)
			}
		}
	}
}

func TestCoverIsSmallAndComplete(t *testing.T) {
	for nodes := MinNodes; nodes <= 15; nodes++ {
		l := Layout{nodes, 3 * nodes}
		views := make([]View, l.Shards)
		for s := range views {
			views[s] = InitialView(l, s)
		}
		for dead := -1; dead < nodes; dead++ {
			for turn := range 2 * nodes {
				down := make([]bool, nodes)
				if dead >= 0 {
					down[dead] = true
				}
				cover, err := Cover(l, views, down, nil, turn)
				if err != nil {
					t.Fatal(err)
				}
				asked := map[int]bool{}
				for s, node := range cover {
					asked[node] = true
					if a, b := Pair(l, s); node != a && node != b || down[node] {
						t.Fatalf("%d nodes, %d down: shard %d is asked of node %d", nodes, dead, s, node)
					}
				}
				if len(asked) > nodes/2+1 {
					t.Errorf("%d nodes, %d down, turn %d: %d are asked", nodes, dead, turn, len(asked))
				}
			}
		}
		down := make([]bool, nodes)
		down[0], down[nodes-1] = true, true
		if _, err := Cover(l, views, down, nil, 0); !errors.Is(err, ErrUncovered) {
			t.Errorf("%d nodes, two neighbours down: %v", nodes, err)
		}
	}
}

// TestCoversOfWhatIsRefused: wherever each shard has a replica that can answer there is a cover, and it asks nobody for
// what it is not in sync for, or has refused. A node that refuses one shard is not asked for any where one can do
// without it.
func TestCoversOfWhatIsRefused(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	uncovered := 0
	for range 5000 {
		l := Layout{Nodes: MinNodes + rng.IntN(4)}
		l.Shards = 2 * l.Nodes
		views, down, refused := []View{}, make([]bool, l.Nodes), map[[2]int]bool{}
		down[rng.IntN(l.Nodes)] = rng.IntN(4) == 0
		covers := true
		for s := range l.Shards {
			v := InitialView(l, s)
			v.InSync = rng.IntN(4) > 0
			refused[[2]int{v.Leader, s}], refused[[2]int{v.Backup, s}] = rng.IntN(12) == 0, rng.IntN(4) == 0
			views = append(views, v)
			covers = covers && (!down[v.Leader] && !refused[[2]int{v.Leader, s}] ||
				v.InSync && !down[v.Backup] && !refused[[2]int{v.Backup, s}])
		}
		cover, err := Cover(l, views, down, refused, rng.IntN(2*l.Nodes))
		if covers != (err == nil) || err != nil && !errors.Is(err, ErrUncovered) {
			t.Fatalf("a cover: %v, found: %v", covers, err)
		}
		if err != nil {
			uncovered++
		}
		for s, node := range cover {
			if down[node] || refused[[2]int{node, s}] || node != views[s].Leader && (node != views[s].Backup || !views[s].InSync) {
				t.Fatalf("shard %d is asked of node %d: %+v, down %v, refused %v", s, node, views[s], down, refused)
			}
		}
	}
	if uncovered == 0 || uncovered == 5000 {
		t.Errorf("%d of 5000 have no cover", uncovered)
	}
	l, views := Layout{3, 6}, []View{}
	for s := range l.Shards {
		views = append(views, InitialView(l, s))
	}
	for turn := range 3 {
		if cover, err := Cover(l, views, make([]bool, 3), map[[2]int]bool{{1, 0}: true}, turn); err != nil ||
			slices.Contains(cover, 1) {
			t.Errorf("node 1 refuses a shard: %v, %v", cover, err)
		}
	}
}

func TestPlansTakeEachUserOnce(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		counts, total := make([]uint64, 1+rng.IntN(30)), uint64(0)
		for s := range counts {
			counts[s] = rng.Uint64N(5) * rng.Uint64N(40)
			total += counts[s]
		}
		offset, limit := rng.Uint64N(total+20), 1+rng.Uint64N(100)
		got, at := uint64(0), uint64(0)
		for _, part := range PlanOffset(counts, offset, limit) {
			at = part.Offset
			for _, n := range counts[:part.Shard] {
				at += n
			}
			if at != offset+got || part.Limit == 0 || part.Offset+part.Limit > counts[part.Shard] {
				t.Fatalf("%v offset %d limit %d: segment %+v after %d users", counts, offset, limit, part, got)
			}
			got += part.Limit
		}
		if want := min(limit, total-min(total, offset)); got != want {
			t.Fatalf("%v offset %d limit %d: %d users, want %d", counts, offset, limit, got, want)
		}
		first := rng.IntN(len(counts))
		behind := uint64(0)
		for i, part := range PlanAfter(counts, first, limit) {
			if i == 0 && (part.Shard != first || part.Limit != limit) || i > 0 &&
				(part.Shard <= first || part.Offset != 0 || part.Limit > counts[part.Shard]) {
				t.Fatalf("%v after shard %d limit %d: segment %d is %+v", counts, first, limit, i, part)
			}
			if i > 0 {
				behind += part.Limit
			}
		}
		left := uint64(0)
		for _, n := range counts[first+1:] {
			left += n
		}
		if behind != min(left, limit) {
			t.Fatalf("%v after shard %d limit %d: %d users of later shards, want %d", counts, first, limit, behind,
				min(left, limit))
		}
	}
}

func TestKeysGiveTheirIDsBack(t *testing.T) {
	for id, size := range map[string]int{
		"13AE742":                              10,
		"0b3c1a52-8a4e-4c5e-9d6f-0123456789ab": 19, // canonical: 16 bytes
		"0B3C1A52-8A4E-4C5E-9D6F-0123456789AB": 39, // another id, as text
		"a":                                    4,
		strings.Repeat("~", MaxID):             3 + MaxID,
	} {
		key := AppendKey([]byte("x"), 7, id)[1:]
		if back, ok := KeyID(key); !ok || back != id || len(key) != size || key[1] != 7 {
			t.Errorf("%s has the key %q (%d bytes), which gives %q back", id, key, len(key), back)
		}
	}
	for _, key := range []string{"", "u", "mp", "u\x01\x03abc", "u\x01\x01short"} {
		if id, ok := KeyID([]byte(key)); ok {
			t.Errorf("%q gives the id %q", key, id)
		}
	}
}

func TestIDsAndLayoutsThatCannotBe(t *testing.T) {
	for id, want := range map[string]string{
		"": "1 to 128 characters, found 0", strings.Repeat("a", 129): "found 129", "count": "path of the user count",
		"changes": "path of its own",
		".":       "no URL can carry", "..": "no URL can carry",
		"a/b": `'/' at 1`, "é": "at 0", "a b": `' ' at 1`,
	} {
		if err := CheckID(id); !errors.Is(err, ErrID) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %q in it", id, err, want)
		}
	}
	for _, id := range []string{"13AE742", "Count", "a.b_c~d-e", "...", ".a", "Changes", strings.Repeat("9", 128)} {
		if err := CheckID(id); err != nil {
			t.Errorf("%.20q: %v", id, err)
		}
	}
	for l, fine := range map[Layout]bool{{3, 24}: true, {9, 9}: true, {2, 24}: false, {0, 0}: false, {5, 4}: false,
		{3, MaxShards + 1}: false} {
		if err := CheckLayout(l); (err == nil) != fine || err != nil && !errors.Is(err, ErrLayout) {
			t.Errorf("%+v: %v", l, err)
		}
	}
}

func TestUsersSpreadOverShardsAndBuckets(t *testing.T) {
	l := Layout{3, 24}
	shards, buckets := make([]int, l.Shards), [256]int{}
	const users = 240_000
	for i := range users {
		s, b := ShardOf(l, fmt.Sprint("user-", i))
		shards[s]++
		buckets[b]++
	}
	for s, n := range shards {
		if n < users/24*9/10 || n > users/24*11/10 {
			t.Errorf("shard %d has %d of %d users", s, n, users)
		}
	}
	for b, n := range buckets {
		if n < users/256*7/10 || n > users/256*13/10 {
			t.Errorf("bucket %d has %d of %d users", b, n, users)
		}
	}
}
