package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"tandem/shard"
	"tandem/wire"
	"tandem/wire/peer"
)

const (
	idleFor    = 5 * time.Minute  // a connection without a byte is closed
	helloFor   = 10 * time.Second // for the greeting to be whole
	readBuffer = 32 << 10
)

// accept takes connections until the listener is closed; at most as many as seats has slots are open at once. wirings
// has one slot, with the wiring that a connection is served in.
func accept(wirings chan *wiring, listener net.Listener, seats chan struct{}) {
	for {
		seats <- struct{}{}
		raw, err := listener.Accept()
		wiring := <-wirings
		wirings <- wiring
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of file handles, say: those that are open go on
			wiring.Log.Warn("a connection could not be accepted", "error", err)
			time.Sleep(50 * time.Millisecond)
			<-seats
			continue
		}
		go serveConn(wiring, raw, seats)
	}
}

// accepted is what the stages of an accepted connection know of it so far.
type accepted struct {
	wiring  *wiring
	raw     net.Conn
	in      *bufio.Reader
	letter  bool // its first byte is one, so it speaks lines of text
	codec   wire.Codec
	message *wire.Message // the greeting; each frame takes the place of the one before
	scratch []byte        // where frames are read
	over    bool
}

// connStages are an accepted connection's life.
var connStages = [...]func(accepted) accepted{awaitFirstByte, serveLines, awaitGreeting, serveFrames}

// serveConn is a connection's goroutine.
func serveConn(wiring *wiring, raw net.Conn, seats <-chan struct{}) {
	wiring.ConnEvents <- connEvent{Raw: raw, Info: connInfo{Remote: raw.RemoteAddr().String(), Speaks: "nothing yet"}}
	c := accepted{wiring: wiring, raw: raw}
	for _, stage := range connStages {
		if !c.over {
			c = stage(c)
		}
	}
	raw.Close()
	wiring.ConnEvents <- connEvent{Raw: raw, Closed: true}
	<-seats
}

// awaitFirstByte tells by the first byte what a connection speaks: a letter begins a line of text, 0xce a frame. Until
// then it costs one small goroutine and no buffer.
func awaitFirstByte(c accepted) accepted {
	first := make([]byte, 1)
	_ = c.raw.SetReadDeadline(time.Now().Add(idleFor))
	_, err := io.ReadFull(c.raw, first)
	if c.over = err != nil; c.over {
		return c
	}
	c.letter = first[0]|0x20 >= 'a' && first[0]|0x20 <= 'z'
	c.in = bufio.NewReaderSize(io.MultiReader(bytes.NewReader(first), c.raw), readBuffer)
	return c
}

// runConnRegistry is the loop that knows the open connections. Of those that are closed because their answers are not
// read it logs one a second at most.
func runConnRegistry(events <-chan connEvent, asks <-chan chan<- connStats, log *slog.Logger) {
	open, unread, said := map[net.Conn]connInfo{}, 0, time.Time{}
	for {
		select {
		case d := <-events:
			switch info := open[d.Raw]; {
			case d.Closed:
				delete(open, d.Raw)
			case d.Unread == "":
				open[d.Raw] = d.Info
			default:
				if unread++; time.Since(said) > time.Second {
					said = time.Now()
					log.Warn("a connection is closed that does not read its answers", "remote", info.Remote, "caller",
						info.Caller, "reason", d.Unread, "so far", unread)
				}
			}
		case ask := <-asks:
			now := connStats{make([]connInfo, 0, len(open)), unread}
			for _, info := range open {
				now.open = append(now.open, info)
			}
			ask <- now
		}
	}
}

// judge checks the first frame of a connection, which was read with err. It returns an error frame that names what was
// expected, or nil if there is nothing to say.
func judge(node *Node, peers *Peers, m *wire.Message, err error) *wire.Message {
	if errors.Is(err, wire.ErrFrame) || errors.Is(err, wire.ErrChecksum) {
		return &wire.Message{Kind: wire.Error, Code: wire.BadFrame, Text: err.Error()}
	}
	if err != nil {
		return nil
	}
	if m.Kind != wire.Hello {
		return &wire.Message{Kind: wire.Error, ID: m.ID, Code: wire.BadRequest,
			Text: fmt.Sprintf("expected hello (kind %d) first, found kind %d", wire.Hello, m.Kind)}
	}
	mine, theirs := greeting(node), peer.Hear(m)
	if node.Started && theirs.Role == shard.RoleNode {
		mine.Replaced = viewsStatus(peers).State.Replaced
	}
	misfit, text := shard.Fits(mine, theirs, "")
	noteRefusal(peers, theirs.Role+" "+theirs.Name, misfit, text)
	if misfit == "" {
		return nil
	}
	return &wire.Message{Kind: wire.Error, ID: m.ID, Code: peer.CodeOf(misfit), Text: text}
}
