package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"tandem/shard"
	"tandem/shard/lease"
	"tandem/shard/replica"
	"tandem/shard/views"
	"tandem/wire"
	"tandem/wire/peer"
	"tandem/wire/proc"
)

const (
	maxInFlight = 1024             // requests of a connection that wait for an answer
	writeFor    = 5 * time.Second  // for a client that has sent all to read the rest of its answers
	greetMost   = 4 << 10          // bytes of the first frame of a connection
	askMost     = 64 << 10         // and of every other, but for those of nodes
	rearm       = time.Second      // between two settings of the same deadline
	quietFor    = 30 * time.Second // without a frame, after which a connection that has greeted is closed
)

// awaitGreeting reads the greeting of a connection that speaks frames, and refuses it if it does not fit.
func awaitGreeting(c accepted) accepted {
	_ = c.raw.SetReadDeadline(time.Now().Add(helloFor))
	c.codec, c.message = wire.NewCodec(), &wire.Message{}
	body, err := wire.ReadFrameUpTo(c.in, nil, greetMost)
	if err == nil {
		err = c.codec.Decode(c.message, body)
	}
	refusal := judge(&c.wiring.Node, &c.wiring.Peers, c.message, err)
	if refusal != nil {
		_, _ = c.raw.Write(c.codec.AppendFrame(nil, refusal)) // the first thing that is sent: it needs no deadline
	}
	if c.over = err != nil || refusal != nil; !c.over {
		c.codec, _ = c.codec.Agree(c.message.Greeting)
		c.scratch = body
	}
	return c
}

// serveFrames is the loop that reads a connection's frames, from the greeting on.
func serveFrames(c accepted) accepted {
	wiring, raw, in := c.wiring, c.raw, c.in
	codec, m, scratch := c.codec, c.message, c.scratch
	conn := newConn(&wiring.Node, raw, codec)
	finished := make(chan struct{})
	go sendAnswers(&wiring.Node, &wiring.Clients, conn, finished)
	defer func() { close(finished); <-conn.Ended }()
	peer, store := -1, m.Greeting.Store
	if m.Greeting.Role == shard.RoleNode {
		peer = slices.IndexFunc(wiring.Members, func(n member) bool { return n.Name == m.Greeting.Name })
	}
	if unfollow := welcome(&wiring.Node, &wiring.Peers, &wiring.Clients, conn, peer, m); unfollow != nil {
		defer unfollow()
	}
	var events []*replica.Event
	armed := time.Time{} // when the deadline was set; once a second is enough
	for {
		if now := time.Now(); now.Sub(armed) > rearm {
			armed = now
			_ = raw.SetReadDeadline(now.Add(quietFor))
		}
		body, err := wire.ReadFrameUpTo(in, scratch, frameMost(peer))
		if err == nil {
			scratch = body
			err = codec.Decode(m, body)
		}
		if errors.Is(err, wire.ErrFrame) || errors.Is(err, wire.ErrChecksum) {
			deliver(conn, answers{Message: &wire.Message{Kind: wire.Error, Code: wire.BadFrame, Text: err.Error()}})
		}
		if errors.Is(err, io.EOF) {
			awaitAnswers(conn)
		}
		if err != nil {
			return c
		}
		refusal := refuse(&wiring.Node, &wiring.Handles, &wiring.Peers, peer, m)
		if refusal == nil && peer >= 0 && store != 0 {
			passOn(&wiring.Node, &wiring.Peers, conn, peer, store, m)
		}
		if event := dispatch(&wiring.Node, &wiring.Handles, &wiring.Clients, conn, peer, m, refusal); event != nil {
			events = append(events, event)
		}
		if len(events) == eventsAtOnce || !waits(in) {
			events = hand(&wiring.Handles, events)
		}
	}
}

// frameMost returns how many bytes a frame from node peer, or with -1 from anybody else, may have. Only nodes have
// large ones to send.
func frameMost(peer int) int {
	if peer < 0 {
		return askMost
	}
	return wire.MaxFrame
}

// awaitAnswers waits until every request of a client that has finished sending is answered: then all slots are free.
func awaitAnswers(conn *conn) {
	late := time.NewTimer(writeFor)
	defer late.Stop()
	for range cap(conn.Slots) {
		select {
		case conn.Slots <- struct{}{}:
		case <-conn.Ended:
			return
		case <-late.C:
			return
		}
	}
}

// waits tells whether a whole frame has arrived and can be read without waiting.
func waits(in *bufio.Reader) bool {
	if in.Buffered() < wire.HeadSize {
		return false
	}
	head, _ := in.Peek(wire.HeadSize) // what is buffered can be looked at
	return in.Buffered()-wire.HeadSize >= int(binary.BigEndian.Uint32(head[1:]))
}

