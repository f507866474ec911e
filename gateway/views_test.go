package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tandem/shard"
	"tandem/wire"
)

// replicas returns the leader and the backup of an id's shard, as the cluster was bootstrapped.
func (r *rig) replicas(id string) (leader, backup *fakeNode) {
	s, _ := shard.ShardOf(r.wiring.Layout, id)
	v := shard.InitialView(r.wiring.Layout, s)
	return r.nodes[v.Leader], r.nodes[v.Backup]
}

// requestsOf returns the request ids of the writes that a node was sent.
func requestsOf(n *fakeNode) (all []wire.RequestID) {
	for _, m := range n.saw() {
		if m.Kind == wire.Write {
			all = append(all, m.Request)
		}
	}
	return all
}

func put(id string) string { return `{"id":"` + id + `","name":"n","email":"e","group":1}` }

// TestViewsThatAreToldRoute: the next request goes to the new leader first, whoever told of it.
func TestViewsThatAreToldRoute(t *testing.T) {
	r := newRig(t, ample, ample/2)
	id := r.idLedBy(1, "v")
	leader, backup := r.replicas(id)
	for teller := range r.nodes {
		r.setViews(swapped)
		leader, backup = backup, leader
		r.nodes[teller].sendViews(r.store.current())
		r.awaitViews()
		r.must([]int{201, 409, 409}[teller], "POST", "/api/user/", put(id))
		r.must(200, "GET", "/api/user/"+id, "")
		if led, backed := len(leader.saw()), len(backup.saw()); led != 2 || backed != 0 {
			t.Errorf("told by node %d: the leader was asked %d times, the backup %d times", teller, led, backed)
		}
		leader.set(nil)
	}
	if body := r.must(200, "GET", "/metrics", "").body; !strings.Contains(body, "tandem_view_changes_total 72\n") ||
		!strings.Contains(body, `tandem_tries_bucket{le="1"} 6`) {
		t.Error("the changes of three times 24 views are not counted, or a request needed two tries")
	}
}

// TestViewsAreToldAfterWelcome: a gateway that begins learns what has changed before.
func TestViewsAreToldAfterWelcome(t *testing.T) {
	r := newRig(t, ample, ample/2)
	r.setViews(without(2))
	r.nodes[0].sendViews(r.store.current())
	r.wiring = open(r.wiring.Config, r.wiring.Members, r.wiring.Layout, r.wiring.Log)
	r.awaitViews()
	for node := range r.nodes { // of one that is not connected the metrics have nothing
		r.await(node, true)
	}
	body := r.must(200, "GET", "/metrics", "").body
	// of 24 shards each node held 16; those of node 2 are led by one of the others alone
	for node, want := range []int{8, 8, 0} {
		line := fmt.Sprintf("tandem_shards_under_replicated{node=\"db-%d\"} %d\n", node, want)
		if !strings.Contains(body, line) {
			t.Errorf("the metrics do not have %s", line)
		}
	}
}

// TestNotLeaderLeadsToTheOtherReplica, with the same request, though nobody has told of new views.
func TestNotLeaderLeadsToTheOtherReplica(t *testing.T) {
	r := newRig(t, ample, ample/2)
	id := r.idLedBy(0, "v")
	leader, backup := r.replicas(id)
	r.setViews(swapped)
	got := r.must(201, "POST", "/api/user/", put(id))
	old, now := requestsOf(leader), requestsOf(backup)
	if len(old) != 1 || !slices.Equal(old, now) || got.header.Get("Tandem-Nodes-Touched") != "2" {
		t.Errorf("the old leader was sent %x, the new one %x; %v", old, now, got.header)
	}
	if body := r.must(200, "GET", "/metrics", "").body; !strings.Contains(body,
		`tandem_retries_total{reason="not_leader"} 1`) {
		t.Error("the retry is not counted")
	}
}

// TestALeaderThatFallsSilent: its backup answers the same request once it has taken over, be the leader cut off, broken
// or gone, and be the gateway told or not.
func TestALeaderThatFallsSilent(t *testing.T) {
	for _, how := range []string{"deaf", "silent", "broken", "gone"} {
		for _, isTold := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, told %v", how, isTold), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { testSilentLeader(t, how, isTold) })
			})
		}
	}
}

