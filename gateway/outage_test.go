package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/shard"
	"tandem/wire"
	"tandem/wire/peer"
	"tandem/wire/proc"
)

// TestOneLossIsOneLine, whatever the connections to a node meet while it lasts.
func TestOneLossIsOneLine(t *testing.T) {
	started := time.Unix(1e9, 0)
	at := func(after time.Duration, node int, kind, text string, stood time.Duration) outage {
		return outage{node, kind, errors.New(text), stood, started.Add(after)}
	}
	const minute, ms = time.Minute, time.Millisecond
	ring := string(shard.OtherRing)
	all := []struct {
		t    outage
		said bool
	}{
		{at(ms, 0, unnamed, "is being looked up", 0), false}, // db-0 has a name that nobody knows
		{at(5*ms, 1, unknown, "which cluster", 0), false},    // db-1 is welcomed, and served soon
		{at(6*time.Second, 0, unnamed, "no such host", 0), true},
		{at(60*time.Second, 0, unnamed, "the name server is away", 0), false},

		{at(minute, 1, lost, "the connection broke", minute), true}, // db-1 is killed
		{at(minute+2*ms, 1, lost, "it is silent", minute), false},   // the other connection
		{at(minute+7*ms, 1, lost, "connection refused", 0), false},
		{at(2*minute, 1, lost, "no answer", 0), false},
		{at(3*minute, 1, lost, "the connection broke", 900*ms), false}, // it welcomes and ends
		{at(4*minute, 1, lost, "the connection broke", minute), true},  // it was back, and is lost again

		{at(4*minute+ms, 2, lost, "the connection broke", minute), true}, // another one
		{at(4*minute+2*ms, 2, ring, "another order", 0), false},          // comes back with other settings: said by and by
		{at(4*minute+1002*ms, 2, ring, "another order", 0), true},
		{at(4*minute+9*time.Second, 2, ring, "another order", 0), false},
		{at(4*minute+12*time.Second, 2, ring, "another order", 0), true},      // and again, for an operator must act
		{at(4*minute+14*time.Second, 2, lost, "connection refused", 0), true}, // it is stopped
		{at(4*minute+40*time.Second, 2, unknown, "of no cluster yet", 0), true},
		{at(5*minute, 2, unknown, "of no cluster yet", 0), false},
	}
	want, log := []string{}, bytes.Buffer{}
	wiring := &wiring{Members: []member{{Name: "db-0"}, {Name: "db-1"}, {Name: "db-2"}},
		Outages: make(chan outage, len(all)),
		Log:     slog.New(slog.NewTextHandler(&log, nil))}
	for _, c := range all {
		wiring.Outages <- c.t
		if c.said {
			want = append(want, fmt.Sprintf("peer=db-%d error=%q", c.t.node, c.t.err.Error()))
		}
	}
	close(wiring.Outages)
	logOutages(wiring, started)
	got := strings.Split(strings.TrimSpace(log.String()), "\n")
	if !slices.EqualFunc(got, want, strings.Contains) {
		t.Errorf("expected\n%s\nfound\n%s", strings.Join(want, "\n"), log.String())
	}
}

// TestTheKindOfAnOutage: a node that is down at several addresses, dialled in turn, has one kind.
func TestTheKindOfAnOutage(t *testing.T) {
	for kind, errs := range map[string][]error{
		unnamed:                   {fmt.Errorf("%w: no such host", proc.ErrName)},
		string(shard.OtherShards): {fmt.Errorf("%w", peer.MisfitError{In: shard.OtherShards, Text: "24, not 12"})},
		lost: {errors.New("the connection broke"),
			&net.OpError{Op: "dial", Addr: &net.TCPAddr{Port: 1}, Err: errors.New("refused")},
			&net.OpError{Op: "dial", Addr: &net.TCPAddr{Port: 2}, Err: errors.New("timeout")}},
	} {
		for _, err := range errs {
			if got := outageKind(session{err: err}); got != kind {
				t.Errorf("%v: %q, expected %q", err, got, kind)
			}
		}
	}
	early := errors.New("it belongs to no cluster yet")
	if got := outageKind(session{err: early, clusterErr: early}); got != unknown {
		t.Errorf("%v: %q", early, got)
	}
}

// TestALossOfAllConnectionsIsOneLine: each of two connections to a node tells of its loss, and what its dials meet
// after that; that makes one line.
func TestALossOfAllConnectionsIsOneLine(t *testing.T) {
	node := &fakeNode{name: "db-0", incarnation: [16]byte{1},
		store: &fakeStore{layout: shard.Layout{Nodes: 3, Shards: 24}}}
	node.listen(t, "127.0.0.1:0")
	lone, link := loneWiring(node.listener.Addr().String(), slog.DiscardHandler)
	other, wiring, outages := newLink(), *lone, make(chan outage, 10000)
	wiring.Links, wiring.Outages = [][]*linkHandle{{link, other}}, outages // not told to the log
	go runLink(&wiring, 0, link)
	go runLink(&wiring, 0, other)
	(&rig{t: t, wiring: &wiring}).await(0, true)
	for len(outages) > 0 {
		<-outages // of dials that a slow machine has made fail
	}
	node.stop()
	logged, lines, lifetimes := outage{}, 0, 0
	started := time.Now()
	for n := 0; n < 8 || lifetimes < 2; n++ {
		select {
		case got := <-outages:
			if got.at = started.Add(time.Hour + time.Duration(n)*time.Millisecond); got.lifetime > 0 {
				got.lifetime = time.Minute
				lifetimes++
			}
			if shouldLog(got, logged, started) {
				logged = got
				lines++
			}
		case <-time.After(patience):
			t.Fatalf("no more comes after %d outages", n)
		}
	}
	if lines != 1 {
		t.Errorf("%d lines", lines)
	}
}

// TestANodeThatFlapsHasOneOutage: it welcomes and closes at once, and is dialled on and on. How little of that is
// logged TestOneLossIsOneLine says.
func TestANodeThatFlapsHasOneOutage(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if hello, err := wire.ReadFrame(bufio.NewReader(conn), nil); err == nil { // else the gateway has given this dial up
				m := &wire.Message{}
				_ = wire.NewCodec().Decode(m, hello)
				welcome := &wire.Message{Kind: wire.Welcome, ID: m.ID, Greeting: fakeGreeting("db-0")}
				_, _ = conn.Write(wire.NewCodec().AppendFrame(nil, welcome))
			}
			conn.Close()
		}
	}()
	wiring, link := loneWiring(listener.Addr().String(), slog.DiscardHandler)
	outages, flapping := make(chan outage), *wiring
	flapping.Outages = outages // instead of the log
	go runLink(&flapping, 0, link)
	for welcomed := 0; welcomed < 12; {
		select {
		case got := <-outages:
			if got.kind != lost {
				t.Fatalf("%+v", got)
			}
			if got.lifetime > 0 {
				welcomed++
			}
		case <-time.After(patience):
			t.Fatalf("it was reached %d times", welcomed)
		}
	}
}