// hand gives each loop its events, and returns an empty list.
func hand(handles *Handles, events []*replica.Event) []*replica.Event {
	for _, handle := range handles.Loops {
		var mine []*replica.Event
		for _, e := range events {
			if handles.ByShard[e.Shard] == handle {
				mine = append(mine, e)
			}
		}
		if len(mine) > 0 {
			handle.In <- mine
		}
	}
	clear(events)
	return events[:0]
}

// welcome answers a hello that fits, of node other or, with -1, a gateway, which is told the views from then on; how
// that ends is returned. Who greets before the node has opened its data, or before it knows its cluster, is to come
// again when it has, and learns that by the end of the connection.
func welcome(node *Node, peers *Peers, clients *Clients, conn *conn, other int, hello *wire.Message) func() {
	name := hello.Greeting.Role + " " + hello.Greeting.Name
	clients.ConnEvents <- connEvent{Raw: conn.Raw, Info: connInfo{conn.Raw.RemoteAddr().String(), "frames", name}}
	mine, at := greeting(node), originIn(node.Origin)
	known := wire.StoreStart{}
	if node.Started && other >= 0 { // what is known without this hello, which then counts (rule R23)
		status := viewsStatus(peers)
		if other < len(status.Known) && status.State.Members[other] == hello.Greeting.Store {
			known = wire.StoreStart(status.Known[other])
		}
		peers.Views.Joins <- greeter{hello.Greeting.Store, views.Start(hello.Greeting.Start)}
	}
	deliver(conn, answers{Message: &wire.Message{Kind: wire.Welcome, ID: hello.ID, Greeting: peer.Say(mine),
		Clock: proc.Clock(), Founders: mine.Founders, Known: known}})
	switch {
	case !node.Started:
		go endWhen(node.Opened, conn.Ended, conn.Raw)
		return nil
	case len(mine.Founders) == 0:
		go endWhen(at.Known, conn.Ended, conn.Raw)
	}
	if other >= 0 {
		return nil
	}
	clients.Watch <- watcher{Conn: conn}
	return func() { clients.Watch <- watcher{conn, true} }
}

// passOn gives the lease session and the view service what a node says that dialled: peer, with its store. What does
// not fit is dropped, and comes again.
func passOn(node *Node, peers *Peers, conn *conn, peer int, store uint64, m *wire.Message) {
	switch {
	case m.Kind == wire.Ping && node.Started: // the view service looks whether it is a new store
		select {
		case peers.Views.Joins <- greeter{Member: store}:
		default:
		}
	case m.Kind == wire.LeasePing:
		ping := lease.Event{Kind: lease.PingReceived, Store: store, Start: m.Start, At: m.At, Lease: m.Lease,
			Unhealthy: m.State&wire.IsUnhealthy != 0, Leaving: m.State&wire.IsLeaving != 0, Claims: takeClaims(m.Claims),
			LastEntries: takeLastEntries(m.LastEntries)}
		select {
		case peers.Leases[peer].In <- leaseNote{ping, conn}:
		default:
		}
	case m.Kind == wire.Raft:
		select {
		case peers.Views.In <- m.Data:
		default:
		}
	}
}

// dispatch makes an event of a request for the loop that answers it, or answers it, or gives it its refusal. peer is
// the node that sent it, -1 if none did.
func dispatch(node *Node, handles *Handles, clients *Clients, conn *conn, peer int, m,
	refusal *wire.Message) *replica.Event {
	isRequest := m.Kind == wire.Get || m.Kind == wire.Write || m.Kind == wire.Count || m.Kind == wire.List
	if isRequest {
		select { // a client with too many requests under way is read no further
		case conn.Slots <- struct{}{}:
		case <-conn.Ended:
			return nil
		}
	}
	if refusal != nil {
		deliver(conn, answers{Message: refusal})
		return nil
	}
	e := &replica.Event{Shard: int(m.Shard), Relayed: peer >= 0, Caller: conn, Epoch: m.Epoch, LSN: m.LSN}
	switch m.Kind {
	case wire.Ping:
		deliver(conn, answers{Message: &wire.Message{Kind: wire.Pong, ID: m.ID, Clock: proc.Clock(), Text: lacks(node)}})
		return nil
	case wire.LeasePing, wire.Raft: // were passed on
		return nil
	case wire.Count:
		asked := *m
		go countShards(handles, conn, &asked)
		return nil
	case wire.List:
		asked := *m
		go listPage(node, handles, clients, conn, &asked)
		return nil
	case wire.Get:
		e.Kind, e.Caller = replica.GetAsked, &caller{conn, m.ID}
		e.Change.ID = m.Record.ID
	case wire.Write:
		e.Kind, e.Caller, e.Deadline = replica.WriteAsked, &caller{conn, m.ID}, m.Deadline
		e.Change = takeChange(m)
	case wire.Ask:
		e.Kind = replica.PositionAsked
	case wire.Append:
		e.Kind, e.Applied, e.Entries = replica.EntriesCame, m.Applied, takeAppend(m)
	case wire.Applied:
		e.Kind = replica.LeaderTold
	case wire.SnapBegin:
		e.Kind = replica.SnapshotBegun
	case wire.SnapData:
		e.Kind, e.Records = replica.SnapshotCame, takeRecords(m)
	case wire.SnapEnd:
		e.Kind, e.Entries, e.History = replica.SnapshotEnded, takeAppend(m), takeHistory(m)
	}
	return e
}

