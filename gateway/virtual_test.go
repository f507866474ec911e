package main

import (
	"bufio"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"tandem/shard"
	"tandem/wire"
	"tandem/wire/proc"
)

// newVirtualRig is newSilenceRig within a bubble of virtual time (testing/synctest): pipes take the place of the
// network, so that nothing is silent or late because this machine is slow. The tries of a request still go by the
// boot-time clock, which is not virtual. All loops end with the test.
func newVirtualRig(t *testing.T, deadline, try, silence time.Duration) *rig {
	t.Helper()
	layout := shard.Layout{Nodes: 3, Shards: 24}
	r := &rig{t: t, store: newFakeStore(layout)}
	w := &wiring{Config: config{Deadline: deadline, Try: try, Links: 2}, Layout: layout, Views: make(chan viewSet, 1),
		ViewReports: make(chan viewReport), Outages: make(chan outage), Bodies: make(chan struct{}, maxBodies),
		Links: make([][]*linkHandle, layout.Nodes), Metrics: newMetrics(), Log: slog.New(slog.DiscardHandler)}
	w.Views <- viewSet{Views: slices.Clone(r.store.views), Cluster: [16]byte{1}, Changed: make(chan struct{})}
	r.wiring, r.handler = w, routes(w)
	quit, ended := make(chan struct{}), make(chan struct{})
	for i := range layout.Nodes {
		r.nodes = append(r.nodes, &fakeNode{name: "db-" + strconv.Itoa(i), store: r.store, incarnation: [16]byte{1}})
		w.Members = append(w.Members, member{Name: r.nodes[i].name})
		for range w.Config.Links {
			link := &linkHandle{r.nodes[i].name, silence / silenceTicks, make(chan request, linkQueue),
				make(chan chan<- linkState), make(chan struct{}, 1), w.ViewReports}
			w.Links[i] = append(w.Links[i], link)
		}
	}
	for i, links := range w.Links {
		for _, link := range links {
			k := linkRound{wiring: w, node: i, link: link, pause: minRedialPause, since: time.Now(),
				up: w.Metrics.LinksUp.WithLabelValues(link.Name), reason: errNotSent}
			go func() {
				for !isClosed(quit) {
					for _, stage := range []func(linkRound) linkRound{r.openPipe, serveLink, endSession} {
						k = stage(k)
					}
				}
				ended <- struct{}{}
			}()
		}
	}
	go r.mergeVirtual()
	go func() {
		for range w.Outages {
		}
	}()
	t.Cleanup(func() {
		close(quit)
		for _, n := range r.nodes {
			n.stop()
		}
		for range layout.Nodes * w.Config.Links {
			<-ended
		}
		close(w.Outages)
		close(w.ViewReports)
	})
	for i := range r.nodes {
		r.await(i, true)
	}
	return r
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// openPipe is openSession by a pipe, for a cluster that is known.
func (r *rig) openPipe(k linkRound) linkRound {
	dialled := make(chan session, 1)
	go func() { dialled <- r.nodes[k.node].greet() }()
	k.session = rejectUntil(k.link, k.reason, dialled, nil)
	if k.began = (time.Time{}); k.session.err == nil {
		k.session.views, k.session.set = k.wiring.Views, currentViews(k.wiring.Views)
		k.began = time.Now()
		k.up.Inc()
	}
	return k
}

// greet returns a session with a node, by a pipe.
func (n *fakeNode) greet() session {
	ours, theirs := net.Pipe()
	n.lock.Lock()
	if n.gone {
		n.lock.Unlock()
		return session{err: errors.New("connection refused")}
	}
	n.open = append(n.open, theirs)
	n.lock.Unlock()
	go n.serve(theirs)
	s := session{raw: ours, in: bufio.NewReader(ours), codec: wire.NewCodec(), incarnation: n.incarnation}
	_ = ours.SetDeadline(time.Now().Add(dialTimeout))
	_, s.err = ours.Write(s.codec.AppendFrame(nil, &wire.Message{Kind: wire.Hello, ID: 1,
		Greeting: fakeGreeting("gateway")}))
	m, body := &wire.Message{}, []byte(nil)
	if s.err == nil {
		body, s.err = wire.ReadFrame(s.in, nil)
	}
	if s.err == nil {
		s.err = s.codec.Decode(m, body)
	}
	_ = ours.SetDeadline(time.Time{})
	s.offset = m.Clock - proc.Clock()
	if s.err != nil {
		ours.Close()
	}
	return s
}

// mergeVirtual is mergeReports for a cluster that is known, until there are no more reports.
func (r *rig) mergeVirtual() {
	for report := range r.wiring.ViewReports {
		old := <-r.wiring.Views
		set := old
		views, changed, err := mergeViews(r.wiring.Layout, old.Views, report.views)
		if err != nil {
			r.t.Error(err)
		}
		if len(changed) > 0 {
			set.Views, set.Changed = views, make(chan struct{})
		}
		if r.wiring.Views <- set; len(changed) > 0 {
			close(old.Changed)
		}
	}
}

// leave has a node take no more connections.
func (n *fakeNode) leave() {
	n.lock.Lock()
	defer n.lock.Unlock()
	n.gone = true
}

// pipeListener is a listener whose connections are pipes.
type pipeListener struct {
	conns chan net.Conn
	over  chan struct{}
}

func (l pipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.over:
		return nil, net.ErrClosed
	}
}

func (l pipeListener) Close() error {
	close(l.over)
	return nil
}

func (l pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// serveVirtual starts the gateway's own server within a bubble, and returns a function that connects to it.
func serveVirtual(t *testing.T, handler http.Handler, m metrics) (connect func() net.Conn) {
	listener := pipeListener{make(chan net.Conn), make(chan struct{})}
	server := newServer(handler, slog.New(slog.DiscardHandler))
	go server.Serve(problemsOf(listener, m))
	t.Cleanup(func() { server.Close() })
	return func() net.Conn {
		ours, theirs := net.Pipe()
		listener.conns <- theirs
		return ours
	}
}
