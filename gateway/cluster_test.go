package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"tandem/shard"
)

// belong makes a node one of the cluster with the incarnation is, and ends its connections, as a new process would.
func (n *fakeNode) belong(is [16]byte) {
	n.lock.Lock()
	defer n.lock.Unlock()
	n.incarnation = is
	for _, conn := range n.open {
		conn.Close()
	}
	n.open = nil
}

// refusedAs polls until all connections to a node are refused for that.
func (r *rig) refusedAs(node int, want shard.Misfit) linkState {
	r.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		fit, s := true, linkState{}
		for _, link := range r.wiring.Links[node] {
			state := make(chan linkState, 1)
			link.State <- state
			s = <-state
			fit = fit && !s.Up && s.Refused == want
		}
		if fit {
			return s
		}
		if time.Now().After(end) {
			r.t.Fatalf("the connections to node %d are not refused for %q: %+v", node, want, s)
		}
	}
}

// TestANodeOfAnotherClusterGetsNoRequest, though its settings are all the same and its views the newest; it is named in
// health and metrics, and served again when it is one of the cluster.
func TestANodeOfAnotherClusterGetsNoRequest(t *testing.T) {
	r := newRig(t, 240*time.Millisecond, 50*time.Millisecond)
	foreign := frameOf(currentViews(r.wiring.Views).Views)
	for s := range foreign {
		foreign[s].Epoch = 99
	}
	r.nodes[1].sendViews(nil)
	before := currentViews(r.wiring.Views).Views
	r.nodes[1].lock.Lock()
	r.nodes[1].views = foreign // after each welcome
	r.nodes[1].lock.Unlock()
	r.nodes[1].belong([16]byte{9})
	state := r.refusedAs(1, shard.OtherIncarnation)
	if !strings.Contains(state.Reason, "incarnation") {
		t.Errorf("%+v", state)
	}
	r.nodes[1].set(nil)
	for s := range 24 {
		id := r.idLedBy(s%3, "x")
		got := r.ask("GET", "/api/user/"+id, "")
		if got.status != http.StatusNotFound && got.status != http.StatusServiceUnavailable {
			t.Errorf("%s: %+v", id, got)
		}
	}
	if seen := r.nodes[1].saw(); len(seen) > 0 {
		t.Errorf("a node of another cluster got %+v", seen[0])
	}
	if !slices.Equal(currentViews(r.wiring.Views).Views, before) {
		t.Error("the views of another cluster were believed")
	}
	for path, want := range map[string]string{
		"/metrics": `tandem_links_refused{node="db-1",reason="incarnation"} 2`, "/healthz": `"refused":"incarnation"`,
	} {
		if got := string(r.ask("GET", path, "").body); !strings.Contains(got, want) {
			t.Errorf("%s does not have %s: %s", path, want, got)
		}
	}
	r.nodes[1].sendViews(nil)
	r.nodes[1].belong([16]byte{1})
	r.await(1, true)
	got := r.ask("GET", "/metrics", "").body
	if !strings.Contains(got, `tandem_links_refused{node="db-1",reason="incarnation"} 0`) {
		t.Error("it still counts as refused")
	}
}

// TestAClusterMadeAnewIsFollowed: when more than half of the nodes belong to another cluster, it is the one that is
// served, and nothing that was known of the former one's views counts.
func TestAClusterMadeAnewIsFollowed(t *testing.T) {
	r := newRig(t, ample, 50*time.Millisecond)
	r.setViews(swapped)
	for _, n := range r.nodes {
		n.sendViews(r.store.current())
	}
	r.awaitViews()
	r.nodes[0].sendViews(nil)
	r.nodes[0].belong([16]byte{2})
	r.refusedAs(0, shard.OtherIncarnation)
	if currentViews(r.wiring.Views).Cluster != [16]byte{1} {
		t.Fatal("one node of three was followed")
	}
	r.nodes[1].sendViews(nil)
	r.nodes[1].belong([16]byte{2})
	r.await(0, true)
	r.await(1, true)
	set := currentViews(r.wiring.Views)
	if set.Cluster != [16]byte{2} || set.Views[0].Epoch != 1 {
		t.Errorf("the cluster is %v, with the views %v", set.Cluster[0], set.Views)
	}
	r.refusedAs(2, shard.OtherIncarnation)
}

