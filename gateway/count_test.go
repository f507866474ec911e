package main

import (
	"errors"
	"fmt"
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

func TestInSync(t *testing.T) {
	views := []shard.View{{Epoch: 1, Leader: 0, Backup: 1, InSync: true}, {Epoch: 4, Leader: 2, Backup: 1},
		{Epoch: 1, Leader: 2, Backup: 0, InSync: true}}
	if got := excludeOutOfSync(views, []bool{true, false, false}); !slices.Equal(got, []bool{true, true, false}) {
		t.Errorf("out of sync: %v", got)
	}
	if got, err := inSync(views, []int{1, 1, 0}, make([]bool, 3)); err != nil || !slices.Equal(got, []int{1, 2, 0}) {
		t.Errorf("%v %v", got, err)
	}
	if got, err := inSync(views, []int{1, 1, 0}, []bool{false, false, true}); !errors.Is(err, shard.ErrUncovered) {
		t.Errorf("the leader of shard 1 is down: %v %v", got, err)
	}
}
