package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/shard"
	"tandem/wire"
)

// always answers the requests of one kind with something else.
func always(kind wire.Kind, what func(m *wire.Message) *wire.Message) hook {
	return func(m *wire.Message) (verdict, *wire.Message) {
		if m.Kind != kind {
			return answer, nil
		}
		return refuse, what(m)
	}
}

// TestWrongCountsAreNotCounted: a node that answers a count with anything but each of its shards once is left out.
func TestWrongCountsAreNotCounted(t *testing.T) {
	good := func(m *wire.Message) []wire.ShardCount {
		counts := []wire.ShardCount{}
		for _, s := range m.Set {
			counts = append(counts, wire.ShardCount{Shard: s, Users: 1000})
		}
		return counts
	}
	for name, what := range map[string]func(m *wire.Message) *wire.Message{
		"another kind": func(*wire.Message) *wire.Message { return &wire.Message{Kind: wire.Pong} },
		"none":         func(*wire.Message) *wire.Message { return &wire.Message{Kind: wire.Counts} },
		"one too few":  func(m *wire.Message) *wire.Message { return &wire.Message{Kind: wire.Counts, Counts: good(m)[1:]} },
		"repeated": func(m *wire.Message) *wire.Message {
			return &wire.Message{Kind: wire.Counts, Counts: append(good(m)[1:], good(m)[1])}
		},
		"too many": func(m *wire.Message) *wire.Message {
			return &wire.Message{Kind: wire.Counts, Counts: append(good(m), good(m)[0])}
		},
		"another's shard": func(m *wire.Message) *wire.Message {
			other := uint64(0)
			for slices.Contains(m.Set, other) {
				other++
			}
			return &wire.Message{Kind: wire.Counts, Counts: append(good(m)[1:], wire.ShardCount{Shard: other})}
		},
		"no such shard": func(m *wire.Message) *wire.Message {
			return &wire.Message{Kind: wire.Counts, Counts: append(good(m)[1:], wire.ShardCount{Shard: 1 << 63})}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, ample, ample/2)
			r.fill(50)
			r.nodes[1].set(always(wire.Count, what))
			for range 4 {
				got := r.must(200, "GET", "/api/user/count", "")
				if got.body != "{\"count\":50}\n" || !slices.Contains([]string{"1", "2"}, got.header.Get("Tandem-Nodes-Touched")) {
					t.Errorf("%s %v", got.body, got.header)
				}
			}
		})
	}
}

// TestWrongPagesAreNotShown: so with a list.
func TestWrongPagesAreNotShown(t *testing.T) {
	stranger := wire.Record{ID: "stranger"}
	for name, what := range map[string]func(m *wire.Message) *wire.Message{
		"another kind":  func(m *wire.Message) *wire.Message { return &wire.Message{Kind: wire.Outcome, Record: stranger} },
		"another shard": func(m *wire.Message) *wire.Message { return &wire.Message{Kind: wire.Page, Shard: m.Shard + 1} },
		"too many users": func(m *wire.Message) *wire.Message {
			return &wire.Message{Kind: wire.Page, Shard: m.Shard, Records: slices.Repeat([]wire.Record{stranger},
				int(m.Limit)+1)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, ample, ample/2)
			r.fill(50)
			r.nodes[2].set(always(wire.List, what))
			for _, query := range []string{"?offset=0", "?after="} {
				if ids, _, _ := r.page("/api/user" + query); !slices.Equal(ids, r.everyone()) {
					t.Errorf("%s: %v", query, ids)
				}
			}
		})
	}
}

func TestAnAnswerOfAnotherKindIsNoUser(t *testing.T) {
	r := newRig(t, ample, ample/2)
	for _, n := range r.nodes {
		n.set(always(wire.Get, func(*wire.Message) *wire.Message { return &wire.Message{Kind: wire.Counts} }))
	}
	if got := r.must(500, "GET", "/api/user/a", ""); !strings.Contains(got.body, "kind") {
		t.Errorf("%s", got.body)
	}
}

