package main

import (
	"bufio"
	"flag"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"tandem/shard"
	"tandem/wire"
)

// aheadBy is how far the clock of the fake nodes is ahead of this machine's.
const aheadBy = int64(1e15)

// patience is how long a test polls for what must come about.
const patience = 30 * time.Second

// verdict is what a hook wants done with a request.
type verdict int

const (
	answer verdict = iota // as a node would
	silent                // never
	hangUp                // close the connection instead
	refuse                // with the hook's own message
)

// hook decides over the requests that a fake node gets; the message is what it answers with under refuse.
type hook func(m *wire.Message) (verdict, *wire.Message)

// fakeNode speaks the wire protocol over loopback.
type fakeNode struct {
	name        string
	store       *fakeStore
	listener    net.Listener // nil if it is reached by pipes
	lock        sync.Mutex
	hook        hook
	incarnation [16]byte        // the incarnation of its cluster
	lacks       string          // what it says that it lacks to take its whole part
	gone        bool            // takes no more connections by pipes
	deaf        bool            // as if it were cut off or paused: nothing that arrives has an effect
	views       []wire.View     // after each welcome; nothing if nil
	seen        []*wire.Message // requests, in order of arrival
	open        []net.Conn
}

// rig is a gateway before fake nodes.
type rig struct {
	t       testing.TB
	url     string
	handler http.Handler // is asked itself if there is no url
	wiring  *wiring
	store   *fakeStore
	nodes   []*fakeNode
}

// newRig starts three fake nodes and a gateway that is connected to all of them. A slow machine makes no connection
// seem silent.
func newRig(t testing.TB, deadline, try time.Duration) *rig {
	t.Helper()
	return newSilenceRig(t, deadline, try, ample)
}

// newSilenceRig is newRig with a gateway that gives silent connections up.
func newSilenceRig(t testing.TB, deadline, try, silence time.Duration) *rig {
	t.Helper()
	layout := shard.Layout{Nodes: 3, Shards: 24}
	store := newFakeStore(layout)
	r := &rig{t: t, store: store}
	members := []member{}
	for i := range layout.Nodes {
		n := &fakeNode{name: "db-" + strconv.Itoa(i), store: store, incarnation: [16]byte{1}}
		n.listen(t, "127.0.0.1:0")
		r.nodes = append(r.nodes, n)
		members = append(members, member{Name: n.name, Address: n.listener.Addr().String()})
	}
	config := config{Listen: "test", Cluster: "tandem", Shards: layout.Shards, Links: 2, Deadline: deadline, Try: try,
		Silence: silence, MaxConnections: 100, Lists: 32, UnreadMB: 64, SlowKB: 1024}
	r.wiring = open(config, members, layout, slog.New(slog.DiscardHandler))
	handler, stopping := routes(r.wiring), make(chan struct{})
	server := httptest.NewUnstartedServer(handler)
	server.Listener = r.front(handler, server.Listener, stopping)
	server.Start()
	r.url = server.URL
	t.Cleanup(func() {
		close(stopping)
		server.Close()
		for _, n := range r.nodes {
			n.stop()
		}
	})
	for i := range r.nodes {
		r.await(i, true)
	}
	return r
}

// byLibrary has all requests served by net/http, so that the same tests show that it answers as the front does.
var byLibrary = flag.Bool("bylibrary", false, "serve plain requests by net/http, too")

// front returns what is left of a listener for net/http.
func (r *rig) front(handler http.Handler, l net.Listener, stopping chan struct{}) net.Listener {
	if *byLibrary {
		return l
	}
	rest, over := newFront(handler, l, slog.New(slog.DiscardHandler), stopping)
	r.t.Cleanup(func() { <-over })
	return rest
}

// await polls until all connections to a node are up, or all are down.
func (r *rig) await(node int, up bool) {
	r.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		fit := true
		for _, link := range r.wiring.Links[node] {
			state := make(chan linkState, 1)
			link.State <- state
			s := <-state
			fit = fit && s.Up == up
		}
		if fit {
			return
		}
		if time.Now().After(end) {
			r.t.Fatalf("the connections to node %d do not become up=%v", node, up)
		}
	}
}

