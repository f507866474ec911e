package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"time"

	"tandem/shard"
	"tandem/shard/lease"
	"tandem/shard/replica"
	"tandem/shard/views"
	"tandem/wire"
	"tandem/wire/peer"
	"tandem/wire/proc"
)

// errPeer is the class of a peer that does not fit: another protocol version, cluster or layout.
var errPeer = errors.New("wrong peer")

// errNotYet is the class of a peer that cannot answer yet, and says why: it is dialled again.
var errNotYet = errors.New("the other node says")

const (
	redialLeast = 5 * time.Millisecond
	redialMost  = 50 * time.Millisecond
	// the life after which a connection counts as whole: one that welcomes and breaks is dialled ever more slowly
	wholeAfter = time.Second
	sayEvery   = 10 * time.Second // between two lines about a node that cannot be reached, for the same while
	pingEvery  = 20 * time.Millisecond
	// where lease pings and their answers keep the connection awake, and this is for when they are not answered
	pingBeside  = 2 * pingEvery
	linkQueue   = 1 << 13
	urgentQueue = 256
)

// silence is how long a connection between nodes may be without a byte before it is given up and dialled anew: TCP
// would send again only after a time that eats the budget (rule R19). Who reads waits for it in two parts (awaitFrame).
func silence(c config) time.Duration { return c.Silent * 5 / 4 }

// linkRound is what the stages of a link know: of a stream, and of those before it.
type linkRound struct {
	node    *Node
	handles *Handles
	peers   *Peers
	other   int   // the node at the other end
	shards  []int // that are shared with it
	stream  uint64
	conn    peer.Conn
	over    chan struct{} // is closed with the stream
	began   time.Time     // the stream; zero if there is none
	err     error         // why there is none, or why it has ended
	pause   time.Duration // before the next dial
	said    time.Time     // when the log has said last that the node cannot be reached
}

// linkStages are a round of a link. The list never changes.
var linkStages = [...]func(linkRound) linkRound{dialPeer, beginStream, carryStream, endStream, pauseLink}

// runLink keeps a connection to another node, and tells the replicas that are shared with it, and the lease session, of
// each stream that begins or ends.
func runLink(node *Node, handles *Handles, peers *Peers, other int, shards []int) {
	k := linkRound{node: node, handles: handles, peers: peers, other: other, shards: shards, pause: redialLeast}
	for {
		k.stream++
		for _, stage := range linkStages {
			k = stage(k)
		}
	}
}

// dialPeer dials the node and tells the loop that knows refusals what came of it.
func dialPeer(k linkRound) linkRound {
	name, mine := k.node.Members[k.other].Name, func() shard.Greeting { return greeting(k.node) }
	k.conn = peer.Dial(k.peers.Names[k.other], silence(k.node.Config), mine, name)
	k.err = noteDial(k.node, k.peers, k.other, k.conn.Err)
	k.began = time.Time{}
	if k.err != nil && time.Since(k.said) > sayEvery {
		k.said = time.Now()
		k.node.Log.Warn("a node cannot be reached; dialling on", "peer", name, "error", k.err)
	}
	return k
}

// beginStream tells who has to do with the node that a stream begins, if the node was reached.
func beginStream(k linkRound) linkRound {
	if k.err != nil {
		return k
	}
	k.node.Log.Info("connected to a node", "peer", k.node.Members[k.other].Name, "stream", k.stream)
	k.began, k.over = time.Now(), make(chan struct{})
	if len(k.conn.Mine.Founders) == 0 {
		go endWhen(originIn(k.node.Origin).Known, k.over, k.conn.Raw)
	}
	greetViewService(k.peers, k.other, views.Start(k.conn.Known))
	k.peers.Links[k.other].RelayEvents <- relayEvent{Kind: streamBegins, Stream: k.stream, Offset: k.conn.Offset}
	notify(k.handles, k.shards,
		replica.Event{Kind: replica.StreamUp, Stream: k.stream, Version: k.conn.Codec.Version()})
	return k
}

