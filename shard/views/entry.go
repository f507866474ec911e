package views

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"tandem/shard"

	"github.com/vmihailenco/msgpack/v5"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// InitialVersion is the version of the cluster that is in force when it is bootstrapped. Versions are those of the wire
// protocol.
const InitialVersion = 3

// ErrVersion is the class of a cluster that this binary may take no part in, since it does not speak its version or
// cannot read what its log says.
var ErrVersion = errors.New("this binary does not fit the cluster's version")

// entryFormat is the version of how an entry of Raft's log is packed: a msgpack array of format, kind and the numbers
// of that kind. An empty entry, and a change of membership, are Raft's own.
const entryFormat = 1

// The kinds of entry in Raft's log, with their numbers.
const (
	EntryViews uint64 = iota + 1 // proposals, six numbers each
	// member, number of the start, nonce of the process, newest version that its binary speaks, nonces of the starts
	// before
	EntryStart
	EntryVersion // the version that is to be in force
)

// EntryRule is what a kind of entry needs and does: it may be proposed from the version Since on, and Apply returns the
// state after it. What does not fit the state is void: the same state is returned. Numbers that are none of the kind
// are ErrState. The state that went in is not changed.
type EntryRule struct {
	Since uint64
	Apply func(b State, numbers []uint64) (State, error)
}

// EntryRules are the kinds of entry that this binary knows. The table never changes.
var EntryRules = map[uint64]EntryRule{
	EntryViews: {InitialVersion, applyViews}, EntryStart: {InitialVersion, applyStart},
	EntryVersion: {InitialVersion, applyVersion},
}

// Start names a process of a store: the number of the store's start, which grows with each, and a random number of the
// process's own. The zero value is none. A store remembers the nonces of its last starts. Where a start is known that
// it does not remember, the store is an old copy of itself: starts of a copy do not become later ones by being many.
// One that is older than all that are remembered may have been the store's own; it counts as an old copy's all the
// same.
type Start struct{ Number, Nonce uint64 }

// FormerStarts is how many starts before the present one a store remembers.
const FormerStarts = 512

// ownStarts returns the starts that a store remembers, this one first: former has the nonces of those before it, the
// newest first.
func ownStarts(start Start, former []uint64) []Start {
	own := append(make([]Start, 0, len(former)+1), start)
	for i, nonce := range former {
		own = append(own, Start{start.Number - uint64(i) - 1, nonce})
	}
	return own
}

// isOldCopy tells whether a store that remembers its own starts is an old copy of the one whose start is known: it does
// not remember that one (rule R23).
func isOldCopy(own []Start, known Start) bool {
	return known.Number > 0 && !slices.Contains(own, known)
}

func applyViews(b State, numbers []uint64) (State, error) {
	proposals, err := proposalsOf(numbers)
	if err == nil {
		b.Views = Decide(b.Views, proposals)
	}
	return b, err
}

// applyStart notes the start of a member's store, unless one is known that is not among those that the store remembers:
// then the process that says so runs on an old copy of it.
func applyStart(b State, numbers []uint64) (State, error) {
	if len(numbers) < 4 || len(numbers) > 4+FormerStarts {
		return b, fmt.Errorf("%w: a start of %d numbers, expected member, start, nonce, version and up to %d nonces",
			ErrState, len(numbers), FormerStarts)
	}
	node, start := shard.NodeOf(numbers[0]), Start{numbers[1], numbers[2]}
	own := ownStarts(start, numbers[4:])
	if node < 0 || node >= len(b.Members) || b.Members[node] != numbers[0] || isOldCopy(own, b.Starts[node]) {
		return b, nil
	}
	b.Starts, b.Speaks = slices.Clone(b.Starts), slices.Clone(b.Speaks)
	b.Starts[node], b.Speaks[node] = start, numbers[3]
	return b, nil
}

// applyVersion raises the version in force by one, if all members speak it.
func applyVersion(b State, numbers []uint64) (State, error) {
	if len(numbers) != 1 {
		return b, fmt.Errorf("%w: a version of %d numbers, expected one", ErrState, len(numbers))
	}
	if v := numbers[0]; v == b.Version+1 && len(b.Speaks) > 0 && slices.Min(b.Speaks) >= v {
		b.Version = v
	}
	return b, nil
}

// entryNumbers is an entry of Raft's log as numbers.
func entryNumbers(kind uint64, numbers ...uint64) []uint64 {
	return append([]uint64{entryFormat, kind}, numbers...)
}

// EncodeEntry is an entry of Raft's log as bytes, as a binary proposes it that knows a kind.
func EncodeEntry(kind uint64, numbers ...uint64) []byte {
	return packNumbers(entryNumbers(kind, numbers...))
}

