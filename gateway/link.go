package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"runtime"
	"time"

	"tandem/wire"
)

// ErrLink is the class of a request that got no answer because of its connection.
var ErrLink = errors.New("no answer")

const (
	dialTimeout  = 100 * time.Millisecond // for a connection, and again for the welcome: a lost SYN is repeated after a second only
	redialLeast  = 5 * time.Millisecond
	redialMost   = 50 * time.Millisecond
	logEvery     = time.Second             // at most one line about a connection's trouble, and the life after which it counts as whole
	goneAfter    = 1500 * time.Millisecond // without a connection, after which requests that can be served nowhere else are given up at once
	writeTimeout = 80 * time.Millisecond
	linkQueue    = 1024 // requests that wait to be written
	linkPending  = 1000 // requests that wait for an answer; the node reads no more than 1,024
)

// The beats of a connection, of which silenceBeats make up the setting --silence: by default one that says nothing is given up 80 to 100 ms after an
// answer was due, so that TCP's own retransmission, which begins at 200 ms, does not eat up the deadline (rule R19). Silence is counted in beats that
// were taken, not in time, so that a pause of this process is none.
const (
	pingBeats    = 10 // a ping is sent so often, for the node's clock
	quietBeats   = 2  // and when an answer is due and nothing was heard for so long
	silentBeats  = 3  // and when nothing is heard after it for so long, the connection is given up
	silenceBeats = 4  // the first of quietBeats may be a short one
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
	member := room.Members[node]
	unreachable := func(err error) error {
		return fmt.Errorf("%w: %w: %s (%s) cannot be reached: %w", ErrLink, errNotSent, member.Name, member.Address, err)
	}
	up := room.Metrics.LinksUp.WithLabelValues(member.Name)
	pause, said, logged, reason, since := redialLeast, "", time.Time{}, unreachable(errors.New("it is being dialled")), time.Now()
	for {
		dialled := make(chan session, 1)
		go dial(room, node, dialled)
		s := refuseUntil(link, reason, dialled, nil)
		if s.err == nil {
			began, ended := time.Now(), make(chan error, 1)
			up.Inc()
			go serveLink(link, s, ended)
			s.err = <-ended
			up.Dec()
			s.raw.Close()
			since = time.Now()
			if since.Sub(began) > logEvery { // one that welcomes and closes at once is dialled as slowly as one that is down
				pause, said = redialLeast, ""
			}
		}
		reason = unreachable(s.err)
		if time.Since(since) > goneAfter {
			reason = fmt.Errorf("%w, %w", reason, errGone)
		}
		if text := causeOf(s.err); text != said && time.Since(logged) > logEvery {
			room.Log.Warn("no connection to a node; dialling on", "peer", member.Name, "error", s.err)
			said, logged = text, time.Now()
		}
		refuseUntil(link, reason, time.After(pause), link.Nudge)
		pause = min(2*pause, redialMost)
	}
}

// causeOf returns what went wrong with a connection, without the addresses, which may be others at each dial.
func causeOf(err error) string {
	var at *net.OpError
	if errors.As(err, &at) {
		return at.Op + ": " + at.Err.Error()
	}
	return err.Error()
}

// refuseUntil fails whatever is asked, and answers for the state, until there is something to receive, and returns that; or until a nudge.
func refuseUntil[T any](link *Link, reason error, over <-chan T, nudge <-chan struct{}) (what T) {
	for {
		select {
		case r := <-link.In:
			r.reply <- reply{err: reason, try: r.try}
		case ask := <-link.State:
			ask <- LinkState{Reason: reason.Error()}
		case what = <-over:
			return what
		case <-nudge:
			return what
		}
	}
}

