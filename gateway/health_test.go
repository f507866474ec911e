package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
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
	foreign := "it belongs to another cluster of that name, with the incarnation " +
		uuid.UUID([16]byte{9}).String() + " instead of " + uuid.UUID([16]byte{1}).String()
	reasons := map[string]bool{"it refuses this gateway: another incarnation": true, foreign: true} // in turn
	all, text := r.readyz()
	peers := ""
	for _, c := range all.Checks {
		if c.Name == "peers" {
			peers = c.Reason
		}
	}
	if n := all.Nodes["db-1"]; !reasons[n.Reason] || n.Refused != shard.OtherIncarnation || peers != "db-1: "+n.Reason {
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
			nudge(r.wiring.Links[1]) // a pong brings what the node says now
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

// TestTheHealthCheckSaysWhatIsWrong: whatever answers at the port, an exit code that is not 0 comes with a reason.
func TestTheHealthCheckSaysWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		status     int
		body, says string
		code       int
	}{
		"a gateway":             {200, `{"ready":true,"nodes":{"db-0":{"up":true}}}`, "", 0},
		"one that is not ready": {503, `{"checks":[{"name":"shards","reason":"away"}],"nodes":{"a":{}}}`, "shards: away", 1},
		"another server":        {404, `{"status":404}`, "is no gateway: /readyz brings 404 Not Found", 1},
		"one that is ready":     {200, `{"ready":true}`, "is no gateway: /readyz brings 200 OK", 1},
		"a page":                {200, `<html>`, "is no gateway", 1},
		"nothing":               {200, ``, "is no gateway", 1},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			fmt.Fprint(w, c.body)
		}))
		out, address := bytes.Buffer{}, server.Listener.Addr().String()
		r, err := askHealth(address)
		code := reportHealth(r, err, &out)
		server.Close()
		if code != c.code || !strings.Contains(out.String(), c.says) || (out.Len() > 0) != (code > 0) {
			t.Errorf("%s: code %d and %q, expected %d and %q", name, code, out.String(), c.code, c.says)
		}
		r, err = askHealth(address)
		if code = reportHealth(r, err, &out); code != 1 || !strings.Contains(out.String(), "it cannot be asked") {
			t.Errorf("nothing listens: code %d and %q", code, out.String())
		}
	}
}

// TestEachCheckSaysWhetherItHolds, all with verbose, else those that do not.
func TestEachCheckSaysWhetherItHolds(t *testing.T) {
	r := newRig(t, ample, ample/2)
	const good = `{"name":"cluster","ok":true},{"name":"shards","ok":true},` +
		`{"name":"peers","ok":true},{"name":"nodes","ok":true}`
	if got := r.must(200, "GET", "/readyz?verbose", "").body; !strings.Contains(got, `"checks":[`+good+`]`) {
		t.Error(got)
	}
	if got := r.must(200, "GET", "/readyz", "").body; strings.Contains(got, "checks") {
		t.Error(got)
	}
	r.nodes[1].stop()
	r.await(1, false)
	for _, path := range []string{"/readyz", "/readyz?verbose"} {
		got := r.ask("GET", path, "").body
		if !strings.Contains(got, `{"name":"shards","ok":false,"reason":"the leader of `) {
			t.Error(path, got)
		}
	}
}
