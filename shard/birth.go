package shard

import (
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"slices"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// Born returns the saved state that a cluster begins with: a snapshot with the birth view of every shard and members,
// by node, as voters. It is the same on every node, so each makes it by itself.
func Born(l Layout, members []uint64) []Fact {
	book := Book{Index: 1, Version: BirthVersion, Incarnation: Incarnation(members), Members: slices.Clone(members),
		Starts: make([]Start, len(members)), Speaks: make([]uint64, len(members)), Views: make([]View, l.Shards)}
	for s := range book.Views {
		book.Views[s] = BirthView(l, s)
	}
	voters := slices.Clone(members)
	slices.Sort(voters)
	snapshot, _ := proto.MarshalOptions{Deterministic: true}.Marshal(&raftpb.Snapshot{Data: packNumbers(bookNumbers(book)), Metadata: &raftpb.SnapshotMetadata{
		Index: proto.Uint64(1), Term: proto.Uint64(1), ConfState: &raftpb.ConfState{Voters: voters,
			AutoLeave: proto.Bool(false)}}})
	hard, _ := proto.MarshalOptions{Deterministic: true}.Marshal(&raftpb.HardState{Term: proto.Uint64(1),
		Vote: proto.Uint64(0), Commit: proto.Uint64(1)})
	return []Fact{{Key: keySnapshot, Value: snapshot}, {Key: keyHard, Value: hard}}
}

// Birth is what a store without a council's state is to do: be born with Members by node, join a cluster that was born
// without it, or wait if it is neither; Reason says what for.
type Birth struct {
	Members []uint64
	Join    bool
	Reason  string
}

// BornWith returns the member ids by node that the cluster of a book was born with, which a founder that missed its
// birth needs. It returns none for an empty book.
func BornWith(b Book) []uint64 {
	members := slices.Clone(b.Members)
	for _, id := range slices.Backward(b.Gone) { // the first store of each node counts
		members[NodeOf(id)] = id
	}
	return members
}

// DecideBirth decides for the store self without a council's state, given the greetings by node (rule R14). All stores
// must have answered, none of them born; then node 0 alone decides who is there, so that two nodes never take different
// stores for the founders, and the others follow it.
func DecideBirth(l Layout, self uint64, heard []Greeting) Birth {
	members, missing := make([]uint64, l.Nodes), []int{}
	for node, g := range heard {
		fits := len(g.Born) == l.Nodes
		for i, id := range g.Born {
			fits = fits && NodeOf(id) == i
		}
		if fits && slices.Contains(g.Born, self) {
			return Birth{Members: slices.Clone(g.Born)}
		}
		if fits {
			return Birth{Join: true}
		}
		members[node] = g.Member
		if node == NodeOf(self) {
			members[node] = self
		} else if NodeOf(g.Member) != node {
			missing = append(missing, node)
		}
	}
	again := slices.ContainsFunc(members, func(id uint64) bool { return GenerationOf(id) > 0 })
	switch {
	case again: // a second birth would give the cluster's users away
		return Birth{Reason: "a store that has lost its part of Raft's state waits for nodes that know the cluster; an operator must decide if there are none"}
	case len(missing) > 0:
		return Birth{Reason: fmt.Sprintf("a cluster is born when all %d nodes are there; these have not answered: %v",
			l.Nodes, missing)}
	case members[0] != self:
		return Birth{Reason: "all nodes are there; node 0 decides"}
	}
	return Birth{Members: members}
}

// LoadCouncil rebuilds the council of a store from its saved state, whose facts are in any order, for a process of it.
// Without facts it is the council of a new store: it takes what it is sent and neither votes nor stands until it is a
// member. Errors: ErrCouncil, ErrBook; ErrVersion if this binary cannot read what was decided, or what is in force.
func LoadCouncil(mine Process, l Layout, t Timing, facts []Fact, now int64) (Council, error) {
	c := Council{Self: mine.Member, Mine: mine, Node: NodeOf(mine.Member), Layout: l, Timing: t,
		Log: raft.NewMemoryStorage(), Conf: &raftpb.ConfState{}, last: -1, heard: now, ticked: now, Fresh: true,
		seen: make([]int64, l.Nodes), greeted: make([]bool, l.Nodes), Heard: make([]Start, l.Nodes)}
	c.own = ownStarts(mine.Start, mine.Former)
	start := append([]uint64{mine.Member, mine.Start.Number, mine.Start.Nonce, mine.Most}, mine.Former...)
	c.start = packNumbers(entryNumbers(EntryStart, start...))
	snapshot, hard, entries, err := openFacts(facts)
	if err != nil {
		return c, fmt.Errorf("%w: %w", ErrCouncil, err)
	}
	c.hard = hard
	c.since = snapshot.GetMetadata().GetIndex()
	c.low, c.high = c.since+1, c.since
	for i, entry := range entries {
		if entry.GetIndex() != entries[0].GetIndex()+uint64(i) || i == 0 && entry.GetIndex() > c.since+1 || i > 0 &&
			entry.GetTerm() < entries[i-1].GetTerm() {
			return c, fmt.Errorf("%w: the log does not go on with entry %d of term %d", ErrCouncil, entry.GetIndex(),
				entry.GetTerm())
		}
		c.low, c.high = entries[0].GetIndex(), max(c.since, entry.GetIndex())
	}
	commit := c.hard.GetCommit()
	if c.since == 0 && (len(entries) > 0 || commit > 0) || commit < c.since || commit > c.high ||
		c.hard.GetTerm() < snapshot.GetMetadata().GetTerm() {
		return c, fmt.Errorf("%w: snapshot at %d, log up to %d, commit %d", ErrCouncil, c.since, c.high, commit)
	}
	if c.since > 0 {
		book, err := readBook(snapshot.GetData(), l)
		if c.Book = book; err == nil {
			err = c.Log.ApplySnapshot(snapshot)
		}
		if err != nil {
			return c, fmt.Errorf("%w: the snapshot: %w", ErrCouncil, err)
		}
		c.Conf = snapshot.GetMetadata().GetConfState()
	}
	// what was committed is looked at before anything is said: a binary that cannot read it is of no use
	for _, entry := range entries {
		if _, err := follow(mine.Rules, c.Book, entry.GetData()); err != nil && entry.GetIndex() <= commit &&
			entry.GetType() == raftpb.EntryNormal && len(entry.GetData()) > 0 {
			return c, err
		}
	}
	if _, said := judge(c, nil, nil); len(said) > 0 && said[0].Kind == Halt {
		return c, fmt.Errorf("%w: %s", ErrVersion, said[0].Text)
	}
	_ = c.Log.Append(entries)
	_ = c.Log.SetHardState(c.hard)
	node, err := raft.NewRawNode(&raft.Config{ID: mine.Member, ElectionTick: electionTicks, HeartbeatTick: 1,
		Storage: c.Log, Applied: c.since, AsyncStorageWrites: true,
		MaxSizePerMsg: messageBytes, MaxUncommittedEntriesSize: openBytes, MaxInflightMsgs: mostInflight,
		CheckQuorum: true, PreVote: true,
		Logger: &raft.DefaultLogger{Logger: log.New(io.Discard, "", 0)}})
	c.Raft = node
	return c, err
}

// LedAlone returns which shards a member led alone in the last that its saved state of Raft tells: in what it knows to
// be decided, and in what may have been since. Errors: ErrCouncil, ErrBook, ErrVersion.
func LedAlone(facts []Fact, l Layout, node int, rules map[uint64]EntryRule) ([]bool, error) {
	alone, book := make([]bool, l.Shards), Book{}
	snapshot, hard, entries, err := openFacts(facts)
	if err != nil {
		return alone, fmt.Errorf("%w: %w", ErrCouncil, err)
	}
	if len(snapshot.GetData()) > 0 {
		if book, err = readBook(snapshot.GetData(), l); err != nil {
			return alone, err
		}
	}
	decided := book
	for _, entry := range entries {
		if entry.GetType() != raftpb.EntryNormal || len(entry.GetData()) == 0 ||
			entry.GetIndex() <= snapshot.GetMetadata().GetIndex() {
			continue
		}
		if book, err = follow(rules, book, entry.GetData()); err != nil {
			return alone, err
		}
		if entry.GetIndex() <= hard.GetCommit() {
			decided = book
		}
	}
	for s := range alone {
		led := func(b Book) bool { return s < len(b.Views) && b.Views[s].Leader == node && !b.Views[s].InSync }
		alone[s] = led(decided) && led(book)
	}
	return alone, nil
}

// openFacts reads saved state: the snapshot, the hard state, and the entries of the log in order.
func openFacts(facts []Fact) (*raftpb.Snapshot, *raftpb.HardState, []*raftpb.Entry, error) {
	snapshot, hard, entries := &raftpb.Snapshot{}, &raftpb.HardState{}, []*raftpb.Entry{}
	for _, f := range facts {
		var err error
		switch {
		case f.Key == keySnapshot:
			err = proto.Unmarshal(f.Value, snapshot)
		case f.Key == keyHard:
			err = proto.Unmarshal(f.Value, hard)
		case len(f.Key) == len(keyEntry)+8 && f.Key[:len(keyEntry)] == keyEntry:
			entry := &raftpb.Entry{}
			err = proto.Unmarshal(f.Value, entry)
			if index := binary.BigEndian.Uint64([]byte(f.Key[len(keyEntry):])); err == nil && entry.GetIndex() != index {
				err = fmt.Errorf("entry %d is stored as %d", entry.GetIndex(), index)
			}
			entries = append(entries, entry)
		default:
			err = fmt.Errorf("unknown key %q", f.Key)
		}
		if err != nil {
			return nil, nil, nil, err
		}
	}
	slices.SortFunc(entries, func(a, b *raftpb.Entry) int { return int(int64(a.GetIndex() - b.GetIndex())) })
	return snapshot, hard, entries, nil
}
