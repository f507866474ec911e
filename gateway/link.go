package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"time"

	"tandem/wire"
)

// ErrLink is the class of a request that got no answer because of its connection.
var ErrLink = errors.New("no answer")

const (
	dialTimeout = 200 * time.Millisecond
	redialLeast = 5 * time.Millisecond
	redialMost  = 250 * time.Millisecond
	linkTick    = 50 * time.Millisecond
	idlePing    = time.Second            // a connection that is quiet for so long is asked for a sign of life
	silence     = 150 * time.Millisecond // and given up when an answer is due for so long
	linkQueue   = 1024                   // requests that wait to be written
	linkPending = 1000                   // requests that wait for an answer; the node reads no more than 1,024
)

// session is a connection that has been welcomed, or why there is none.
type session struct {
	raw    net.Conn
	in     *bufio.Reader
	offset int64 // at least so many ns is the node's clock ahead of ours
	err    error
}

// runLink keeps one connection to a node, and fails at once what is asked while there is none.
func runLink(room *Room, node int, link *Link) {
	pause, said := redialLeast, ""
	for {
		dialled := make(chan session, 1)
		go dial(room, node, dialled)
		s := <-dialled
		if s.err == nil {
			pause, said = redialLeast, ""
			ended := make(chan error, 1)
			go serveLink(link, s, ended)
			s.err = <-ended
			s.raw.Close()
		}
		reason := fmt.Errorf("%w: %s (%s) cannot be reached: %w", ErrLink, room.Members[node].Name, room.Members[node].Address, s.err)
		if text := s.err.Error(); text != said {
			room.Log.Warn("no connection to a node; dialling on", "peer", room.Members[node].Name, "error", s.err)
			said = text
		}
		refuseFor(link, reason, pause)
		pause = min(2*pause, redialMost)
	}
}

// refuseFor fails whatever is asked for a time.
func refuseFor(link *Link, reason error, d time.Duration) {
	over := time.NewTimer(d)
	defer over.Stop()
	for {
		select {
		case r := <-link.In:
			r.reply <- reply{err: reason}
		case ask := <-link.State:
			ask <- LinkState{Reason: reason.Error()}
		case <-over.C:
			return
		}
	}
}

// dial opens a connection, greets, and hands the outcome over.
func dial(room *Room, node int, out chan<- session) {
	raw, err := net.DialTimeout("tcp", room.Members[node].Address, dialTimeout)
	if err != nil {
		out <- session{err: err}
		return
	}
	s := session{raw: raw, in: bufio.NewReaderSize(raw, 64<<10)}
	hello := &wire.Message{Kind: wire.Hello, ID: 1, Greeting: wire.Greeting{Version: wire.Version, Cluster: room.Config.Cluster,
		Role: "gateway", Name: room.Config.Listen, Nodes: uint64(room.Layout.Nodes), Shards: uint64(room.Layout.Shards)}}
	_ = raw.SetDeadline(time.Now().Add(dialTimeout))
	_, s.err = raw.Write(wire.AppendFrame(nil, hello))
	body, m := []byte{}, &wire.Message{}
	if s.err == nil {
		body, s.err = wire.ReadFrame(s.in, nil)
	}
	if s.err == nil {
		m, s.err = wire.Decode(body)
	}
	switch {
	case s.err != nil:
	case m.Kind != wire.Welcome:
		s.err = fmt.Errorf("it refuses this gateway: %s", m.Text)
	case m.Greeting.Name != room.Members[node].Name:
		s.err = fmt.Errorf("%s answers there", m.Greeting.Name)
	default:
		s.offset = m.Clock - clock()
	}
	if s.err != nil {
		raw.Close()
	}
	_ = raw.SetDeadline(time.Time{})
	out <- s
}

// serveLink is a connection's loop: it owns the requests that wait for an answer, writes all that is waiting in one system call, and
// says why the connection ended, when every request has been failed.
func serveLink(link *Link, s session, ended chan<- error) {
	var err error
	pending, frames, last := map[uint64]request{}, []byte(nil), uint64(0)
	heard, asked := time.Now(), time.Time{}
	answers, quit := make(chan []*wire.Message, 16), make(chan struct{})
	go readLink(s, answers, quit)
	tick := time.NewTicker(linkTick)
	defer tick.Stop()
	for err == nil {
		frames = frames[:0]
		select {
		case r := <-link.In:
			frames, last = takeRequests(link, s, r, frames, pending, last)
		case batch, open := <-answers:
			if !open {
				err = errors.New("the connection broke")
			}
			heard, asked = time.Now(), time.Time{}
			for _, m := range batch {
				s.offset = max(s.offset, m.Clock-clock())
				if r, waits := pending[m.ID]; waits {
					delete(pending, m.ID)
					r.reply <- reply{message: m}
				}
			}
		case ask := <-link.State:
			ask <- LinkState{Up: true}
		case now := <-tick.C:
			if asked.IsZero() && (len(pending) > 0 || now.Sub(heard) > idlePing) && now.Sub(heard) > linkTick {
				frames, asked = wire.AppendFrame(frames, &wire.Message{Kind: wire.Ping}), now
			}
			if !asked.IsZero() && now.Sub(asked) > silence {
				err = errors.New("it is silent")
			}
		}
		if len(frames) > 0 && err == nil {
			_ = s.raw.SetWriteDeadline(time.Now().Add(silence))
			_, err = s.raw.Write(frames)
		}
	}
	close(quit)
	for _, r := range pending {
		r.reply <- reply{err: fmt.Errorf("%w: %w", ErrLink, err)}
	}
	ended <- err
}

// takeRequests appends the frames of first and of what else is waiting, and notes who waits for the answers.
func takeRequests(link *Link, s session, first request, frames []byte, pending map[uint64]request, last uint64) ([]byte, uint64) {
	for r := first; ; {
		last++
		r.message.ID = last
		if r.message.Kind == wire.Write {
			r.message.Deadline = r.deadline + s.offset
		}
		if len(pending) < linkPending {
			pending[last] = r
			frames = wire.AppendFrame(frames, r.message)
		} else {
			r.reply <- reply{err: fmt.Errorf("%w: too many requests wait for it", ErrLink)}
		}
		if len(frames) > wire.PageBytes {
			return frames, last
		}
		select {
		case r = <-link.In:
		default:
			return frames, last
		}
	}
}

// readLink reads answers and hands over all that have arrived at a time.
func readLink(s session, out chan<- []*wire.Message, quit <-chan struct{}) {
	defer close(out)
	var scratch []byte
	for {
		batch := []*wire.Message(nil)
		for len(batch) == 0 || s.in.Buffered() >= wire.HeadSize && len(batch) < 64 {
			body, err := wire.ReadFrame(s.in, scratch)
			if err != nil {
				return
			}
			scratch = body
			m, err := wire.Decode(body)
			if err != nil {
				return
			}
			batch = append(batch, m)
		}
		select {
		case out <- batch:
		case <-quit:
			return
		}
	}
}