// TestNoInsertPushesAUserOutOfAWalk: users are added between the count and the reading of every page.
func TestNoInsertPushesAUserOutOfAWalk(t *testing.T) {
	r := newRig(t, ample, ample/2)
	r.fill(300)
	before := r.everyone()
	for _, n := range r.nodes {
		n.set(func(m *wire.Message) (verdict, *wire.Message) {
			if m.Kind == wire.List {
				r.store.lock.Lock()
				defer r.store.lock.Unlock()
				for range 3 {
					r.store.last++
					id := "x" + string(appendTag(nil, 0, r.store.last)[3:])
					id = strings.TrimSuffix(id, `"`)
					r.store.users[id], r.store.order = wire.Record{ID: id, Epoch: 1, LSN: r.store.last}, nil
				}
			}
			return answer, nil
		})
	}
	met := []string{}
	for path := "/api/user?after=&limit=20"; path != ""; {
		ids, links, _ := r.page(path)
		met, path = append(met, ids...), links["next"]
	}
	once := slices.DeleteFunc(slices.Clone(met), func(id string) bool { return !slices.Contains(before, id) })
	if !slices.Equal(once, before) {
		t.Errorf("of %d users %d were met: %d ids in all", len(before), len(once), len(met))
	}
}

// TestAWalkGoesOnBehindEmptiedShards: all users of shards 5 to 12 are gone between the count and the reading.
func TestAWalkGoesOnBehindEmptiedShards(t *testing.T) {
	for _, limit := range []string{"1", "20", "200"} {
		r := newRig(t, ample, ample/2)
		r.fill(300)
		for _, n := range r.nodes {
			n.set(func(m *wire.Message) (verdict, *wire.Message) {
				if m.Kind == wire.List {
					r.store.lock.Lock()
					defer r.store.lock.Unlock()
					for id := range r.store.users {
						if s, _ := shard.ShardOf(r.store.layout, id); s >= 5 && s < 13 {
							delete(r.store.users, id)
							r.store.order = nil
						}
					}
				}
				return answer, nil
			})
		}
		start, skip := "", 0
		for s := range 5 {
			for _, u := range r.store.ordered(s) {
				start, skip = cursor(u.ID), skip+1
			}
		}
		met := []string{}
		for path := "/api/user?after=" + start + "&limit=" + limit; path != ""; {
			ids, links, _ := r.page(path)
			met, path = append(met, ids...), links["next"]
		}
		if want := r.everyone()[skip:]; len(want) == 0 || !slices.Equal(met, want) {
			t.Errorf("limit %s: met %d users, expected %d", limit, len(met), len(want))
		}
	}
}

// TestListsAreBounded: one too many waits no longer than its deadline, and a place that is free again is taken.
func TestListsAreBounded(t *testing.T) {
	r := newRig(t, 150*time.Millisecond, 50*time.Millisecond)
	for range cap(r.wiring.Lists) {
		r.wiring.Lists <- struct{}{}
	}
	if got := r.must(503, "GET", "/api/user", ""); !strings.Contains(got.body, "lists") {
		t.Errorf("%s", got.body)
	}
	<-r.wiring.Lists
	for end := time.Now().Add(patience); r.ask("GET", "/api/user", "").status != 200; {
		if time.Now().After(end) {
			t.Fatal("no list is answered")
		}
	}
}

// TestAShortLastTryHidesNoReason: the try that the deadline cuts off says nothing about the node.
func TestAShortLastTryHidesNoReason(t *testing.T) {
	r := newRig(t, time.Second, ample)
	id := r.idLedBy(0, "w")
	asked := make(chan struct{}, 1)
	r.nodes[0].set(func(*wire.Message) (verdict, *wire.Message) {
		select {
		case asked <- struct{}{}:
			return refuse, &wire.Message{Kind: wire.Error, Code: wire.Unavailable, Text: "the true reason"}
		default:
			return silent, nil
		}
	})
	if got := r.must(503, "GET", "/api/user/"+id, ""); !strings.Contains(got.body, "the true reason") {
		t.Errorf("%s", got.body)
	}
}