func (n *fakeNode) listen(t testing.TB, address string) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	n.listener = listener
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			n.lock.Lock()
			n.open = append(n.open, conn)
			n.lock.Unlock()
			go n.serve(conn)
		}
	}()
}

// stop closes the listener and every connection.
func (n *fakeNode) stop() {
	if n.listener != nil {
		n.listener.Close()
	}
	n.lock.Lock()
	defer n.lock.Unlock()
	n.gone = true
	for _, conn := range n.open {
		conn.Close()
	}
	n.open = nil
}

// set puts a hook in force and forgets what was seen.
func (n *fakeNode) set(h hook) {
	n.lock.Lock()
	defer n.lock.Unlock()
	n.hook, n.seen = h, nil
}

// saw returns the requests since set.
func (n *fakeNode) saw() []*wire.Message {
	n.lock.Lock()
	defer n.lock.Unlock()
	return slices.Clone(n.seen)
}

func (n *fakeNode) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		body, err := wire.ReadFrame(in, nil)
		if err != nil {
			return
		}
		m := &wire.Message{}
		err = wire.NewCodec().Decode(m, body)
		if err != nil {
			return
		}
		what, reply := answer, (*wire.Message)(nil)
		n.lock.Lock()
		h, tells, deaf, is, lacks := n.hook, n.views, n.deaf, n.incarnation, n.lacks
		isRequest := m.Kind != wire.Hello && m.Kind != wire.Ping
		if isRequest {
			n.seen = append(n.seen, m)
		}
		n.lock.Unlock()
		if isRequest && h != nil {
			what, reply = h(m)
		}
		if deaf {
			what = silent
		}
		switch what {
		case silent:
			continue
		case hangUp:
			return
		case answer:
			reply = n.store.answer(n.name, m)
		}
		if m.Kind == wire.Hello {
			reply.Greeting.Incarnation = is
			if theirs := m.Greeting.Incarnation; theirs != is && theirs != [16]byte{} && is != [16]byte{} {
				reply = &wire.Message{Kind: wire.Error, Code: wire.WrongIncarnation, Text: "another incarnation"}
			}
		}
		if m.Kind == wire.Ping {
			reply.Text = lacks
		}
		reply.ID = m.ID
		if m.Kind == wire.List && reply.Kind == wire.Page && !n.page(conn, reply) {
			return
		}
		frames := wire.NewCodec().AppendFrame(nil, reply)
		if m.Kind == wire.Hello && reply.Kind == wire.Welcome && tells != nil {
			frames = wire.NewCodec().AppendFrame(frames, &wire.Message{Kind: wire.Views, Views: tells})
		}
		if _, err = conn.Write(frames); err != nil {
			return
		}
	}
}

// page sends all pages of a list but the last, which it leaves in all.
func (n *fakeNode) page(conn net.Conn, all *wire.Message) bool {
	n.store.lock.Lock()
	most, pause := n.store.maxPage, n.store.pause
	n.store.lock.Unlock()
	for time.Sleep(pause); len(all.Records) > most; time.Sleep(pause) {
		part := *all
		part.More, part.Records, all.Records = true, all.Records[:most], all.Records[most:]
		if _, err := conn.Write(wire.NewCodec().AppendFrame(nil, &part)); err != nil {
			return false
		}
	}
	return true
}

// fill stores users u0 … without the gateway.
func (r *rig) fill(n int) {
	r.store.lock.Lock()
	defer r.store.lock.Unlock()
	r.store.order = nil
	for i := range n {
		id := "u" + strconv.Itoa(i)
		r.store.users[id] = wire.Record{ID: id, Name: "n", Email: "e", Group: int64(i), Epoch: 1, LSN: uint64(i + 1)}
	}
}
