package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"tandem/shard"
	"tandem/wire"
)

// TestCountsAvoidWhatIsNotInSync: after a failover that was told of, the node that has died is not asked at all, by
// whichever node a walk begins.
func TestCountsAvoidWhatIsNotInSync(t *testing.T) {
	for dead := range 3 {
		r := newRig(t, ample, ample/4)
		r.fill(100)
		r.setViews(without(dead))
		r.nodes[(dead+1)%3].sendViews(r.store.current())
		r.awaitViews()
		for range 6 {
			if got := r.must(200, "GET", "/api/user/count", ""); got.body != "{\"count\":100}\n" ||
				got.header.Get("Tandem-Nodes-Touched") != "2" {
				t.Errorf("%s %v", got.body, got.header)
			}
			if ids, _, _ := r.page("/api/user?limit=1000"); !slices.Equal(ids, r.everyone()) {
				t.Errorf("%d users", len(ids))
			}
		}
		if n := len(r.nodes[dead].saw()); n != 0 {
			t.Errorf("node %d was asked %d times", dead, n)
		}
	}
}

// TestCountsOfAFailoverThatNobodyToldOf: the node that has died is silent or gone, its neighbours lead alone, and the
// gateway has the views of before.
func TestCountsOfAFailoverThatNobodyToldOf(t *testing.T) {
	for _, how := range []string{"deaf", "silent", "gone"} {
		for dead := range 3 {
			t.Run(fmt.Sprintf("db-%d %s", dead, how), func(t *testing.T) {
				r := newSilenceRig(t, 3*time.Second, 20*time.Millisecond, 80*time.Millisecond)
				r.fill(100)
				r.setViews(without(dead))
				switch how {
				case "deaf":
					r.nodes[dead].setDeaf(true)
				case "silent":
					r.nodes[dead].set(func(*wire.Message) (verdict, *wire.Message) { return silent, nil })
				case "gone":
					r.nodes[dead].stop()
				}
				got := r.must(200, "GET", "/api/user/count", "")
				if touched, _ := strconv.Atoi(got.header.Get("Tandem-Nodes-Touched")); got.body != "{\"count\":100}\n" || touched != 2 {
					t.Errorf("%s, %d nodes touched", got.body, touched)
				}
				if ids, _, _ := r.page("/api/user?limit=1000"); !slices.Equal(ids, r.everyone()) {
					t.Errorf("%d users", len(ids))
				}
			})
		}
	}
}

// TestACountWaitsForTheFailover: neighbours refuse until they have taken over, and are asked again with the views that
// are told then.
func TestACountWaitsForTheFailover(t *testing.T) {
	r := newSilenceRig(t, ample, 20*time.Millisecond, 80*time.Millisecond)
	r.fill(100)
	r.nodes[1].setDeaf(true)
	refusals := make(chan struct{}, 1000)
	for _, n := range []*fakeNode{r.nodes[0], r.nodes[2]} {
		n.set(func(*wire.Message) (verdict, *wire.Message) {
			refusals <- struct{}{}
			return refuse, &wire.Message{Kind: wire.Error, Code: wire.Unavailable, Text: "a failover is under way"}
		})
	}
	go func() {
		for range 6 {
			<-refusals
		}
		r.setViews(without(1))
		for _, n := range []*fakeNode{r.nodes[0], r.nodes[2]} {
			n.set(nil)
			n.sendViews(r.store.current())
		}
	}()
	if got := r.must(200, "GET", "/api/user/count", ""); got.body != "{\"count\":100}\n" ||
		got.header.Get("Tandem-Nodes-Touched") != "2" {
		t.Errorf("%s %v", got.body, got.header)
	}
}

