package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tandem/shard"
	"tandem/wire/proc"
)

// TestANodeIsFoundByItsName: a name server that takes longer than a dial is waited for; without one a node that stands
// where it stood is found again; one that has moved is found where its name has come to point.
func TestANodeIsFoundByItsName(t *testing.T) {
	answers := make(chan []netip.Addr) // nil: the name server has none
	lookup := func(ctx context.Context, _ string) ([]netip.Addr, error) {
		select {
		case found := <-answers:
			if found == nil {
				return nil, errors.New("the name server is away")
			}
			return found, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	node := &fakeNode{name: "db-0", incarnation: [16]byte{1},
		store: &fakeStore{layout: shard.Layout{Nodes: 3, Shards: 24}}}
	node.listen(t, "127.0.0.1:0")
	_, port, _ := net.SplitHostPort(node.listener.Addr().String())
	wiring, link := loneWiring("db-0.test:"+port, slog.DiscardHandler)
	wiring.Names = []proc.Names{proc.NewNames("db-0.test:"+port, lookup)}
	go proc.RunNames(wiring.Names[0])
	go runLink(wiring, 0, link)
	r := &rig{t: t, wiring: wiring}
	end := time.Now().Add(patience)
	for again := 0; again < 3; { // several dials while it is looked up
		if time.Now().After(end) {
			t.Fatal("it is not said that the name is being looked up")
		}
		state := make(chan linkState, 1)
		link.State <- state
		if s := <-state; strings.Contains(s.Reason, "is being looked up") {
			again++
			link.Nudge <- struct{}{} // the next dial comes at once
			time.Sleep(dialTimeout)
		}
	}
	answers <- []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	r.await(0, true)

	address := node.listener.Addr().String()
	node.stop()
	r.await(0, false)
	answers <- nil
	node.listen(t, address)
	r.await(0, true)

	node.stop()
	r.await(0, false)
	moved := &fakeNode{name: "db-0", incarnation: [16]byte{1}, store: node.store}
	moved.listen(t, net.JoinHostPort("127.0.0.2", port))
	defer moved.stop()
	answers <- []netip.Addr{netip.MustParseAddr("127.0.0.2")}
	r.await(0, true)
}
