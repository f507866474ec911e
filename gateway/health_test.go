package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"tandem/shard"
)

// readyz asks for all checks.
func (r *rig) readyz() (all readiness, text string) {
	r.t.Helper()
	text = r.ask("GET", "/readyz?verbose", "").body
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		r.t.Fatal(err)
	}
	return all, text
}

// TestARefusalSaysOnceWhy, whoever refuses: by no class of error and no address, and by the node's name once.
func TestARefusalSaysOnceWhy(t *testing.T) {
	r := newRig(t, ample, ample/2)
	r.nodes[1].belong([16]byte{9})
	r.refusedAs(1, shard.OtherIncarnation)
	barred := "it belongs to another cluster of that name, with the incarnation " +
		uuid.UUID([16]byte{9}).String() + " instead of " + uuid.UUID([16]byte{1}).String()
	told := map[string]bool{"it refuses this gateway: another incarnation": true, barred: true} // in turn
	all, text := r.readyz()
	peers := ""
	for _, c := range all.Checks {
		if c.Name == "peers" {
			peers = c.Reason
		}
	}
	if n := all.Nodes["db-1"]; !told[n.Reason] || n.Refused != shard.OtherIncarnation || peers != "db-1: "+n.Reason {
		t.Error(text)
	}
}

// TestWhatANodeLacksIsShownWhileItIsConnected: of a node that is down nothing is known, so its series go.
func TestWhatANodeLacksIsShownWhileItIsConnected(t *testing.T) {
	r := newRig(t, ample, ample/2)
	address := r.nodes[1].listener.Addr().String()
	lack := func(text string) {
		r.nodes[1].lock.Lock()
		r.nodes[1].lacks = text
		r.nodes[1].lock.Unlock()
	}
	const disk, views = `tandem_node_lacks{check="disk",node="db-1"} `, `tandem_node_lacks{check="views",node="db-1"} `
	shows := func(present bool, want ...string) {
		t.Helper()
		for end := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
			nudge(r.room.Links[1]) // a pong brings what the node says now
			text, fit := r.ask("GET", "/metrics", "").body, true
			for _, line := range want {
				fit = fit && strings.Contains(text, line) == present
			}
			if fit {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("expected %q to be there: %v; found\n%s", want, present, text)
			}
		}
	}
	lack("disk: no space left")
	shows(true, disk+"1", views+"0", `tandem_node_lacks{check="disk",node="db-0"} 0`)
	if all, text := r.readyz(); all.Nodes["db-1"].Lacks != "disk: no space left" {
		t.Error(text)
	}
	r.nodes[1].stop()
	r.await(1, false)
	text := r.must(200, "GET", "/metrics", "").body
	if strings.Contains(text, disk) || strings.Contains(text, views) ||
		!strings.Contains(text, `tandem_node_lacks{check="disk",node="db-0"} 0`) {
		t.Errorf("the series of a node that is down, and only they, are to go:\n%s", text)
	}
	lack("")
	r.nodes[1].listen(t, address)
	r.await(1, true)
	shows(true, disk+"0", views+"0")
}
