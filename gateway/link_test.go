package main

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tandem/shard"
	"tandem/wire"
	"tandem/wire/peer"
	"tandem/wire/proc"
)

// newLink is a connection's channels, without a loop.
func newLink() *linkHandle {
	return &linkHandle{"db-0", 20 * time.Millisecond, make(chan request, linkQueue), make(chan chan<- linkState),
		make(chan struct{}, 1), make(chan viewReport, 1)}
}

// connectLink runs a connection's loop, and returns the node's end of it, which is closed when the loop has ended. The
// system takes what is written, as of a node: through a pipe a test that is slow would be a node that reads nothing.
func connectLink(t *testing.T, link *linkHandle, offset int64) (theirs net.Conn, ended <-chan error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ours, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	theirs, err = listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { theirs.Close() })
	over, told := make(chan error, 1), make(chan error, 1)
	s := session{raw: ours, codec: wire.NewCodec(), in: bufio.NewReader(ours), offset: offset}
	go func() { over <- serveLink(linkRound{link: link, session: s}).session.err }()
	go func() {
		err := <-over
		ours.Close()
		told <- err
	}()
	return theirs, told
}

// readOne reads the next frame that is no ping.
func readOne(t *testing.T, in *bufio.Reader) *wire.Message {
	t.Helper()
	for {
		body, err := wire.ReadFrame(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		m := &wire.Message{}
		err = wire.NewCodec().Decode(m, body)
		if err != nil {
			t.Fatal(err)
		}
		if m.Kind != wire.Ping {
			return m
		}
	}
}

// TestTheNewestPongSetsTheClock, be it ahead of the older one or behind, and no answer but a pong does; a deadline is
// never late by it.
func TestTheNewestPongSetsTheClock(t *testing.T) {
	link := newLink()
	link.Tick = time.Hour // it is never silent
	theirs, ended := connectLink(t, link, aheadBy)
	in, shared := bufio.NewReader(theirs), &wire.Message{Kind: wire.Write, Op: wire.Delete,
		Record: wire.Record{ID: "a"}, Deadline: 1000}
	for _, ahead := range []int64{aheadBy, 3 * aheadBy, -aheadBy, 2 * aheadBy} {
		r := request{message: shared, reply: make(chan reply, 1)}
		if ahead != aheadBy {
			link.In <- r
			pong := wire.NewCodec().AppendFrame(nil, &wire.Message{Kind: wire.Pong, Clock: proc.Clock() + ahead})
			outcome := &wire.Message{Kind: wire.Outcome, ID: readOne(t, in).ID, Result: wire.Deleted, Clock: 9 * aheadBy}
			if _, err := theirs.Write(wire.NewCodec().AppendFrame(pong, outcome)); err != nil {
				t.Fatal(err)
			}
			if got := <-r.reply; got.err != nil {
				t.Fatal(got.err)
			}
		}
		link.In <- r
		got := readOne(t, in).Deadline - 1000
		if got > ahead || got < ahead-int64(time.Minute) {
			t.Errorf("%v ahead: the deadline is shifted by %v", time.Duration(ahead), time.Duration(got))
		}
	}
	if shared.ID != 0 || shared.Deadline != 1000 {
		t.Errorf("a message that tries share was changed: %+v", shared)
	}
	theirs.Close()
	<-ended
}

// TestAPingAsksForTheClockAgainAndAgain, whatever else travels, in virtual time: a slow machine is no silent node.
func TestAPingAsksForTheClockAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		link, ended := newLink(), make(chan error, 1)
		ours, theirs := net.Pipe()
		s := session{raw: ours, in: bufio.NewReader(ours), codec: wire.NewCodec()}
		go func() { ended <- serveLink(linkRound{link: link, session: s}).session.err }()
		in := bufio.NewReader(theirs)
		for range 2 {
			body, err := wire.ReadFrame(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			m := &wire.Message{}
			if err = wire.NewCodec().Decode(m, body); err != nil || m.Kind != wire.Ping {
				t.Fatal(m, err)
			}
			if _, err = theirs.Write(wire.NewCodec().AppendFrame(nil, &wire.Message{Kind: wire.Pong})); err != nil {
				t.Fatal(err)
			}
		}
		if body, err := wire.ReadFrame(in, nil); err != nil || len(body) == 0 { // and one without an answer is the last
			t.Fatal(err)
		}
		if err := <-ended; !strings.Contains(err.Error(), "silent") {
			t.Error(err)
		}
		ours.Close()
	})
}