// endStream tells who has to do with the node that the stream is over, if there was one.
func endStream(k linkRound) linkRound {
	if k.began.IsZero() {
		return k
	}
	k.conn.Raw.Close()
	close(k.over)
	level := slog.LevelWarn
	if errors.Is(k.err, errNotYet) {
		level = slog.LevelInfo
	}
	k.node.Log.Log(context.Background(), level, "the connection to a node broke", "peer", k.node.Members[k.other].Name,
		"stream", k.stream, "error", k.err)
	k.peers.Links[k.other].RelayEvents <- relayEvent{Kind: streamOver}
	k.peers.Views.Greets <- greeted{Node: k.other}
	if handle := k.peers.Leases[k.other]; handle != nil {
		handle.In <- leaseNote{Event: lease.Event{Kind: lease.LinkBroken}}
	}
	notify(k.handles, k.shards, replica.Event{Kind: replica.StreamDown, Stream: k.stream})
	return k
}

// pauseLink waits before the next dial, each time longer, but not after a connection that was whole.
func pauseLink(k linkRound) linkRound {
	if !k.began.IsZero() && time.Since(k.began) > wholeAfter {
		k.pause, k.said = redialLeast, time.Time{}
		return k
	}
	time.Sleep(k.pause)
	k.pause = min(2*k.pause, redialMost)
	return k
}

// greetViewService tells the view service that a connection to a peer stands, which knows that start of this store.
// What waits from before was made without that, and is dropped.
func greetViewService(peers *Peers, other int, known views.Start) {
	for mail := peers.Views.Out[other]; len(mail) > 0; {
		<-mail
	}
	peers.Views.Greets <- greeted{other, known, true}
}

// notify gives a copy of the event to the replicas of the shards.
func notify(handles *Handles, shards []int, e replica.Event) {
	for _, s := range shards {
		event := e
		event.Shard = s
		handles.ByShard[s].In <- []*replica.Event{&event}
	}
}

// carryStream sends what goes out by a stream, all that is waiting in one system call, until the stream ends, and has a
// goroutine beside it read what comes in. Pings and Raft's messages go first.
func carryStream(k linkRound) linkRound {
	if k.began.IsZero() {
		return k
	}
	c, link, mail := k.conn, k.peers.Links[k.other], k.peers.Views.Out[k.other]
	failed := make(chan error, 1)
	go readLink(k, failed)
	every := pingEvery
	if k.peers.Leases[k.other] != nil {
		every = pingBeside
	}
	ping := time.NewTimer(proc.UntilBeat(proc.Clock(), every))
	defer ping.Stop()
	var frames []byte
	armed := time.Time{} // when the deadline was set; setting it for every frame costs more than the frame
	for {
		frames = frames[:0]
		var batch []outbound
		select {
		case k.err = <-failed:
			return k
		case n := <-link.Break:
			if n == k.stream {
				k.err = fmt.Errorf("%w: it does not keep up, or its log has a gap", errPeer)
				return k
			}
		case <-ping.C:
			ping.Reset(proc.UntilBeat(proc.Clock(), every))
			frames = c.Codec.AppendFrame(frames, &wire.Message{Kind: wire.Ping})
		case m := <-link.Urgent:
			frames = c.Codec.AppendFrame(frames, m)
		case data := <-mail:
			frames = c.Codec.AppendFrame(frames, &wire.Message{Kind: wire.Raft, Data: data})
		case batch = <-link.Out:
		}
		if batch != nil || len(link.Out) == 0 {
			runtime.Gosched() // what else is about to be sent shares the system call
		}
		frames = addUrgent(c.Codec, frames, link.Urgent, mail)
		if batch != nil {
			frames = addOutbound(c.Codec, frames, batch, link.Out, k.stream)
		}
		if len(frames) == 0 {
			continue
		}
		if now := time.Now(); now.Sub(armed) > pingEvery {
			armed = now
			_ = c.Raw.SetWriteDeadline(now.Add(silence(k.node.Config)))
		}
		if _, k.err = c.Raw.Write(frames); k.err != nil {
			return k
		}
	}
}

// addUrgent appends the pings and Raft messages that wait.
func addUrgent(codec wire.Codec, frames []byte, urgent <-chan *wire.Message, mail <-chan []byte) []byte {
	for {
		select {
		case m := <-urgent:
			frames = codec.AppendFrame(frames, m)
		case data := <-mail:
			frames = codec.AppendFrame(frames, &wire.Message{Kind: wire.Raft, Data: data})
		default:
			return frames
		}
	}
}

