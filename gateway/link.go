package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tandem/shard"
	"tandem/wire"
	"tandem/wire/peer"
	"tandem/wire/proc"
)

const (
	// for a connection, and again for the welcome: a lost SYN is repeated after a second only
	dialTimeout    = 100 * time.Millisecond
	minRedialPause = 5 * time.Millisecond
	maxRedialPause = 50 * time.Millisecond
	// without a connection, after which requests that can be served nowhere else are given up at once
	unreachableAfter = 1500 * time.Millisecond
	keepUnusedFor    = time.Second // a connection that carries no request is kept for so long
	writeTimeout     = 80 * time.Millisecond
	linkQueue        = 1024 // requests that wait to be written
	linkPending      = 1000 // requests that wait for an answer; the node reads no more than 1,024
)

// The ticks of a connection, of which silenceTicks make up the setting --silence: by default one that says nothing is
// given up 80 to 100 ms after an answer was due, so that TCP's own retransmission, which begins at 200 ms, does not eat
// up the deadline (rule R19). Silence is counted in ticks that were taken, not in time, so that a pause of this process
// is none.
const (
	pingTicks    = 10 // a ping is sent so often, for the node's clock
	quietTicks   = 2  // and when an answer is due and nothing was heard for so long
	silentTicks  = 3  // and when nothing is heard after it for so long, the connection is given up
	silenceTicks = 4  // the first of quietTicks may be a short one
)

// session is a connection that has been welcomed, or why there is none.
type session struct {
	raw    net.Conn
	in     *bufio.Reader
	codec  wire.Codec // of the version that was agreed on
	offset int64      // at least so many ns is the node's clock ahead of ours
	lacks  string     // why the node takes no part, as it says; "" if it does
	err    error

	incarnation [16]byte     // of the node's cluster
	views       chan viewSet // the cell in the wiring
	set         viewSet      // for which clusterErr was found; newer ones are looked at when it changes
	clusterErr  error        // why no request may go out yet; nil if they may
}

// linkRound is what the stages of a link know: of a session, and of those before it.
type linkRound struct {
	wiring  *wiring
	node    int
	link    *linkHandle
	up      prometheus.Gauge
	misfits *prometheus.GaugeVec
	session session
	began   time.Time        // of the session; zero if there is none
	since   time.Time        // when the last one ended
	pause   time.Duration    // before the next dial
	reason  error            // why what is asked meanwhile fails
	was     peer.MisfitError // of the session before
	// whoever is refused for its cluster hears of the node's only if it does not say its own, which it does every other
	// time
	asks bool
}

// linkStages are a round of a link. The list never changes.
var linkStages = [...]func(linkRound) linkRound{openSession, serveLink, endSession}

// runLink keeps one connection to a node, and fails at once what is asked while there is none.
func runLink(wiring *wiring, node int, link *linkHandle) {
	member := wiring.Members[node]
	k := linkRound{wiring: wiring, node: node, link: link, pause: minRedialPause, since: time.Now(),
		up:      wiring.Metrics.LinksUp.WithLabelValues(member.Name),
		misfits: wiring.Metrics.Refused.MustCurryWith(prometheus.Labels{"node": member.Name}),
		reason:  notReached(member, "cannot be reached", errors.New("it is being dialled"), errLink, errNotSent)}
	for {
		for _, stage := range linkStages {
			k = stage(k)
		}
	}
}

// openSession makes a session and counts it, or in what the two sides do not fit.
func openSession(k linkRound) linkRound {
	k.session = connect(k.wiring, k.node, k.link, k.reason, k.asks)
	now := peer.MisfitError{}
	errors.As(k.session.err, &now)
	if now.In != k.was.In && k.was.In != "" {
		k.misfits.WithLabelValues(string(k.was.In)).Dec()
	}
	if now.In != k.was.In && now.In != "" {
		k.misfits.WithLabelValues(string(now.In)).Inc()
	}
	k.was, k.asks = now, now.In == shard.OtherIncarnation && !k.asks
	if k.began = (time.Time{}); k.session.err == nil {
		k.began = time.Now()
		k.up.Inc()
	}
	return k
}

