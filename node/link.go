package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"runtime"
	"time"

	"tandem/shard"
	"tandem/wire"
)

// ErrPeer is the class of a peer that does not fit: another protocol version, cluster or layout.
var ErrPeer = errors.New("wrong peer")

const (
	dialTimeout = 500 * time.Millisecond
	redialLeast = 10 * time.Millisecond
	redialMost  = 250 * time.Millisecond
	pingEvery   = 100 * time.Millisecond
	silence     = 600 * time.Millisecond // without a byte from the peer, after which a connection is given up
	linkQueue   = 1 << 13
)

// runLink keeps a connection to the node that backs shards led here, and tells their replicas of each stream that begins or ends.
func runLink(room *Room, peer int, shards []int) {
	link, pause, said := room.Links[peer], redialLeast, ""
	for stream := uint64(1); ; stream++ {
		dialled := make(chan call, 1)
		go dial(room, peer, dialled)
		c := <-dialled
		if c.err != nil {
			if said != c.err.Error() {
				room.Log.Warn("a backup cannot be reached; dialling on", "peer", room.Members[peer].Name, "error", c.err)
			}
			said = c.err.Error()
			time.Sleep(pause)
			pause = min(2*pause, redialMost)
			continue
		}
		room.Log.Info("connected to a backup", "peer", room.Members[peer].Name, "stream", stream)
		pause, said = redialLeast, ""
		notify(room, shards, shard.Event{Kind: shard.StreamUp, Stream: stream})
		gone := make(chan error, 1)
		go readLink(room, c, stream, gone)
		ended := make(chan error, 1)
		go writeLink(link, c.raw, stream, gone, ended)
		err := <-ended
		c.raw.Close()
		room.Log.Warn("the connection to a backup broke", "peer", room.Members[peer].Name, "stream", stream, "error", err)
		notify(room, shards, shard.Event{Kind: shard.StreamDown, Stream: stream})
	}
}

// notify gives a copy of the event to the replicas of the shards.
func notify(room *Room, shards []int, e shard.Event) {
	for _, s := range shards {
		event := e
		event.Shard = s
		room.Desks[s].In <- []*shard.Event{&event}
	}
}

// call is a connection to a peer that has answered the greeting, or why there is none.
type call struct {
	raw net.Conn
	in  *bufio.Reader
	err error
}

// dial opens a connection to a peer, greets it and hands the outcome over.
func dial(room *Room, peer int, out chan<- call) {
	raw, err := net.DialTimeout("tcp", room.Members[peer].Address, dialTimeout)
	if err != nil {
		out <- call{err: err}
		return
	}
	in := bufio.NewReaderSize(raw, 64<<10)
	hello := wire.AppendFrame(nil, &wire.Message{Kind: wire.Hello, ID: 1, Greeting: greeting(room)})
	_ = raw.SetDeadline(time.Now().Add(dialTimeout))
	_, err = raw.Write(hello)
	body := []byte{}
	if err == nil {
		body, err = wire.ReadFrame(in, nil)
	}
	m := &wire.Message{}
	if err == nil {
		m, err = wire.Decode(body)
	}
	if err == nil && m.Kind != wire.Welcome {
		err = fmt.Errorf("%w: %s", ErrPeer, m.Text)
	}
	if err == nil && m.Greeting.Name != room.Members[peer].Name {
		err = fmt.Errorf("%w: expected %s at %s, found %s", ErrPeer, room.Members[peer].Name, room.Members[peer].Address, m.Greeting.Name)
	}
	if err != nil {
		raw.Close()
	}
	_ = raw.SetDeadline(time.Time{})
	out <- call{raw, in, err}
}

// greeting is what this node says of itself in hello and welcome.
func greeting(room *Room) wire.Greeting {
	return wire.Greeting{Version: wire.Version, Cluster: room.Config.Cluster, Role: "node", Name: room.Config.Name,
		Nodes: uint64(room.Layout.Nodes), Shards: uint64(room.Layout.Shards)}
}

// writeLink sends the letters of a stream, all that are waiting in one system call, until the stream ends; then it says why.
func writeLink(link *Link, raw net.Conn, stream uint64, gone <-chan error, ended chan<- error) {
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	var frames []byte
	armed := time.Time{} // when the deadline was set; setting it for every frame costs more than the frame
	for {
		frames = frames[:0]
		select {
		case err := <-gone:
			ended <- err
			return
		case n := <-link.Break:
			if n == stream {
				ended <- fmt.Errorf("%w: it does not read", ErrPeer)
				return
			}
		case <-ping.C:
			frames = wire.AppendFrame(frames, &wire.Message{Kind: wire.Ping})
		case letters := <-link.Out:
			runtime.Gosched() // what else is about to be sent shares the system call
			frames = addLetters(frames, letters, link.Out, stream)
		}
		if now := time.Now(); now.Sub(armed) > pingEvery {
			armed = now
			_ = raw.SetWriteDeadline(now.Add(silence))
		}
		if _, err := raw.Write(frames); err != nil {
			ended <- err
			return
		}
	}
}

// addLetters appends the frames of first and of what else is waiting for the stream, up to about one frame's greatest size.
func addLetters(frames []byte, first []letter, more <-chan []letter, stream uint64) []byte {
	for letters := first; ; {
		for _, l := range letters {
			if l.Stream == stream {
				frames = wire.AppendFrame(frames, l.Message)
			}
		}
		if len(frames) > wire.PageBytes {
			return frames
		}
		select {
		case letters = <-more:
		default:
			return frames
		}
	}
}

// breakLink asks the link to end a stream.
func breakLink(link *Link, stream uint64) {
	select {
	case link.Break <- stream:
	default:
	}
}

// readLink passes what the backup says to the replicas.
func readLink(room *Room, c call, stream uint64, gone chan<- error) {
	kinds := map[wire.Kind]shard.EventKind{wire.Stored: shard.PeerStored, wire.Position: shard.PeerPosition,
		wire.Append: shard.EntriesCame, wire.Trouble: shard.PeerTrouble}
	var scratch []byte
	armed := time.Time{}
	for {
		if now := time.Now(); now.Sub(armed) > pingEvery {
			armed = now
			_ = c.raw.SetReadDeadline(now.Add(silence))
		}
		body, err := wire.ReadFrame(c.in, scratch)
		if err != nil {
			gone <- err
			return
		}
		scratch = body
		m, err := wire.Decode(body)
		if err != nil {
			gone <- err
			return
		}
		kind, known := kinds[m.Kind]
		switch {
		case m.Kind == wire.Pong:
			continue
		case !known || m.Shard >= uint64(len(room.Desks)) || room.Desks[m.Shard] == nil:
			gone <- fmt.Errorf("%w: a frame of kind %d for shard %d: %s", ErrPeer, m.Kind, m.Shard, m.Text)
			return
		}
		room.Desks[m.Shard].In <- []*shard.Event{{Kind: kind, Shard: int(m.Shard), Stream: stream, Epoch: m.Epoch, LSN: m.LSN, Entries: takeAppend(m),
			Reason: m.Text, Broken: m.Kind == wire.Trouble && m.Code == wire.Unavailable}}
	}
}
