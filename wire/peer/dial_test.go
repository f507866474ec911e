package peer

import (
	"bufio"
	"errors"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"tandem/shard"
	"tandem/wire"
	"tandem/wire/proc"
)

// greetingOf is what a node of a ring of three says, but for its store.
func greetingOf(name string) shard.Greeting {
	g := FirstGreeting(shard.RoleNode, "test", name, []proc.Member{{Name: "db-0"}, {Name: "db-1"}, {Name: "db-2"}}, 24)
	g.Build, g.Ring, g.Lease, g.Grace = "b", shard.RingHash(g.Names), 100, 120
	return g
}

// dialOne dials a listener that reads one hello, answers with those bytes and closes, and returns the outcome with the
// hello.
func dialOne(t *testing.T, mine func() shard.Greeting, expected string, answer []byte) (Conn, *wire.Message) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	heard := make(chan *wire.Message, 1)
	go func() {
		hello := &wire.Message{}
		defer func() { heard <- hello }()
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		if body, err := wire.ReadFrame(bufio.NewReader(conn), nil); err == nil {
			_ = wire.NewCodec().Decode(hello, body)
		}
		_, _ = conn.Write(answer)
	}()
	c := Dial(proc.NewNames(listener.Addr().String(), nil), time.Minute, mine, expected)
	if c.Err == nil {
		t.Cleanup(func() { c.Raw.Close() })
	}
	return c, <-heard
}

// frame is a message as an answer.
func frame(m *wire.Message) []byte { return wire.NewCodec().AppendFrame(nil, m) }

// TestAWelcome has all that the node said, and leaves what follows it to be read.
func TestAWelcome(t *testing.T) {
	const ahead = int64(1e15)
	mine, theirs := greetingOf("db-1"), greetingOf("db-0")
	mine.Member, mine.Start, mine.Nonce = 1<<16|1, 7, 8
	theirs.Incarnation, theirs.Member, theirs.Founders = [16]byte{5}, 1<<16|2, []uint64{1, 2, 3}
	before := proc.Clock()
	answer := frame(&wire.Message{Kind: wire.Welcome, ID: 1, Greeting: Say(theirs), Founders: theirs.Founders,
		Clock: before + ahead, Known: wire.StoreStart{Number: 6, Nonce: 9}})
	answer = append(answer, frame(&wire.Message{Kind: wire.Pong, ID: 3})...)
	c, hello := dialOne(t, func() shard.Greeting { return mine }, "db-0", answer)
	if c.Err != nil {
		t.Fatal(c.Err)
	}
	if hello.Kind != wire.Hello || hello.ID != 1 || hello.Greeting != Say(mine) {
		t.Errorf("hello: %+v", hello)
	}
	theirs.Names = nil // are not said
	if !reflect.DeepEqual(c.Mine, mine) || !reflect.DeepEqual(c.Theirs, theirs) ||
		c.Known != (wire.StoreStart{Number: 6, Nonce: 9}) || c.Codec.Version() != wire.Most {
		t.Errorf("%+v", c)
	}
	if c.Offset > ahead || c.Offset < ahead-(proc.Clock()-before) {
		t.Errorf("%d ns ahead, said as %d", ahead, c.Offset)
	}
	m := &wire.Message{}
	if body, err := wire.ReadFrame(c.In, nil); err != nil || c.Codec.Decode(m, body) != nil || m.ID != 3 {
		t.Errorf("what follows the welcome: %+v, %v", m, err)
	}
}

// TestARefusalIsToldApart: in what the two do not fit, in the words of who found it, and which of them that was.
func TestARefusalIsToldApart(t *testing.T) {
	misfits := []shard.Misfit{shard.OtherVersion, shard.OtherCluster, shard.OtherIncarnation, shard.OtherRing,
		shard.OtherShards, shard.OtherLease, shard.OtherName, shard.OtherStore}
	for _, in := range misfits {
		answer := frame(&wire.Message{Kind: wire.Error, ID: 1, Code: CodeOf(in), Text: "because of " + string(in)})
		c, _ := dialOne(t, func() shard.Greeting { return greetingOf("db-1") }, "db-0", answer)
		if want := (MisfitError{in, "because of " + string(in), true}); c.Err != want || c.Raw != nil {
			t.Errorf("%s: %+v", in, c.Err)
		}
	}
	others := map[string]*wire.Message{"busy": {Kind: wire.Error, ID: 1, Code: wire.Busy, Text: "busy"},
		"": {Kind: wire.Pong, ID: 1}}
	for text, answer := range others {
		c, _ := dialOne(t, func() shard.Greeting { return greetingOf("db-1") }, "db-0", frame(answer))
		if want := (MisfitError{"", text, true}); c.Err != want {
			t.Errorf("%q: %+v", text, c.Err)
		}
	}
	theirs := greetingOf("db-0")
	theirs.Shards = 12
	c, _ := dialOne(t, func() shard.Greeting { return greetingOf("db-1") }, "db-0",
		frame(&wire.Message{Kind: wire.Welcome, ID: 1, Greeting: Say(theirs)}))
	if want := (MisfitError{shard.OtherShards, "db-1 has 24 shards, not 12 as db-0", false}); c.Err != want {
		t.Errorf("a welcome that does not fit: %+v", c.Err)
	}
}

// TestWelcomesThatAreNone: whatever answers at a node's address, the dial ends, and says what is wrong.
func TestWelcomesThatAreNone(t *testing.T) {
	welcome := frame(&wire.Message{Kind: wire.Welcome, ID: 1, Greeting: Say(greetingOf("db-9"))})
	for _, answer := range []struct {
		name, want string
		bytes      []byte
	}{
		{"no array", "array", []byte{0xce, 0, 0, 0, 1, 0xc0}},
		{"nothing", "EOF", nil},
		{"half a frame", "EOF", welcome[:len(welcome)/2]},
		{"another node", "expected the node db-0 at that address, found the node db-9", welcome},
	} {
		c, _ := dialOne(t, func() shard.Greeting { return greetingOf("db-1") }, "db-0", answer.bytes)
		if c.Err == nil || !strings.Contains(c.Err.Error(), answer.want) {
			t.Errorf("%s: %v, expected %q in it", answer.name, c.Err, answer.want)
		}
		if c.Raw != nil {
			t.Errorf("%s: the connection is handed over", answer.name)
		}
	}
}

// TestWhoIsNotReachedIsNotAsked for a greeting, and is no misfit.
func TestWhoIsNotReachedIsNotAsked(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	asked := make(chan struct{}, 1)
	mine := func() shard.Greeting { asked <- struct{}{}; return greetingOf("db-1") }
	c := Dial(proc.NewNames(listener.Addr().String(), nil), time.Minute, mine, "db-0")
	if dial := (&net.OpError{}); !errors.As(c.Err, &dial) || errors.As(c.Err, &MisfitError{}) || len(asked) != 0 {
		t.Errorf("%v, asked %d times", c.Err, len(asked))
	}
}
