package proc

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// patience is for what must come about.
const patience = time.Minute

// TestWhatIsNoNameIsDialledAsItIs, without a loop and without a look-up.
func TestWhatIsNoNameIsDialledAsItIs(t *testing.T) {
	for _, address := range []string{"127.0.0.1:7400", "[::1]:7400", "[fe80::1%lo]:7400", ":7400", "nonsense"} {
		names := NewNames(address, nil)
		RunNames(names) // returns
		got, err := names.Next(0)
		if names.Tell(got, nil); got != address || err != nil {
			t.Errorf("%s: %s, %v", address, got, err)
		}
	}
}

// answer is what a look-up that a test is in charge of comes to.
type answer struct {
	addrs []netip.Addr
	err   error
}

// TestAKnownAddressWaitsForNoLookUp: the first look-up outlasts many dials and counts all the same; while later ones
// stay without an answer, or fail, the address that worked is dialled; another one that a look-up brings is dialled
// next.
func TestAKnownAddressWaitsForNoLookUp(t *testing.T) {
	answers := make(chan answer)
	names := NewNames("db-0.test:7400", func(ctx context.Context, name string) ([]netip.Addr, error) {
		if name != "db-0.test" {
			t.Errorf("%s is looked up", name)
		}
		if until, limited := ctx.Deadline(); !limited || time.Until(until) < time.Second {
			t.Errorf("a look-up has until %v: no more than a dial, or for ever", until)
		}
		select {
		case a := <-answers:
			return a.addrs, a.err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	})
	go RunNames(names)
	for range 5 {
		if at, err := names.Next(time.Millisecond); !errors.Is(err, ErrName) ||
			!strings.Contains(err.Error(), "db-0.test") {
			t.Fatalf("%s, %v", at, err)
		}
	}
	answers <- answer{addrs: addrs("10.0.0.1")}
	next := func(want string) {
		t.Helper()
		for end := time.Now().Add(patience); ; {
			at, err := names.Next(patience)
			if err != nil || time.Now().After(end) {
				t.Fatalf("%s, %v; expected %s", at, err, want)
			}
			if at == want {
				return
			}
			names.Tell(at, errors.New("refused"))
		}
	}
	next("10.0.0.1:7400")
	names.Tell("10.0.0.1:7400", nil)
	for range 100 {
		at, err := names.Next(patience)
		if names.Tell(at, errors.New("refused")); at != "10.0.0.1:7400" || err != nil {
			t.Fatalf("%s, %v", at, err)
		}
	}
	failing, over := make(chan struct{}), make(chan struct{})
	go func() { // dials that fail have it looked up again
		defer close(over)
		for {
			select {
			case <-failing:
				return
			case <-time.After(time.Millisecond):
				names.Tell("10.0.0.1:7400", errors.New("refused"))
			}
		}
	}()
	answers <- answer{err: errors.New("the name server is away")}
	next("10.0.0.1:7400")
	answers <- answer{addrs: addrs("10.0.0.2")}
	next("10.0.0.2:7400")
	close(failing)
	<-over
}

// serveNames answers questions for IPv4 addresses over UDP like a name server, but for the first ones, which stay
// without an answer.
func serveNames(server net.PacketConn, deaf int) {
	question := make([]byte, 512)
	for {
		n, from, err := server.ReadFrom(question)
		if err != nil {
			return
		}
		m := dnsmessage.Message{}
		if m.Unpack(question[:n]) != nil || len(m.Questions) != 1 {
			continue
		}
		if deaf--; deaf >= 0 {
			continue
		}
		m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
		if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
			m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 1},
				Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}}}
		}
		if text, err := m.Pack(); err == nil {
			_, _ = server.WriteTo(text, from) // as lost as any datagram may be
		}
	}
}

// TestASilentNameServerIsAskedAgain: while a container is away, the name server may leave questions about it
// unanswered. The next question is not held up by one that waits, and its answer counts.
func TestASilentNameServerIsAskedAgain(t *testing.T) {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go serveNames(server, 4) // a look-up asks twice, for A and for AAAA
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("udp", server.LocalAddr().String())
	}}
	defer func() { net.DefaultResolver = before }()
	failed := make(chan error, 100)
	names := NewNames("db-0.test.:7400", func(ctx context.Context, name string) ([]netip.Addr, error) {
		// None ends but by an answer, or after all of the resolver's own tries.
		found, err := AskNameServer(context.WithoutCancel(ctx), name)
		if err != nil {
			failed <- err
		}
		return found, err
	})
	go RunNames(names)
	for end := time.Now().Add(patience); ; {
		at, err := names.Next(10 * time.Millisecond)
		if err == nil {
			if at != "127.0.0.1:7400" || len(failed) > 0 {
				t.Errorf("%s is dialled, after %d look-ups had failed", at, len(failed))
			}
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}