func testSilentLeader(t *testing.T, how string, isTold bool) {
	r := newVirtualRig(t, ample, 10*time.Millisecond, 80*time.Millisecond)
	id := r.idLedBy(2, "v")
	leader, backup := r.replicas(id)
	leader.set(func(*wire.Message) (verdict, *wire.Message) {
		switch how {
		case "deaf":
			leader.setDeaf(true)
		case "broken":
			return hangUp, nil
		case "gone":
			leader.leave()
			return hangUp, nil
		}
		return silent, nil
	})
	var refused atomic.Int64
	backup.set(func(m *wire.Message) (verdict, *wire.Message) {
		switch refused.Add(1) {
		case 1:
			return refuse, &wire.Message{Kind: wire.Error, Code: wire.NotLeader, Text: "not yet"}
		case 2:
			return refuse, &wire.Message{Kind: wire.Error, Code: wire.Unavailable, Text: "almost"}
		case 3:
			r.setViews(without(2))
			if isTold {
				go backup.sendViews(r.store.current())
			}
		}
		return answer, nil
	})
	r.must(201, "POST", "/api/user/", put(id))
	asked, all := requestsOf(leader), append(requestsOf(leader), requestsOf(backup)...)
	if len(asked) == 0 || len(requestsOf(backup)) < 3 || len(slices.Compact(all)) != 1 {
		t.Errorf("the leader was sent %x, of all writes %x", asked, all)
	}
}

// TestBothReplicasDown: the answer comes at the deadline, when both have been asked, and names a reason.
func TestBothReplicasDown(t *testing.T) {
	for _, how := range []string{"deaf", "silent", "gone", "not leader"} {
		t.Run(how, func(t *testing.T) {
			silence := ample
			if how == "deaf" {
				silence = 80 * time.Millisecond
			}
			r := newSilenceRig(t, 500*time.Millisecond, 50*time.Millisecond, silence)
			id := r.idLedBy(1, "v")
			leader, backup := r.replicas(id)
			for _, n := range []*fakeNode{leader, backup} {
				switch how {
				case "deaf":
					n.setDeaf(true)
				case "silent":
					n.set(func(*wire.Message) (verdict, *wire.Message) { return silent, nil })
				case "gone":
					n.stop()
				case "not leader":
					n.set(func(*wire.Message) (verdict, *wire.Message) {
						return refuse, &wire.Message{Kind: wire.Error, Code: wire.NotLeader, Text: "who knows"}
					})
				}
			}
			began := time.Now()
			got := r.must(503, "DELETE", "/api/user/"+id, "")
			if took := time.Since(began); took > patience {
				t.Errorf("it took %v", took)
			}
			if !strings.Contains(got.body, leader.name) && !strings.Contains(got.body, backup.name) {
				t.Errorf("no node is named: %s", got.body)
			}
			connected := how == "silent" || how == "not leader"
			if connected && (len(leader.saw()) == 0 || len(backup.saw()) == 0) {
				t.Errorf("the leader was asked %d times, the backup %d times", len(leader.saw()), len(backup.saw()))
			}
			if most := 90; len(leader.saw()) > most || len(backup.saw()) > most {
				t.Errorf("a busy loop: the leader was asked %d times, the backup %d times", len(leader.saw()), len(backup.saw()))
			}
		})
	}
}

// TestASilentNodeIsSentLittle: whatever a request waits for, it has two tries at most under way at a node.
func TestASilentNodeIsSentLittle(t *testing.T) {
	r := newRig(t, time.Second, 20*time.Millisecond)
	id := r.idLedBy(1, "v")
	leader, _ := r.replicas(id)
	// it answers pings, so the connections stay
	leader.set(func(*wire.Message) (verdict, *wire.Message) { return silent, nil })
	r.must(503, "GET", "/api/user/"+id, "")
	if n := len(leader.saw()); n != triesAtNode {
		t.Errorf("it was asked %d times", n)
	}
}

// TestAnEarlierTrysOutcomeCounts while the other replica is waited for.
func TestAnEarlierTrysOutcomeCounts(t *testing.T) {
	r := newRig(t, ample, 20*time.Millisecond)
	id := r.idLedBy(0, "v")
	leader, backup := r.replicas(id)
	asked := make(chan struct{}, 100)
	leader.set(func(*wire.Message) (verdict, *wire.Message) {
		<-asked // the backup has been: the first try has been given up
		return answer, nil
	})
	backup.set(func(*wire.Message) (verdict, *wire.Message) {
		asked <- struct{}{}
		return silent, nil
	})
	r.must(201, "POST", "/api/user/", put(id))
}

