package main

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"tandem/wire"
	"tandem/wire/proc"
)

// welcomeAll is a node that welcomes whoever greets it, and no more.
func welcomeAll(listener net.Listener) {
	members := []Member{{Name: "db-0"}, {Name: "db-1"}, {Name: "db-2"}}
	greeting := sayGreeting(newWiring(Config{Name: "db-0", Lease: 100, Grace: 120}, testLayout, members, 0,
		proc.Output{}, nil).Mine)
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		_, err = wire.ReadFrame(bufio.NewReader(conn), nil)
		if err == nil {
			_, _ = conn.Write(wire.NewCodec().AppendFrame(nil,
				&wire.Message{Kind: wire.Welcome, ID: 1, Greeting: greeting}))
		}
		conn.Close()
	}
}

// TestAPeerIsFoundByItsName: a look-up may last longer than a dial, which then fails and is repeated; later ones that
// get no answer keep no dial from the address that worked; when the name has come to point elsewhere the peer is
// dialled there.
func TestAPeerIsFoundByItsName(t *testing.T) {
	answers := make(chan netip.Addr)
	lookup := func(ctx context.Context, _ string) ([]netip.Addr, error) {
		select {
		case at := <-answers:
			return []netip.Addr{at}, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go welcomeAll(listener)
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	members := []Member{{Name: "db-0"}, {Name: "db-1"}, {Name: "db-2"}}
	wiring := newWiring(Config{Silent: 20 * time.Millisecond, Name: "db-1", Lease: 100, Grace: 120}, testLayout,
		members, 1, proc.Output{}, nil)
	wiring.Names = []proc.Names{proc.NewNames("db-0.test:"+port, lookup)}
	go proc.RunNames(wiring.Names[0])
	try := func() error {
		out := make(chan call, 1)
		go dial(&wiring.Node, &wiring.Peers, 0, out)
		c := <-out
		if c.err == nil {
			c.raw.Close()
		}
		return c.err
	}
	reached := func() {
		t.Helper()
		for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
			err := try()
			if err == nil {
				return
			}
			if time.Now().After(end) {
				t.Fatal(err)
			}
		}
	}
	for range 3 {
		if err = try(); !errors.Is(err, proc.ErrName) {
			t.Fatal(err)
		}
	}
	answers <- netip.MustParseAddr("127.0.0.1")
	reached()
	listener.Close()
	for range 3 { // from now on look-ups are under way
		if err = try(); err == nil {
			t.Fatal("nobody is there, and yet somebody answers")
		}
	}
	if listener, err = net.Listen("tcp", "127.0.0.1:"+port); err != nil {
		t.Fatal(err)
	}
	go welcomeAll(listener)
	reached()

	listener.Close()
	moved, err := net.Listen("tcp", "127.0.0.2:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer moved.Close()
	go welcomeAll(moved)
	looked := make(chan struct{})
	go func() {
		answers <- netip.MustParseAddr("127.0.0.2")
		close(looked)
	}()
	reached()
	<-looked
}