// addOutbound appends the frames of first and of what else is waiting for the stream, up to about one frame's greatest
// size.
func addOutbound(codec wire.Codec, frames []byte, first []outbound, more <-chan []outbound, stream uint64) []byte {
	for batch := first; ; {
		for _, l := range batch {
			if l.Stream == stream {
				if l.Message != nil {
					frames = codec.AppendFrame(frames, l.Message)
				}
				frames = append(frames, l.Frames...)
			}
		}
		if len(frames) > wire.PageBytes {
			return frames
		}
		select {
		case batch = <-more:
		default:
			return frames
		}
	}
}

// breakLink asks the link to end a stream.
func breakLink(link *linkHandle, stream uint64) {
	select {
	case link.Break <- stream:
	default:
	}
}

// awaitFrame returns when a frame begins to come in, with when the deadline for it was set. The deadline may pass while
// this process, or the whole machine, stands still: then what came meanwhile is waiting, and who was paused along needs
// a moment. So there is a second, short one.
func awaitFrame(raw net.Conn, in *bufio.Reader, armed time.Time, silent time.Duration) (time.Time, error) {
	now := time.Now()
	if now.Sub(armed) > pingEvery {
		armed = now
		_ = raw.SetReadDeadline(now.Add(silent))
	}
	_, err := in.Peek(1)
	if err == nil && !waits(in) { // the rest of the frame gets all of the time
		armed = time.Now()
		_ = raw.SetReadDeadline(armed.Add(silent))
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return armed, err
	}
	_ = raw.SetReadDeadline(time.Now().Add(silent / 4))
	if _, err = in.Peek(1); err == nil {
		armed = time.Now()
		_ = raw.SetReadDeadline(armed.Add(silent))
	}
	return armed, err
}

// readLink passes what the peer says to the replicas, and its promises to the lease session, until the stream ends.
func readLink(k linkRound, failed chan<- error) {
	c, link, session := k.conn, k.peers.Links[k.other], k.peers.Leases[k.other]
	kinds := map[wire.Kind]replica.EventKind{wire.Stored: replica.PeerStored, wire.Position: replica.PeerPosition,
		wire.StreamError: replica.PeerStreamError}
	var scratch []byte
	m, armed, err := &wire.Message{}, time.Time{}, error(nil) // each frame takes the place of the one before
	var events []*replica.Event                               // handed over when all that has arrived is read
	for {
		if len(events) > 0 && (len(events) == eventsAtOnce || !waits(c.In)) {
			events = hand(k.handles, events)
		}
		if armed, err = awaitFrame(c.Raw, c.In, armed, k.node.Config.Silent); err == nil {
			scratch, err = wire.ReadFrame(c.In, scratch)
		}
		if err == nil {
			err = c.Codec.Decode(m, scratch)
		}
		if err != nil {
			failed <- err
			return
		}
		kind, known := kinds[m.Kind]
		switch {
		case m.Kind == wire.Pong:
			link.RelayEvents <- relayEvent{Kind: clockRead, Stream: k.stream, Offset: m.Clock - proc.Clock()}
			continue
		case m.ID != 0 && (m.Kind == wire.Outcome || m.Kind == wire.Error):
			answer := *m
			link.RelayEvents <- relayEvent{Kind: answerCame, Answer: &answer}
			continue
		case m.Kind == wire.LeasePong && session != nil:
			pong := lease.Event{Kind: lease.PongReceived, Store: c.Theirs.Member, At: m.At, Claims: takeClaims(m.Claims)}
			select {
			case session.In <- leaseNote{Event: pong}:
			default:
			}
			continue
		case m.Kind == wire.Error && m.Code == wire.Unavailable:
			failed <- fmt.Errorf("%w: %s", errNotYet, m.Text)
			return
		case m.Kind == wire.Error:
			failed <- fmt.Errorf("%w: it says: %s", errPeer, m.Text)
			return
		case !known || m.Shard >= uint64(len(k.handles.ByShard)) || k.handles.ByShard[m.Shard] == nil ||
			peerOf(k.node.Layout, int(m.Shard), k.node.Self) != k.other:
			failed <- fmt.Errorf("%w: a frame of kind %d for shard %d: %s", errPeer, m.Kind, m.Shard, m.Text)
			return
		}
		events = append(events, &replica.Event{Kind: kind, Shard: int(m.Shard), Stream: k.stream, Epoch: m.Epoch,
			LSN: m.LSN, LastEpoch: m.LastEpoch,
			Reason: m.Text, Broken: m.Kind == wire.StreamError && m.Code == wire.Unavailable})
	}
}