// TestOlderAndWrongViewsAreLeftOut: nodes learn at different times, and may be of another cluster.
func TestOlderAndWrongViewsAreLeftOut(t *testing.T) {
	r := newRig(t, ample, ample/2)
	initial := r.store.current()
	r.setViews(swapped)
	r.nodes[0].sendViews(r.store.current())
	r.awaitViews()
	foreign, few := r.store.current(), r.store.current()[1:]
	for s := range foreign {
		foreign[s].Epoch += 5
	}
	foreign[23].Leader = 1 << 40
	for _, views := range [][]wire.View{initial, foreign, few, nil} {
		r.nodes[1].sendViews(views)
	}
	r.setViews(without(0)) // when this is known, what was told before on the same connection has been seen
	r.nodes[1].sendViews(r.store.current())
	r.awaitViews()
	// 16 of them are node 0's
	if body := r.must(200, "GET", "/metrics", "").body; !strings.Contains(body, "tandem_view_changes_total 40\n") {
		t.Error("views were taken that should not be")
	}
}

func TestMergeViews(t *testing.T) {
	l := shard.Layout{Nodes: 3, Shards: 6}
	old := []shard.View{}
	for s := range l.Shards {
		old = append(old, shard.InitialView(l, s))
	}
	before := slices.Clone(old)
	same := func(what string, views []shard.View, changed []int, err error) {
		t.Helper()
		if &views[0] != &old[0] || len(changed) != 0 || !slices.Equal(old, before) {
			t.Errorf("%s: %v %v %v", what, views, changed, err)
		}
	}
	views, changed, err := mergeViews(l, old, frameOf(old))
	same("nothing new", views, changed, err)
	news := frameOf(old)
	news[2].Epoch, news[2].InSync = 4, false
	news[4].Epoch, news[4].Leader, news[4].Backup = 2, news[4].Backup, news[4].Leader
	news[5].InSync = false // of the same epoch
	views, changed, err = mergeViews(l, old, news)
	if err != nil || !slices.Equal(changed, []int{2, 4}) || views[2] != (shard.View{Epoch: 4, Leader: old[2].Leader,
		Backup: old[2].Backup}) ||
		views[4] != (shard.View{Epoch: 2, Leader: old[4].Backup, Backup: old[4].Leader, InSync: true}) ||
		views[5] != old[5] || !slices.Equal(old, before) {
		t.Errorf("%v %v %v", views, changed, err)
	}
	for what, spoil := range map[string]func(all []wire.View) []wire.View{
		"too few":      func(all []wire.View) []wire.View { return all[1:] },
		"too many":     func(all []wire.View) []wire.View { return append(all, all[0]) },
		"no node":      func(all []wire.View) []wire.View { all[5].Leader = 3; return all },
		"another pair": func(all []wire.View) []wire.View { all[5].Leader, all[5].Backup = 0, 1; return all },
		"both":         func(all []wire.View) []wire.View { all[5].Backup = all[5].Leader; return all },
		"beyond int":   func(all []wire.View) []wire.View { all[5].Leader += 1 << 63; return all },
	} {
		views, changed, err := mergeViews(l, old, spoil(slices.Clone(news)))
		same(what, views, changed, err)
		if !errors.Is(err, errViews) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestAFloodOfViewsBlocksNobody: frames that all change something, from all nodes at once, while requests are answered.
func TestAFloodOfViewsBlocksNobody(t *testing.T) {
	r := newRig(t, ample, ample/4)
	r.fill(20)
	ended := make(chan []wire.View, len(r.nodes))
	for i, n := range r.nodes {
		go func() {
			views := r.store.current()
			for k := range 3000 {
				for s := range views {
					views[s].Epoch = uint64(3*k + i + 2)
				}
				n.sendViews(views)
			}
			ended <- views
		}()
	}
	for k, open := 0, len(r.nodes); open > 0; k++ {
		r.must(200, "GET", fmt.Sprintf("/api/user/u%d", k%20), "")
		r.must(200, "GET", "/api/user/count", "")
		for len(ended) > 0 {
			<-ended
			open--
		}
	}
}

func TestNextTry(t *testing.T) {
	const ms = int64(time.Millisecond)
	initial := shard.View{Epoch: 1, Leader: 1, Backup: 2, InSync: true}
	taken, alone := shard.View{Epoch: 2, Leader: 2, Backup: 1}, shard.View{Epoch: 2, Leader: 1, Backup: 2}
	waits := retryState{view: initial, node: 1, waiting: true, due: 50 * ms}
	pauses := retryState{view: initial, node: 1, due: 50 * ms, last: notLeader, immediate: 2}
	for name, c := range map[string]struct {
		from  retryState
		view  shard.View
		what  failure
		node  int
		after int64 // ms until the next try; -1: the state stays as it was
	}{
		"nothing yet":    {waits, initial, none, 1, -1},
		"in a pause":     {pauses, initial, none, 1, -1},
		"silence":        {waits, initial, silence, 2, 0},
		"not the leader": {waits, initial, notLeader, 2, 0},
		"not the leader again": {retryState{view: initial, node: 2, waiting: true, last: notLeader, immediate: 1},
			initial, notLeader, 1, 5},
		"not the leader for the third time": {
			retryState{view: initial, node: 2, waiting: true, last: notLeader, immediate: 2}, initial, notLeader, 1, 10},
		"not the leader for the tenth time": {
			retryState{view: initial, node: 2, waiting: true, last: notLeader, immediate: 9}, initial, notLeader, 1, 15},
		"cannot serve now": {waits, initial, unavailable, 2, 10},
		"cannot serve now, long since": {retryState{view: initial, node: 1, waiting: true, last: unavailable, immediate: 9},
			initial, unavailable, 2, 15},
		"a disk error": {waits, initial, diskError, 2, 10},
		"not here":     {waits, initial, notHere, 2, 10},
		"too busy":     {waits, initial, busy, 1, 10},
		"overdue":      {waits, initial, overdue, 1, 10},
		"broken":       {waits, initial, broken, 2, 0},
		"no connection": {retryState{view: initial, node: 1, waiting: true, last: notLeader, immediate: 9},
			initial, unsent, 2, 0},
		"no connection to either": {retryState{view: initial, node: 2, waiting: true, last: unsent, immediate: 1},
			initial, unsent, 1, 5},
		"another leads while it waits":        {waits, taken, none, 2, 0},
		"another leads, in a pause":           {pauses, taken, none, 2, 0},
		"the same leads alone, in a pause":    {pauses, alone, none, 1, 0},
		"the same leads alone while it waits": {waits, alone, none, 1, -1},
		"not the leader, and the other is":    {waits, taken, notLeader, 2, 0},
		"cannot serve, and the other does":    {waits, taken, unavailable, 2, 0},
		"silent, and the other leads":         {waits, taken, silence, 2, 0},
		"stuck":                               {waits, initial, stuck, 2, 0},
		"unreachable":                         {waits, initial, unreachable, 2, 0},
		"no connection, and the other stuck": {retryState{view: initial, node: 1, waiting: true, last: stuck, immediate: 1},
			initial, unsent, 2, 5},
		"no connection, and the other unreachable": {
			retryState{view: initial, node: 1, waiting: true, last: unreachable, immediate: 9}, initial, unsent, 2, 15},

		"a backup that is too busy": {retryState{view: initial, node: 2, waiting: true}, initial, busy, 1, 10},
		"about to lead": {retryState{view: initial, node: 2, waiting: true, last: silence, immediate: 1},
			taken, notLeader, 2, 5},
		"an older view": {retryState{view: taken, node: 2, waiting: true}, initial, notLeader, 1, 0},
	} {
		got := nextTry(c.from, c.view, c.what, 20*ms)
		want := retryState{view: got.view, node: c.node, due: (20 + c.after) * ms, last: got.last, immediate: got.immediate,
			persistent: got.persistent}
		if c.after < 0 {
			want.waiting, want.due = c.from.waiting, c.from.due
		}
		if got != want || got.view != c.from.view && got.view.Epoch <= c.from.view.Epoch ||
			got.immediate < c.from.immediate {

			t.Errorf("%s: %+v, expected %+v", name, got, want)
		}
	}
}