// endSession tells how a session ended, or why there was none, and fails what is asked until the next dial.
func endSession(k linkRound) linkRound {
	member, lifetime := k.wiring.Members[k.node], time.Duration(0)
	if !k.began.IsZero() {
		k.up.Dec()
		k.session.raw.Close()
		k.since = time.Now()
		// one that welcomes and closes at once is dialled as slowly as one that is down
		if lifetime = k.since.Sub(k.began); lifetime > logInterval {
			k.pause = minRedialPause
		}
	}
	k.reason = notReached(member, "cannot be reached", k.session.err, errLink, errNotSent)
	if time.Since(k.since) > unreachableAfter {
		k.reason = notReached(member, unreachableText, k.session.err, errLink, errNotSent, errPersistent)
	}
	k.wiring.Outages <- outage{k.node, outageKind(k.session), k.session.err, lifetime, time.Now()}
	rejectUntil(k.link, k.reason, time.After(k.pause), k.link.Nudge)
	k.pause = min(2*k.pause, maxRedialPause)
	return k
}

// connect dials a node, tells the loop that chooses the cluster what it says of its own, and returns the connection
// once it may carry requests, or why it may not. One to a node of which that is not known yet is kept for a while, for
// the node closes it when it knows.
//
// Of a gateway that asks for the node's cluster the greeting does not name the one that it serves, which a node of
// another one would refuse.
func connect(wiring *wiring, node int, link *linkHandle, reason error, asks bool) session {
	dialled, taken, gone := make(chan peer.Conn, 1), make(chan struct{}, 1), make(chan error, 1)
	mine := func() shard.Greeting {
		g := wiring.Mine
		if g.Incarnation = currentViews(wiring.Views).Cluster; asks {
			g.Incarnation = [16]byte{}
		}
		return g
	}
	go func() { dialled <- peer.Dial(wiring.Names[node], dialTimeout, mine, wiring.Members[node].Name) }()
	c := rejectUntil(link, reason, dialled, nil)
	if misfit := (peer.MisfitError{}); errors.As(c.Err, &misfit) && misfit.Refused {
		misfit.Text = "it refuses this gateway: " + misfit.Text
		c.Err = misfit
	}
	if c.Err != nil {
		return session{err: c.Err}
	}
	s := session{raw: c.Raw, in: c.In, codec: c.Codec, offset: c.Offset, incarnation: c.Theirs.Incarnation,
		views: wiring.Views}
	wiring.ClusterReports <- clusterReport{node, s.incarnation, taken}
	rejectUntil(link, reason, taken, nil)
	s.set = currentViews(wiring.Views)
	if s.clusterErr = checkCluster(s.set, s.incarnation); s.clusterErr == nil {
		return s
	}
	if s.set.Cluster == [16]byte{} || s.incarnation == [16]byte{} {
		go discardFrames(s, gone)
		reason = classified{fmt.Errorf("%s: %w", link.Name, s.clusterErr), []error{errLink, errNotSent}}
		rejectUntil(link, reason, gone, link.Nudge)
	}
	s.raw.Close()
	s.err = s.clusterErr
	return s
}

// discardFrames reads what comes by a connection that carries no requests, until it ends or has been kept long enough.
func discardFrames(s session, gone chan<- error) {
	_ = s.raw.SetReadDeadline(time.Now().Add(keepUnusedFor))
	var err error
	for scratch := []byte(nil); err == nil; {
		scratch, err = wire.ReadFrame(s.in, scratch)
	}
	gone <- err
}

// rejectUntil fails whatever is asked, and answers for the state, until there is something to receive, and returns
// that; or until a nudge.
func rejectUntil[T any](link *linkHandle, reason error, over <-chan T, nudge <-chan struct{}) (what T) {
	for {
		select {
		case r := <-link.In:
			r.reply <- reply{err: reason, try: r.try}
		case ask := <-link.State:
			state, misfit := linkState{Reason: reason.Error()}, peer.MisfitError{}
			if errors.As(reason, &misfit) { // which says all by itself
				state = linkState{Reason: misfit.Text, Refused: misfit.In}
			}
			ask <- state
		case what = <-over:
			return what
		case <-nudge:
			return what
		}
	}
}