func TestRequestsOfABrokenConnectionFail(t *testing.T) {
	link := newLink()
	theirs, ended := connectLink(t, link, 0)
	r := request{message: &wire.Message{Kind: wire.Get, Record: wire.Record{ID: "a"}}, reply: make(chan reply, 1)}
	link.In <- r
	readOne(t, bufio.NewReader(theirs))
	theirs.Close()
	if got := <-r.reply; !errors.Is(got.err, errLink) || errors.Is(got.err, errNotSent) {
		t.Errorf("%+v", got)
	}
	<-ended
}

// TestASilentConnectionIsGivenUp, with all that waits for it, when a ping has brought nothing.
func TestASilentConnectionIsGivenUp(t *testing.T) {
	link := newLink()
	theirs, ended := connectLink(t, link, 0)
	replies := make(chan reply, 3)
	for range cap(replies) {
		link.In <- request{message: &wire.Message{Kind: wire.Get, Record: wire.Record{ID: "a"}}, reply: replies}
	}
	go func() { _, _ = io.Copy(io.Discard, theirs) }()
	for range cap(replies) {
		if got := <-replies; !errors.Is(got.err, errLink) || errors.Is(got.err, errNotSent) ||
			!strings.Contains(got.err.Error(), "db-0") {
			t.Errorf("%+v", got)
		}
	}
	if err := <-ended; !strings.Contains(err.Error(), "silent") {
		t.Error(err)
	}
}

// TestANudgeIsAnsweredByAPing: a connection that has nothing to do shows whether it works when a view has changed.
func TestANudgeIsAnsweredByAPing(t *testing.T) {
	link := newLink()
	link.Tick = time.Hour // no ping comes by itself
	link.Nudge <- struct{}{}
	theirs, _ := connectLink(t, link, 0)
	body, err := wire.ReadFrame(bufio.NewReader(theirs), nil)
	if err != nil {
		t.Fatal(err)
	}
	m := &wire.Message{}
	if err := wire.NewCodec().Decode(m, body); err != nil || m.Kind != wire.Ping {
		t.Error(m, err)
	}
	if len(link.Nudge) != 0 {
		t.Error("the nudge is still there")
	}
}

// TestANudgeEndsAPause between two dials.
func TestANudgeEndsAPause(t *testing.T) {
	link, over := newLink(), make(chan struct{})
	link.Nudge <- struct{}{}
	rejectUntil(link, errNotSent, over, link.Nudge) // returns, or the test never ends
}

// TestASilentNodeIsDialledAgain: its connections are given up, and it is reached again when it hears.
func TestASilentNodeIsDialledAgain(t *testing.T) {
	r := newSilenceRig(t, ample, 50*time.Millisecond, 80*time.Millisecond)
	r.nodes[1].setDeaf(true)
	r.await(1, false)
	r.nodes[1].setDeaf(false)
	r.await(1, true)
	r.must(404, "GET", "/api/user/"+r.idLedBy(1, "x"), "")
}

// loneWiring has one connection, to an address.
func loneWiring(address string, log slog.Handler) (*wiring, *linkHandle) {
	link := newLink()
	mine := peer.FirstGreeting(shard.RoleGateway, "tandem", "", []member{{Name: "db-0"}, {Name: "db-1"}, {Name: "db-2"}},
		24)
	mine.Ring = shard.RingHash(mine.Names)
	names := proc.NewNames(address, proc.AskNameServer)
	go proc.RunNames(names)
	wiring := &wiring{Mine: mine, Names: []proc.Names{names},
		Config: config{Cluster: "tandem"}, Layout: shard.Layout{Nodes: 3, Shards: 24},
		Members: []member{{Name: "db-0", Address: address}},
		Links:   [][]*linkHandle{{link}}, Views: make(chan viewSet, 1), ClusterReports: make(chan clusterReport, 1),
		ViewReports: make(chan viewReport, 1), Outages: make(chan outage, 1),
		Metrics: newMetrics(), Log: slog.New(log)}
	wiring.Views <- viewSet{Changed: make(chan struct{})}
	go mergeReports(wiring)
	go logOutages(wiring, time.Now())
	return wiring, link
}

// TestADialBlocksNoRequest: the node accepts and never welcomes; what is asked meanwhile is refused, and the state
// told.
func TestADialBlocksNoRequest(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	wiring, link := loneWiring(listener.Addr().String(), slog.DiscardHandler)
	go runLink(wiring, 0, link)
	for range 3 {
		conn, err := listener.Accept() // so it is being dialled now
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		r, state := request{message: &wire.Message{Kind: wire.Get}, reply: make(chan reply, 1)}, make(chan linkState, 1)
		link.In <- r
		if got := <-r.reply; !errors.Is(got.err, errNotSent) || !strings.Contains(got.err.Error(), "db-0") {
			t.Errorf("%+v", got)
		}
		link.State <- state
		if s := <-state; s.Up || s.Reason == "" {
			t.Errorf("%+v", s)
		}
	}
}