// nextState returns the state after an entry of Raft's log that is not empty. Error: ErrVersion for an entry of a kind
// or a format that is not known here, or that does not parse: other binaries may read it, so it must not be passed
// over.
func nextState(rules map[uint64]EntryRule, b State, data []byte) (State, error) {
	numbers, rest := []uint64{}, bytes.NewReader(data)
	err := msgpack.NewDecoder(rest).Decode(&numbers)
	if err == nil && (rest.Len() > 0 || len(numbers) < 2 || numbers[0] != entryFormat) {
		err = fmt.Errorf("it begins with %v and has %d bytes behind its numbers, expected format %d, a kind and nothing behind", numbers[:min(len(numbers), 2)], rest.Len(), entryFormat)
	}
	next := b
	if err == nil {
		rule, known := rules[numbers[1]]
		if err = fmt.Errorf("it is of kind %d", numbers[1]); known {
			next, err = rule.Apply(b, numbers[2:])
		}
	}
	if err != nil {
		return b, fmt.Errorf("%w: this binary is older than the cluster, or the log is damaged: it cannot read an entry: %w", ErrVersion, err)
	}
	return next, nil
}

// asking is a proposal of this node's: the entry that an event has, or else views.
func asking(self uint64, e *Event, views []byte) *raftpb.Message {
	if len(e.Entry) > 0 {
		views = e.Entry
	}
	return &raftpb.Message{Type: raftpb.MsgProp.Enum(), From: proto.Uint64(self), Entries: []*raftpb.Entry{{Data: views}}}
}

// readable returns a message, or nil if it proposes an entry that some member may not read while the version is in
// force that is: such an entry would stop that node, and one that nobody can read all of them. A snapshot with a state
// that cannot be read (bad) is nothing either.
func readable(c Service, m *raftpb.Message, bad error) *raftpb.Message {
	kind := m.GetType()
	if kind == raftpb.MsgSnap && bad != nil {
		return nil
	}
	for _, entry := range m.GetEntries() {
		if kind != raftpb.MsgProp || entry.GetType() != raftpb.EntryNormal {
			continue
		}
		numbers, rest := []uint64{}, bytes.NewReader(entry.GetData())
		err := msgpack.NewDecoder(rest).Decode(&numbers)
		if err != nil || rest.Len() > 0 || len(numbers) < 2 || numbers[0] != entryFormat {
			return nil
		}
		if rule, known := c.Mine.Rules[numbers[1]]; !known || rule.Since > c.State.Version {
			return nil
		}
	}
	return m
}

// raise tells when it is due that Raft's leader proposes the next version: once all members have spoken it for so long
// that nobody is thought to want an older binary back.
func raise(c Service, now int64) (_ Service, due bool) {
	next := c.State.Version + 1
	leads := c.Raft.BasicStatus().RaftState == raft.StateLeader
	switch {
	case c.Unhealthy || !leads || len(c.State.Speaks) == 0 || slices.Min(c.State.Speaks) < next:
		c.spoken = 0
	case c.spoken == 0:
		c.spoken = max(now, 1)
	case now-c.spoken >= c.Timing.RaiseAfter:
		c.spoken = now - c.Timing.RaiseAfter + changeEvery
		return c, true
	}
	return c, false
}

// greet notes the start with which a member's store says hello, and what a node that is greeted knows of this store's:
// nothing is sent to it before (rule R23).
func greet(c Service, e *Event) Service {
	node := shard.NodeOf(e.Member)
	switch {
	case e.Kind == JoinAsked:
		if node >= 0 && node < len(c.State.Members) && c.State.Members[node] == e.Member &&
			e.Start.Number > c.Heard[node].Number {
			c.Heard[node] = e.Start
		}
	case e.To < 0 || e.To >= len(c.greeted):
	case e.Kind == PeerGreeted && isOldCopy(c.own, e.Start):
		c.older = fmt.Sprintf("node %d knows start %d of it (process %x)", e.To, e.Start.Number, e.Start.Nonce)
	default:
		c.greeted[e.To] = e.Kind == PeerGreeted
	}
	return c
}

// KnownStart returns the newest start of a member's store that a view service knows: from the state, or because it has
// said hello since this process began; zero for a store that is no member.
func KnownStart(c Service, member uint64) Start {
	node := shard.NodeOf(member)
	if node < 0 || node >= len(c.State.Members) || c.State.Members[node] != member {
		return Start{}
	}
	if known := c.State.Starts[node]; known.Number >= c.Heard[node].Number {
		return known
	}
	return c.Heard[node]
}