// refuse checks what the core need not, of a frame from node peer (-1: a gateway): that the request is one, that the
// shard is held here and that values are allowed. It returns an error frame that names what was wrong and what is
// expected, or nil.
func refuse(node *Node, handles *Handles, peers *Peers, peer int, m *wire.Message) *wire.Message {
	code, text := wire.BadRequest, ""
	ofStream := m.Kind >= wire.Ask && m.Kind <= wire.SnapEnd && m.Kind != wire.Position && m.Kind != wire.Stored &&
		m.Kind != wire.StreamError
	ofLease, ofRaft := m.Kind == wire.LeasePing, m.Kind == wire.Raft
	hasShard := ofStream || m.Kind == wire.Get || m.Kind == wire.Write || m.Kind == wire.List
	var one [1]uint64
	asked := m.Set
	if hasShard {
		one[0] = m.Shard
		asked = one[:]
	}
	isAbsent := func(s uint64) bool { return s >= uint64(len(handles.ByShard)) || handles.ByShard[s] == nil }
	absent := slices.IndexFunc(asked, isAbsent)
	var badID, badText error
	if m.Kind == wire.Get || m.Kind == wire.Write {
		badID, badText = shard.CheckID(m.Record.ID), shard.CheckText(m.Record.Name, m.Record.Email)
	}
	switch {
	case !node.Started && m.Kind != wire.Ping:
		code, text = wire.Unavailable,
			node.Config.Name+" has not opened its data yet, or waits for the other nodes of a new cluster"
	case absent >= 0:
		code, text = wire.NotHere, fmt.Sprintf("%s holds no replica of shard %d", node.Config.Name, asked[absent])
	case !hasShard && m.Kind != wire.Count && m.Kind != wire.Ping && !ofLease && !ofRaft:
		text = fmt.Sprintf("kind %d is no request that a node answers", m.Kind)
	case badID != nil:
		text = badID.Error()
	case ofStream && peer != peerOf(node.Layout, int(m.Shard), node.Self):
		text = fmt.Sprintf("the sender holds no replica of shard %d", m.Shard)
	case ofRaft && (peer < 0 || peer == node.Self), ofLease && (peer < 0 || peers.Leases[peer] == nil):
		text = fmt.Sprintf("kind %d is for nodes among themselves", m.Kind)
	case ofStream && m.Kind == wire.SnapEnd && (m.LSN > 0) != (len(m.History) > 0):
		text = "expected a history with the end of a snapshot that is not empty, and only there"
	case m.Kind == wire.Write && (m.Op < wire.Create || m.Op > wire.Delete):
		text = fmt.Sprintf("expected op 1 to 3, found %d", m.Op)
	case badText != nil:
		text = badText.Error()
	case m.Kind == wire.List && (m.Limit < 1 || m.Limit > 1000):
		text = fmt.Sprintf("expected a limit of 1 to 1000, found %d", m.Limit)
	case m.Kind == wire.Count && len(m.Set) > node.Layout.Shards:
		text = fmt.Sprintf("expected at most %d shards, found %d", node.Layout.Shards, len(m.Set))
	default:
		return nil
	}
	return &wire.Message{Kind: wire.Error, ID: m.ID, Code: code, Text: text}
}

// takeChange makes the core's change of a write frame.
func takeChange(m *wire.Message) shard.Change {
	c := shard.Change{Request: m.Request, Op: m.Op, Fields: m.Fields, ID: m.Record.ID, Name: m.Record.Name,
		Email: m.Record.Email, Group: m.Record.Group}
	c.Match.Kind, c.Unless.Kind = shard.ConditionKind(m.Match.Kind), shard.ConditionKind(m.Unless.Kind)
	for _, p := range m.Match.Versions {
		c.Match.Versions = append(c.Match.Versions, shard.Position(p))
	}
	for _, p := range m.Unless.Versions {
		c.Unless.Versions = append(c.Unless.Versions, shard.Position(p))
	}
	return c
}