// dial opens a connection, greets, and hands the outcome over.
func dial(room *Room, node int, out chan<- session) {
	names := room.Names[node]
	address, err := names.Next(dialTimeout)
	var raw net.Conn
	if err == nil {
		raw, err = net.DialTimeout("tcp", address, dialTimeout)
	}
	if err != nil {
		names.Tell(address, err)
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
		s.err = wire.Decode(m, body)
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
	names.Tell(address, s.err)
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
	pending, frames, last, scratch := map[uint64]request{}, []byte(nil), uint64(0), &wire.Message{}
	quiet, pinged, asked := 0, 0, 0 // beats since a frame was heard, since the last ping, and since one that nothing has followed
	answers, quit := make(chan []*wire.Message, 16), make(chan struct{})
	go readLink(link, s, answers, quit)
	tick := time.NewTicker(link.Beat)
	defer tick.Stop()
	for err == nil {
		frames = frames[:0]
		select {
		case r := <-link.In:
			runtime.Gosched() // whoever else is about to ask goes first, and shares the system call
			frames, last = takeRequests(link, s, r, frames, pending, last, scratch)
		case batch, open := <-answers:
			if !open {
				err = errors.New("the connection broke")
			}
			quiet, asked = 0, 0
			s.offset = giveAnswers(pending, batch, s.offset)
		case ask := <-link.State:
			ask <- LinkState{Up: true}
		case <-link.Nudge: // the connection has to show that it works
			if asked == 0 {
				frames, pinged, asked = wire.AppendFrame(frames, &wire.Message{Kind: wire.Ping}), 0, 1
			}
		case <-tick.C:
			quiet, pinged = quiet+1, pinged+1
			switch {
			case asked >= silentBeats:
				err = errors.New("it is silent")
			case asked > 0:
				asked++
			case pinged >= pingBeats || len(pending) > 0 && quiet >= quietBeats:
				frames, pinged, asked = wire.AppendFrame(frames, &wire.Message{Kind: wire.Ping}), 0, 1
			}
		}
		if len(frames) > 0 && err == nil {
			_ = s.raw.SetWriteDeadline(time.Now().Add(writeTimeout))
			_, err = s.raw.Write(frames)
		}
	}
	close(quit)
	for _, r := range pending {
		r.reply <- reply{err: fmt.Errorf("%w: %s: %w", ErrLink, link.Name, err), try: r.try}
	}
	ended <- err
}

// giveAnswers gives answers to those who wait for them, and returns how far the node's clock is ahead, as the newest
// pong says.
func giveAnswers(pending map[uint64]request, batch []*wire.Message, offset int64) int64 {
	for _, m := range batch {
		if m.Kind == wire.Pong {
			offset = m.Clock
		}
		r, waits := pending[m.ID]
		if !waits {
			continue
		}
		if m, whole := gather(&r, m); whole {
			delete(pending, m.ID)
			r.reply <- reply{message: m, try: r.try}
			continue
		}
		pending[m.ID] = r
		select {
		case r.heard <- struct{}{}:
		default:
		}
	}
	return offset
}

// gather returns the answer to a request once it is whole: the pages of a list, of which all but the last say that more
// follow, become one. One that brings more than was asked for is whole at once, as it is, for whoever asked to refuse.
func gather(r *request, m *wire.Message) (answer *wire.Message, whole bool) {
	if m.Kind != wire.Page {
		return m, true
	}
	if len(r.pages) > 0 {
		m.Records = append(r.pages, m.Records...)
	}
	r.pages = m.Records
	return m, !m.More || uint64(len(m.Records)) > r.message.Limit
}

// takeRequests appends the frames of first and of what else is waiting, and notes who waits for the answers. scratch is overwritten: the
// messages themselves are shared and stay as they are.
func takeRequests(link *Link, s session, first request, frames []byte, pending map[uint64]request, last uint64, scratch *wire.Message) ([]byte, uint64) {
	for r := first; ; {
		if len(pending) < linkPending {
			last++
			pending[last] = r
			*scratch = *r.message
			scratch.ID, scratch.Deadline = last, r.try.until+s.offset // only a write's frame bears it
			frames = wire.AppendFrame(frames, scratch)
		} else {
			r.reply <- reply{err: fmt.Errorf("%w: %w: too many requests wait for %s", ErrLink, errNotSent, link.Name), try: r.try}
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

// readLink reads answers and hands over all that have arrived at a time. The clock in a pong it turns at once into how far the node's clock
// is ahead of ours: the way here makes that too small by itself, never too large, so no deadline ends up later than it is (rule R18).
// Views go to the loop that merges them, which waits for nobody.
func readLink(link *Link, s session, out chan<- []*wire.Message, quit <-chan struct{}) {
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
			m := &wire.Message{}
			if err = wire.Decode(m, body); err != nil {
				return
			}
			if m.Kind == wire.Pong {
				m.Clock -= clock()
			}
			if m.Kind == wire.Views {
				select {
				case link.Told <- told{link.Name, m.Views}:
				case <-quit:
					return
				}
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
