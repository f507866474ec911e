package main

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/shard"
	"tandem/wire"
)

// TestHopelessRequestsAreGivenUpAtOnce: two nodes are down for long. Neither replica can serve: one says so, or there
// is no connection to it. Each is asked once, although the deadline is far, and the answer has the reason. For counts
// of several shards a node is asked again for fewer at once.
func TestHopelessRequestsAreGivenUpAtOnce(t *testing.T) {
	stuckHere := func(*wire.Message) (verdict, *wire.Message) {
		return refuse, &wire.Message{Kind: wire.Error, Code: wire.Stuck, Text: "no lease from db-9"}
	}
	for name, away := range map[string]bool{"both stuck": false, "one stuck, one away": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, ample, ample)
			id := r.idLedBy(1, "h")
			leader, backup := r.replicas(id)
			leader.set(stuckHere)
			backup.set(stuckHere)
			if away {
				backup.stop()
				r.awaitUnreachable(2)
			}
			for _, ask := range [][]string{{"GET", "/api/user/" + id, ""}, {"PUT", "/api/user/", put(id)},
				{"DELETE", "/api/user/" + id, ""}, {"GET", "/api/user/count", ""},
				{"GET", "/api/user?offset=0&limit=5", ""}} {
				asked := len(leader.saw())
				got := r.must(503, ask[0], ask[1], ask[2])
				if !strings.Contains(got.body, "no lease from db-9") && !strings.Contains(got.body, "db-2") {
					t.Errorf("%v: no reason: %s", ask, got.body)
				}
				if strings.Contains(got.body, errLate.Error()) || !strings.Contains(got.body, errUnavailable.Error()) {
					t.Errorf("%v: the deadline is far: %s", ask, got.body)
				}
				most := 2
				if ask[0] == "GET" && !strings.Contains(ask[1], id) {
					most = 8
				}
				if n := len(leader.saw()) - asked; n > most {
					t.Errorf("%v: the leader was asked %d times", ask, n)
				}
			}
		})
	}
}

// awaitUnreachable polls until the connections to a node have been down for so long that requests give it up.
func (r *rig) awaitUnreachable(node int) {
	r.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		reasons := []string{}
		for _, link := range r.wiring.Links[node] {
			state := make(chan linkState, 1)
			link.State <- state
			reasons = append(reasons, (<-state).Reason)
		}
		if !slices.ContainsFunc(reasons, func(s string) bool { return !strings.Contains(s, unreachableText) }) {
			return
		}
		if time.Now().After(end) {
			r.t.Fatalf("node %d is not given up: %q", node, reasons)
		}
	}
}

// TestPersistentFailuresAreCounted: only one after the other, at both replicas, in the same view.
func TestPersistentFailuresAreCounted(t *testing.T) {
	initial, taken := shard.View{Epoch: 1, Leader: 1, Backup: 2, InSync: true}, shard.View{Epoch: 2, Leader: 2, Backup: 1}
	for name, c := range map[string]struct {
		whats []failure
		last  shard.View
		want  int
	}{
		"both":                         {[]failure{stuck, unreachable}, initial, 2},
		"both, the other way around":   {[]failure{unreachable, stuck}, initial, 2},
		"one":                          {[]failure{stuck}, initial, 1},
		"one, and one that may pass":   {[]failure{stuck, unsent}, initial, 0},
		"one that may pass between":    {[]failure{stuck, notLeader, unreachable}, initial, 1},
		"the second in a newer view":   {[]failure{stuck, unreachable}, taken, 0},
		"waiting in between is no end": {[]failure{stuck, none, unreachable}, initial, 2},
	} {
		at := retryState{view: initial, node: 1}
		for i, what := range c.whats {
			view := initial
			if i == len(c.whats)-1 {
				view = c.last
			}
			at.waiting = true
			at = nextTry(at, view, what, 0)
		}
		if at.persistent != c.want {
			t.Errorf("%s: %d, expected %d", name, at.persistent, c.want)
		}
	}
}

// TestANewConnectionIsNotGivenUp: in the first second requests wait for it.
func TestANewConnectionIsNotGivenUp(t *testing.T) {
	wiring, link := loneWiring("127.0.0.1:1", slog.DiscardHandler)
	go runLink(wiring, 0, link)
	state := make(chan linkState, 1)
	link.State <- state
	if s := <-state; s.Up || strings.Contains(s.Reason, unreachableText) {
		t.Errorf("%+v", s)
	}
}
