package peer

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"tandem/shard"
	"tandem/wire"
	"tandem/wire/proc"
)

// welcomeAll is a node that welcomes whoever greets it, and no more.
func welcomeAll(listener net.Listener) {
	greeting := Say(greetingOf("db-0"))
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
	names := proc.NewNames("db-0.test:"+port, lookup)
	go proc.RunNames(names)
	try := func() error {
		c := Dial(names, 25*time.Millisecond, func() shard.Greeting { return greetingOf("db-1") }, "db-0")
		if c.Err == nil {
			c.Raw.Close()
		}
		return c.Err
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
