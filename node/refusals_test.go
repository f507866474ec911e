package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tandem/shard"
	"tandem/shard/views"
	"tandem/wire/peer"
	"tandem/wire/proc"
)

// countedLines counts the lines of a log.
type countedLines struct{ n *atomic.Int64 }

func (c countedLines) Write(b []byte) (int, error) { c.n.Add(1); return len(b), nil }

// TestRefusalsAreToldAndBounded: STATUS has each side that is refused with the reason until it fits, the log has each
// once in ten seconds and for each new reason, and names without end take no memory without end.
func TestRefusalsAreToldAndBounded(t *testing.T) {
	lines := countedLines{&atomic.Int64{}}
	members := []member{{Name: "db-0"}, {Name: "db-1"}, {Name: "db-2"}}
	wiring := newWiring(config{Name: "db-0"}, testLayout, members, 0, proc.Output{},
		slog.New(slog.NewTextHandler(lines, nil)))
	go runRefusals(&wiring.Node, &wiring.Peers)
	ask := func() map[string]string {
		for len(wiring.Refused) > 0 {
			time.Sleep(time.Millisecond)
		}
		reply := make(chan map[string]string, 1)
		wiring.Refusals <- reply
		return <-reply
	}
	for range 50 {
		wiring.Refused <- refusal{Peer: "node db-1", Misfit: shard.OtherRing, Text: "another order"}
	}
	wiring.Refused <- refusal{Peer: "gateway x", Misfit: shard.OtherIncarnation, Text: "foreign"}
	if got := ask(); len(got) != 2 || got["node db-1"] != "ring: another order" ||
		got["gateway x"] != "incarnation: foreign" {
		t.Errorf("%v", got)
	}
	if n := lines.n.Load(); n != 2 {
		t.Errorf("%d lines", n)
	}
	wiring.Refused <- refusal{Peer: "node db-1", Misfit: shard.OtherLease, Text: "too long"}
	wiring.Refused <- refusal{Peer: "gateway x"}
	if got := ask(); len(got) != 1 || !strings.HasPrefix(got["node db-1"], "lease: ") {
		t.Errorf("%v", got)
	}
	for i := range 1000 {
		wiring.Refused <- refusal{Peer: fmt.Sprint("gateway ", i), Misfit: shard.OtherName, Text: "?"}
	}
	if got := ask(); len(got) != refusedMost || got["node db-1"] == "" {
		t.Errorf("%d are kept", len(got))
	}
}

// TestAStoreThatJoinsGreetsAgain: what was greeted while this node did not know its cluster yet ends when it does; its
// greeting says so from then on.
func TestAStoreThatJoinsGreetsAgain(t *testing.T) {
	members := []member{{Name: "db-0"}, {Name: "db-1"}, {Name: "db-2"}}
	wiring := newWiring(config{Name: "db-0"}, testLayout, members, 0, proc.Output{}, nil)
	before, early := greeting(&wiring.Node), originIn(wiring.Origin)
	stores := []uint64{1<<16 | 1, 1<<16 | 2, 1<<16 | 3}
	noteOrigin(wiring.Origin, views.State{})
	select {
	case <-early.Known:
		t.Error("an empty state tells no cluster")
	default:
	}
	state := views.State{Members: stores, Incarnation: shard.Incarnation(stores)}
	noteOrigin(wiring.Origin, state)
	<-early.Known
	// never another one
	noteOrigin(wiring.Origin, views.State{Members: []uint64{9<<16 | 1, 9<<16 | 2, 9<<16 | 3}, Incarnation: [16]byte{9}})
	after := greeting(&wiring.Node)
	if before.Incarnation != [16]byte{} || after.Incarnation != state.Incarnation || len(after.Founders) != 3 {
		t.Errorf("before %v, after %v", before.Incarnation, after.Incarnation)
	}
	// all but the name, which is its own, fits who knows none
	if in, text := shard.Fits(before, after, ""); in != shard.OtherName {
		t.Error(in, text)
	}
}

// TestWhatADialIsSaidToBe: a misfit of either side is an error of this node and a refusal, an answer that is neither
// welcome nor misfit an error only, and a node that nobody reaches neither.
func TestWhatADialIsSaidToBe(t *testing.T) {
	members := []member{{Name: "db-0", Address: "a:1"}, {Name: "db-1"}, {Name: "db-2"}}
	wiring := newWiring(config{Name: "db-1"}, testLayout, members, 1, proc.Output{}, nil)
	broken := errors.New("connection refused")
	for _, c := range []struct {
		came  error
		text  string // of the error; "" for none
		known bool
		want  refusal
	}{
		{nil, "", true, refusal{Peer: "to node db-0"}},
		{broken, "connection refused", false, refusal{}},
		{peer.MisfitError{In: shard.OtherRing, Text: "another order", Refused: true},
			"wrong peer: db-0 refuses this node: another order", true,
			refusal{Peer: "to node db-0", Misfit: shard.OtherRing, Text: "db-0 refuses this node: another order"}},
		{peer.MisfitError{In: shard.OtherRing, Text: "another order"}, "wrong peer at a:1: another order", true,
			refusal{Peer: "to node db-0", Misfit: shard.OtherRing, Text: "another order"}},
		{peer.MisfitError{Text: "too many", Refused: true}, "wrong peer: db-0 refuses this node: too many", false,
			refusal{}},
	} {
		err := noteDial(&wiring.Node, &wiring.Peers, 0, c.came)
		if text := fmt.Sprint(err); (err != nil || c.text != "") && text != c.text {
			t.Errorf("%v: %v, expected %q", c.came, err, c.text)
		}
		if errors.Is(err, errPeer) != (err != nil && c.came != broken) {
			t.Errorf("%v is of the wrong class: %v", c.came, err)
		}
		if n := len(wiring.Refused); c.known != (n == 1) || n > 1 {
			t.Fatalf("%v: %d refusals", c.came, n)
		}
		if c.known {
			if got := <-wiring.Refused; got != c.want {
				t.Errorf("%v: %+v, expected %+v", c.came, got, c.want)
			}
		}
	}
}
