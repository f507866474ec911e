package main

import (
	"bufio"
	"cmp"
	"log/slog"
	"net"
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

// fakeStore is the data of all fake nodes of a cluster.
type fakeStore struct {
	lock     sync.Mutex
	layout   shard.Layout
	views    []shard.View // which the nodes act by, whatever they tell
	users    map[string]wire.Record
	done     map[wire.RequestID]*wire.Message
	last     uint64
	pageMost int                   // records that fit a page
	pause    time.Duration         // before each page of a list
	order    map[int][]wire.Record // by shard, as far as it was asked for since the last change
}

// fakeNode speaks the wire protocol over loopback.
type fakeNode struct {
	name     string
	store    *fakeStore
	listener net.Listener
	lock     sync.Mutex
	hook     hook
	is       [16]byte        // the incarnation of its cluster
	deaf     bool            // as if it were cut off or paused: nothing that arrives has an effect
	tells    []wire.View     // after each welcome; nothing if nil
	seen     []*wire.Message // requests, in order of arrival
	open     []net.Conn
}

// rig is a gateway before fake nodes.
type rig struct {
	t     testing.TB
	url   string
	room  *Room
	store *fakeStore
	nodes []*fakeNode
}

// newRig starts three fake nodes and a gateway that is connected to all of them. A slow machine makes no connection seem silent.
func newRig(t testing.TB, deadline, try time.Duration) *rig {
	t.Helper()
	return newNervousRig(t, deadline, try, ample)
}

// newNervousRig is newRig with a gateway that gives silent connections up.
func newNervousRig(t testing.TB, deadline, try, silence time.Duration) *rig {
	t.Helper()
	layout := shard.Layout{Nodes: 3, Shards: 24}
	store := &fakeStore{layout: layout, users: map[string]wire.Record{}, done: map[wire.RequestID]*wire.Message{}, pageMost: 1000}
	for s := range layout.Shards {
		store.views = append(store.views, shard.BirthView(layout, s))
	}
	r := &rig{t: t, store: store}
	members := []Member{}
	for i := range layout.Nodes {
		n := &fakeNode{name: "db-" + strconv.Itoa(i), store: store, is: [16]byte{1}}
		n.listen(t, "127.0.0.1:0")
		r.nodes = append(r.nodes, n)
		members = append(members, Member{n.name, n.listener.Addr().String()})
	}
	config := Config{Listen: "test", Cluster: "tandem", Shards: layout.Shards, Links: 2, Deadline: deadline, Try: try, Silence: silence, MaxConnections: 100, Lists: 32, UnreadMB: 64, SlowKB: 1024}
	r.room = open(config, members, layout, slog.New(slog.DiscardHandler))
	server := httptest.NewServer(routes(r.room))
	r.url = server.URL
	t.Cleanup(func() {
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

// await polls until all connections to a node are up, or all are down.
func (r *rig) await(node int, up bool) {
	r.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		fit := true
		for _, link := range r.room.Links[node] {
			state := make(chan LinkState, 1)
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
	n.listener.Close()
	n.lock.Lock()
	defer n.lock.Unlock()
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
		h, tells, deaf, is := n.hook, n.tells, n.deaf, n.is
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

// fakeGreeting is what a node of the cluster db-0, db-1, db-2 says of itself.
func fakeGreeting(name string) wire.Greeting {
	return wire.Greeting{Least: wire.Least, Most: wire.Most, Cluster: "tandem", Role: "node", Name: name, Incarnation: [16]byte{1}, Ring: shard.RingHash([]string{"db-0", "db-1", "db-2"}), Shards: 24,
		Lease: 100e6, Grace: 120e6, Store: 1}
}

// page sends all pages of a list but the last, which it leaves in all.
func (n *fakeNode) page(conn net.Conn, all *wire.Message) bool {
	n.store.lock.Lock()
	most, pause := n.store.pageMost, n.store.pause
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

// answer is what a node says to a request.
func (s *fakeStore) answer(name string, m *wire.Message) *wire.Message {
	s.lock.Lock()
	defer s.lock.Unlock()
	current, exists := s.users[m.Record.ID]
	if refusal := s.refuse(name, m); refusal != nil {
		return refusal
	}
	switch m.Kind {
	case wire.Hello:
		return &wire.Message{Kind: wire.Welcome, Clock: clock() + aheadBy, Greeting: fakeGreeting(name)}
	case wire.Ping:
		return &wire.Message{Kind: wire.Pong, Clock: clock() + aheadBy}
	case wire.Get:
		if !exists {
			return &wire.Message{Kind: wire.Outcome, Result: wire.Missing, Touched: 1}
		}
		return &wire.Message{Kind: wire.Outcome, Result: wire.Found, Touched: 1, Record: current}
	case wire.Count:
		a := &wire.Message{Kind: wire.Counts}
		for _, want := range m.Set {
			a.Counts = append(a.Counts, wire.ShardCount{Shard: want, Users: uint64(len(s.ordered(int(want))))})
		}
		return a
	case wire.List:
		return s.page(m)
	}
	if before := s.done[m.Request]; before != nil { // done is done once, whatever it became
		again := *before
		return &again
	}
	a := s.write(m, current, exists)
	keep := *a
	s.done[m.Request] = &keep
	return a
}

// refuse is what a node says to a request that another has to answer.
func (s *fakeStore) refuse(name string, m *wire.Message) *wire.Message {
	set := m.Set
	if m.Kind == wire.Get || m.Kind == wire.Write || m.Kind == wire.List {
		set = []uint64{m.Shard}
	}
	for _, at := range set {
		v := s.views[at]
		leads, backs := name == "db-"+strconv.Itoa(v.Leader), name == "db-"+strconv.Itoa(v.Backup) && v.InSync
		if m.Kind == wire.Get || m.Kind == wire.Write {
			backs = false
		}
		if !leads && !backs {
			return &wire.Message{Kind: wire.Error, Code: wire.NotLeader, Text: "another node leads the shard"}
		}
	}
	return nil
}

func (s *fakeStore) write(m *wire.Message, current wire.Record, exists bool) *wire.Message {
	refused := &wire.Message{Kind: wire.Outcome, Touched: 1, Record: wire.Record{ID: m.Record.ID}}
	switch {
	case m.Match.Kind != 0 && !named(m.Match, current), m.Unless.Kind != 0 && named(m.Unless, current):
		refused.Result, refused.Record = wire.Mismatch, current
		return refused
	case m.Op == wire.Create && exists:
		refused.Result, refused.Record = wire.Exists, current
		return refused
	case m.Op != wire.Create && !exists:
		refused.Result = wire.Missing
		return refused
	}
	next := m.Record
	if m.Op == wire.Update {
		next = current
		if m.Fields&wire.HasName != 0 {
			next.Name = m.Record.Name
		}
		if m.Fields&wire.HasEmail != 0 {
			next.Email = m.Record.Email
		}
		if m.Fields&wire.HasGroup != 0 {
			next.Group = m.Record.Group
		}
	}
	if len(next.Name)+len(next.Email) > shard.MaxText {
		refused.Result, refused.Record = wire.Oversized, current
		return refused
	}
	s.last++
	next.Epoch, next.LSN = 1, s.last
	s.users[next.ID], s.order = next, nil
	if m.Op == wire.Delete {
		delete(s.users, next.ID)
	}
	return &wire.Message{Kind: wire.Outcome, Result: wire.Created + m.Op - wire.Create, Touched: 2, Record: next}
}

// named tells whether a user, none with an empty id, is among those that a precondition names.
func named(c wire.Condition, current wire.Record) bool {
	return current.ID != "" && (c.Kind == wire.AnyVersion || slices.Contains(c.Versions, wire.Place{Epoch: current.Epoch, LSN: current.LSN}))
}

// ordered returns the users of a shard in the global order.
func (s *fakeStore) ordered(want int) []wire.Record {
	if all, known := s.order[want]; known {
		return all
	}
	all := []wire.Record{}
	for id, u := range s.users {
		if at, _ := shard.Place(s.layout, id); at == want {
			all = append(all, u)
		}
	}
	key := func(id string) string {
		_, bucket := shard.Place(s.layout, id)
		return string(shard.AppendKey(nil, bucket, id))
	}
	slices.SortFunc(all, func(a, b wire.Record) int { return cmp.Compare(key(a.ID), key(b.ID)) })
	if s.order == nil {
		s.order = map[int][]wire.Record{}
	}
	s.order[want] = all
	return all
}

func (s *fakeStore) page(m *wire.Message) *wire.Message {
	if m.Limit < 1 || m.Limit > 1000 {
		return &wire.Message{Kind: wire.Error, Code: wire.BadRequest, Text: "expected a limit of 1 to 1000"}
	}
	all := s.ordered(int(m.Shard))
	users := uint64(len(all))
	start := int(m.Offset)
	if len(m.After) > 0 {
		start = 1 + slices.IndexFunc(all, func(u wire.Record) bool { return u.ID == string(m.After) })
	}
	all = all[min(start, len(all)):]
	all = all[:min(int(m.Limit), len(all))]
	return &wire.Message{Kind: wire.Page, Shard: m.Shard, Users: users, Records: all}
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