// TestLeadersAnswerForBackupsThatAreNotInSync, even if a further node has to be asked: each node lags in some shard.
func TestLeadersAnswerForBackupsThatAreNotInSync(t *testing.T) {
	r := newRig(t, ample, ample/4)
	r.fill(100)
	r.setViews(func(_ int, v shard.View) shard.View {
		v.InSync = false
		return v
	})
	r.nodes[0].sendViews(r.store.current())
	r.awaitViews()
	if got := r.must(200, "GET", "/api/user/count", ""); got.body != "{\"count\":100}\n" ||
		got.header.Get("Tandem-Nodes-Touched") != "3" {
		t.Errorf("%s %v", got.body, got.header)
	}
}

// TestCountsOfANodeThatItsPeersCannotReach: the others lead alone what they share with it, and as its backups refuse
// what it leads; it leads on. Each shard has a replica that answers, no two nodes answer for all, and which shards a
// node refuses it does not say.
func TestCountsOfANodeThatItsPeersCannotReach(t *testing.T) {
	for lone := range 3 {
		r := newRig(t, ample, ample/4)
		r.fill(100)
		r.setViews(func(_ int, v shard.View) shard.View {
			v.InSync = v.Backup != lone
			return v
		})
		r.nodes[lone].sendViews(r.store.current())
		r.awaitViews()
		noLease := func(m *wire.Message) (verdict, *wire.Message) {
			asked := m.Set
			if m.Kind == wire.List {
				asked = []uint64{m.Shard}
			}
			if slices.ContainsFunc(asked, func(s uint64) bool { return r.store.current()[s].Leader == uint64(lone) }) {
				return refuse, &wire.Message{Kind: wire.Error, Code: wire.Unavailable, Text: "no lease"}
			}
			return answer, nil
		}
		r.nodes[(lone+1)%3].set(noLease)
		r.nodes[(lone+2)%3].set(noLease)
		for range 6 {
			if got := r.must(200, "GET", "/api/user/count", ""); got.body != "{\"count\":100}\n" ||
				got.header.Get("Tandem-Nodes-Touched") != "3" {
				t.Errorf("%s %v", got.body, got.header)
			}
			if ids, _, _ := r.page("/api/user?limit=1000"); !slices.Equal(ids, r.everyone()) {
				t.Errorf("%d users", len(ids))
			}
		}
	}
}

// TestWhatIsExcluded: a node that says nothing, and of one that refuses several shards at first nothing: it is asked
// for those with the same roles, which are left out when they are refused, too.
func TestWhatIsExcluded(t *testing.T) {
	l, views := shard.Layout{Nodes: 3, Shards: 6}, []shard.View{}
	for s := range l.Shards {
		views = append(views, shard.InitialView(l, s))
	}
	cover, without := []int{0, 2, 0, 0, 2, 0}, noneExcluded(l)
	frames, touched := planCount(l, views, cover, without.split)
	if len(frames) != 2 || touched != 2 || !slices.Equal(frames[0].message.Set, []uint64{0, 2, 3, 5}) {
		t.Fatalf("%+v", frames)
	}
	exclude(without, frames[1], classified{errUnasked, []error{errLink, errPersistent}})
	exclude(without, frames[0], errUnasked)
	if !without.silent[2] || !without.unreachable[2] || without.silent[0] || len(without.refused) > 0 {
		t.Fatalf("%+v", without)
	}
	frames, touched = planCount(l, views, []int{0, 1, 0, 0, 1, 0}, without.split)
	if len(frames) != 5 || touched != 2 {
		t.Fatalf("%+v", frames)
	}
	exclude(without, frames[2], classified{errUnasked, []error{errPersistent}})
	page := nodeFrame{node: 1, message: &wire.Message{Kind: wire.List, Shard: 4}}
	exclude(without, page, errUnasked)
	want := map[[2]int]bool{{0, 2}: true, {1, 4}: true}
	if !maps.Equal(without.refused, want) || !without.stuck[[2]int{0, 2}] || without.stuck[[2]int{1, 4}] ||
		without.split[1] {
		t.Errorf("%+v", without)
	}
}