// serveLink is a connection's loop: it owns the requests that wait for an answer, writes all that is waiting in one
// system call, and says why the connection ended, when every request has been failed.
func serveLink(k linkRound) linkRound {
	link, s, err := k.link, k.session, k.session.err
	if err != nil {
		return k
	}
	out := outgoing{pending: map[uint64]request{}, scratch: &wire.Message{}}
	// ticks since a frame was heard, since the last ping, and since one that nothing has followed
	quiet, pinged, asked := 0, 0, 0
	answers, quit := make(chan []*wire.Message, 16), make(chan struct{})
	go readLink(link, s, answers, quit)
	tick := time.NewTicker(link.Tick)
	defer tick.Stop()
	for err == nil {
		out.frames = out.frames[:0]
		select {
		case r := <-link.In:
			runtime.Gosched() // whoever else is about to ask goes first, and shares the system call
			out = appendRequests(link, s, r, out)
		case batch, open := <-answers:
			if !open {
				err = errors.New("the connection broke")
			}
			quiet, asked = 0, 0
			s = deliverAnswers(out.pending, batch, s)
		case ask := <-link.State:
			ask <- linkState{Up: true, Lacks: s.lacks}
		case <-s.set.Changed: // looked at below
		case <-link.Nudge: // the connection has to show that it works
			if asked == 0 {
				out.frames, pinged, asked = s.codec.AppendFrame(out.frames, &wire.Message{Kind: wire.Ping}), 0, 1
			}
		case <-tick.C:
			quiet, pinged = quiet+1, pinged+1
			switch {
			case asked >= silentTicks:
				err = errors.New("it is silent")
			case asked > 0:
				asked++
			case pinged >= pingTicks || len(out.pending) > 0 && quiet >= quietTicks:
				out.frames, pinged, asked = s.codec.AppendFrame(out.frames, &wire.Message{Kind: wire.Ping}), 0, 1
			}
		}
		// what is about to be sent goes to no other cluster either
		if s.set = refreshViews(s.views, s.set); err == nil && s.set.Cluster != s.incarnation {
			err = errors.New("another cluster is served now")
		}
		if len(out.frames) > 0 && err == nil {
			_ = s.raw.SetWriteDeadline(time.Now().Add(writeTimeout))
			_, err = s.raw.Write(out.frames)
		}
	}
	close(quit)
	for _, r := range out.pending {
		r.reply <- reply{err: classified{fmt.Errorf("%s: %w", link.Name, err), []error{errLink}}, try: r.try}
	}
	k.session.err = err
	return k
}

// deliverAnswers gives answers to those who wait for them, and returns the session with what the newest pong says: how
// far the node's clock is ahead, and why it takes no part.
func deliverAnswers(pending map[uint64]request, batch []*wire.Message, s session) session {
	for _, m := range batch {
		if m.Kind == wire.Pong {
			s.offset, s.lacks = m.Clock, m.Text
		}
		r, waits := pending[m.ID]
		if !waits {
			continue
		}
		if m, whole := mergePages(&r, m); whole {
			delete(pending, m.ID)
			r.reply <- reply{message: m, try: r.try}
			continue
		}
		pending[m.ID] = r
		select {
		case r.progress <- struct{}{}:
		default:
		}
	}
	return s
}

// mergePages returns the answer to a request once it is whole: the pages of a list, of which all but the last say that
// more follow, become one. One that brings more than was asked for is whole at once, as it is, for whoever asked to
// refuse.
func mergePages(r *request, m *wire.Message) (answer *wire.Message, whole bool) {
	if m.Kind != wire.Page {
		return m, true
	}
	if len(r.pages) > 0 {
		m.Records = append(r.pages, m.Records...)
	}
	r.pages = m.Records
	return m, !m.More || uint64(len(m.Records)) > r.message.Limit
}

// outgoing is what a link sends by a session.
type outgoing struct {
	frames  []byte             // to be sent next
	pending map[uint64]request // by request id: those that wait for an answer
	last    uint64             // the last request id
	scratch *wire.Message      // is overwritten: messages themselves are shared and stay as they are
}

// appendRequests appends the frames of first and of what else is waiting, and notes who waits for the answers.
func appendRequests(link *linkHandle, s session, first request, out outgoing) outgoing {
	for r := first; ; {
		if len(out.pending) < linkPending {
			out.last++
			out.pending[out.last] = r
			*out.scratch = *r.message
			out.scratch.ID, out.scratch.Deadline = out.last, r.try.until+s.offset // only a write's frame bears it
			out.frames = s.codec.AppendFrame(out.frames, out.scratch)
		} else {
			r.reply <- reply{err: queueFull(link.Name), try: r.try}
		}
		if len(out.frames) > wire.PageBytes {
			return out
		}
		select {
		case r = <-link.In:
		default:
			return out
		}
	}
}

// readLink reads answers and hands over all that have arrived at a time. The clock in a pong it turns at once into how
// far the node's clock is ahead of ours: the way here makes that too small by itself, never too large, so no deadline
// ends up later than it is (rule R18). Views go to the loop that merges them, which waits for nobody.
func readLink(link *linkHandle, s session, out chan<- []*wire.Message, quit <-chan struct{}) {
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
			if err = s.codec.Decode(m, body); err != nil {
				return
			}
			if m.Kind == wire.Pong {
				m.Clock -= proc.Clock()
			}
			if m.Kind == wire.Views {
				select {
				case link.ViewReports <- viewReport{link.Name, s.incarnation, m.Views}:
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