// TestNoClusterIsGuessed: two nodes of different clusters answer, the third does not; --incarnation decides.
func TestNoClusterIsGuessed(t *testing.T) {
	r := newRig(t, 100*time.Millisecond, 50*time.Millisecond)
	r.nodes[0].stop()
	r.nodes[1].belong([16]byte{2})
	config := r.wiring.Config
	torn := &rig{t: t, wiring: open(config, r.wiring.Members, r.wiring.Layout, r.wiring.Log), store: r.store,
		nodes: r.nodes}
	torn.refusedAs(1, shard.OtherIncarnation) // not before both have been heard, for then one of them would be the cluster
	state := torn.refusedAs(2, shard.OtherIncarnation)
	if !strings.Contains(state.Reason, uuid.UUID([16]byte{2}).String()) || !strings.Contains(state.Reason, "db-2") {
		t.Errorf("%+v", state)
	}
	if currentViews(torn.wiring.Views).Cluster != [16]byte{} {
		t.Error("a cluster was guessed")
	}
	config.Incarnation = uuid.UUID([16]byte{2}).String()
	pinned := &rig{t: t, wiring: open(config, r.wiring.Members, r.wiring.Layout, r.wiring.Log), store: r.store,
		nodes: r.nodes}
	pinned.await(1, true)
	pinned.refusedAs(2, shard.OtherIncarnation)
}

// TestAClusterThatIsBootstrappedGetsNoRequest: nodes that belong to no cluster yet are kept, and served as soon as
// they do.
func TestAClusterThatIsBootstrappedGetsNoRequest(t *testing.T) {
	r := newRig(t, ample, 50*time.Millisecond)
	for _, n := range r.nodes {
		n.belong([16]byte{})
	}
	wiring := open(r.wiring.Config, r.wiring.Members, r.wiring.Layout, r.wiring.Log)
	unborn := &rig{t: t, wiring: wiring, store: r.store, nodes: r.nodes}
	for node := range r.nodes {
		unborn.await(node, false)
	}
	state := make(chan linkState, 1)
	wiring.Links[0][0].State <- state
	if s := <-state; s.Up || s.Refused != "" {
		t.Errorf("%+v", s)
	}
	for _, n := range r.nodes {
		n.belong([16]byte{4})
	}
	for node := range r.nodes {
		unborn.await(node, true)
	}
	if currentViews(wiring.Views).Cluster != [16]byte{4} {
		t.Error("another cluster was chosen")
	}
}

// TestViewsOfAnotherClusterAreLeftOut, whenever they come in: what was read of a connection before another cluster was
// chosen may lie here.
func TestViewsOfAnotherClusterAreLeftOut(t *testing.T) {
	r := newRig(t, ample, 50*time.Millisecond)
	foreign := frameOf(currentViews(r.wiring.Views).Views)
	own := slices.Clone(foreign)
	for s := range foreign {
		foreign[s].Epoch = 99
	}
	own[0].Epoch = 2
	r.wiring.ViewReports <- viewReport{"db-1", [16]byte{9}, foreign}
	r.wiring.ViewReports <- viewReport{"db-1", [16]byte{}, foreign}
	r.wiring.ViewReports <- viewReport{"db-0", [16]byte{1}, own}
	for end := time.Now().Add(patience); currentViews(r.wiring.Views).Views[0].Epoch < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the views of the own cluster are not believed")
		}
	}
	if views := currentViews(r.wiring.Views).Views; views[0].Epoch != 2 || views[1].Epoch != 1 {
		t.Errorf("%+v", views)
	}
}
