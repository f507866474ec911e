package main

import (
	"cmp"
	"slices"
	"strconv"
	"sync"
	"time"

	"tandem/shard"
	"tandem/wire"
	"tandem/wire/proc"
)

// fakeStore is the data of all fake nodes of a cluster.
type fakeStore struct {
	lock    sync.Mutex
	layout  shard.Layout
	views   []shard.View // which the nodes act by, whatever they tell
	users   map[string]wire.Record
	done    map[wire.RequestID]*wire.Message
	last    uint64
	maxPage int                   // records that fit a page
	pause   time.Duration         // before each page of a list
	order   map[int][]wire.Record // by shard, as far as it was asked for since the last change
}

// newFakeStore is an empty one, with the views that a cluster is bootstrapped with.
func newFakeStore(layout shard.Layout) *fakeStore {
	s := &fakeStore{layout: layout, users: map[string]wire.Record{}, done: map[wire.RequestID]*wire.Message{},
		maxPage: 1000}
	for i := range layout.Shards {
		s.views = append(s.views, shard.InitialView(layout, i))
	}
	return s
}

// fakeGreeting is what a node of the cluster db-0, db-1, db-2 says of itself.
func fakeGreeting(name string) wire.Greeting {
	return wire.Greeting{Least: wire.Least, Most: wire.Most, Cluster: "tandem", Role: "node", Name: name,
		Incarnation: [16]byte{1}, Ring: shard.RingHash([]string{"db-0", "db-1", "db-2"}), Shards: 24,
		Lease: 100e6, Grace: 120e6, Store: 1}
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
		return &wire.Message{Kind: wire.Welcome, Clock: proc.Clock() + aheadBy, Greeting: fakeGreeting(name)}
	case wire.Ping:
		return &wire.Message{Kind: wire.Pong, Clock: proc.Clock() + aheadBy}
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
	return current.ID != "" && (c.Kind == wire.AnyVersion ||
		slices.Contains(c.Versions, wire.LogPosition{Epoch: current.Epoch, LSN: current.LSN}))
}

// ordered returns the users of a shard in the global order.
func (s *fakeStore) ordered(want int) []wire.Record {
	if all, known := s.order[want]; known {
		return all
	}
	all := []wire.Record{}
	for id, u := range s.users {
		if at, _ := shard.ShardOf(s.layout, id); at == want {
			all = append(all, u)
		}
	}
	key := func(id string) string {
		_, bucket := shard.ShardOf(s.layout, id)
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
