package views

import (
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"slices"
	"tandem/shard"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// InitialEntries returns the saved state that a cluster begins with: a snapshot with the initial view of every shard
// and members, by node, as voters. It is the same on every node, so each makes it by itself.
func InitialEntries(l shard.Layout, members []uint64) []SavedEntry {
	state := State{Index: 1, Version: InitialVersion, Incarnation: shard.Incarnation(members),
		Members: slices.Clone(members),
		Starts:  make([]Start, len(members)), Speaks: make([]uint64, len(members)), Views: make([]shard.View, l.Shards)}
	for s := range state.Views {
		state.Views[s] = shard.InitialView(l, s)
	}
	voters := slices.Clone(members)
	slices.Sort(voters)
	first := &raftpb.SnapshotMetadata{Index: proto.Uint64(1), Term: proto.Uint64(1),
		ConfState: &raftpb.ConfState{Voters: voters, AutoLeave: proto.Bool(false)}}
	snapshot, _ := proto.MarshalOptions{Deterministic: true}.Marshal(&raftpb.Snapshot{
		Data: packNumbers(stateNumbers(state)), Metadata: first})
	hard, _ := proto.MarshalOptions{Deterministic: true}.Marshal(&raftpb.HardState{Term: proto.Uint64(1),
		Vote: proto.Uint64(0), Commit: proto.Uint64(1)})
	return []SavedEntry{{Key: keySnapshot, Value: snapshot}, {Key: keyHard, Value: hard}}
}

// Bootstrap is what a store without the view service's state is to do: be bootstrapped with Members by node, join a
// cluster that was bootstrapped without it, or wait if it is neither; Reason says what for.
type Bootstrap struct {
	Members []uint64
	Join    bool
	Reason  string
}

// Founders returns the member ids by node that the cluster of a state was bootstrapped with, which a founder that
// missed its bootstrap needs. It returns none for an empty state.
func Founders(b State) []uint64 {
	members := slices.Clone(b.Members)
	for _, id := range slices.Backward(b.Replaced) { // the first store of each node counts
		members[shard.NodeOf(id)] = id
	}
	return members
}

// DecideBootstrap decides for the store self without the view service's state, given the greetings by node (rule R14).
// All stores must have answered, none of them bootstrapped; then node 0 alone decides who is there, so that two nodes
// never take different stores for the founders, and the others follow it.
func DecideBootstrap(l shard.Layout, self uint64, heard []shard.Greeting) Bootstrap {
	members, missing := make([]uint64, l.Nodes), []int{}
	for node, g := range heard {
		fits := len(g.Founders) == l.Nodes
		for i, id := range g.Founders {
			fits = fits && shard.NodeOf(id) == i
		}
		if fits && slices.Contains(g.Founders, self) {
			return Bootstrap{Members: slices.Clone(g.Founders)}
		}
		if fits {
			return Bootstrap{Join: true}
		}
		members[node] = g.Member
		if node == shard.NodeOf(self) {
			members[node] = self
		} else if shard.NodeOf(g.Member) != node {
			missing = append(missing, node)
		}
	}
	again := slices.ContainsFunc(members, func(id uint64) bool { return shard.GenerationOf(id) > 0 })
	switch {
	case again: // a second bootstrap would give the cluster's users away
		return Bootstrap{Reason: "a store that has lost its part of Raft's state waits for nodes that know the cluster; an operator must decide if there are none"}
	case len(missing) > 0:
		return Bootstrap{Reason: fmt.Sprintf("a cluster is bootstrapped when all %d nodes are there; these have not answered: %v",
			l.Nodes, missing)}
	case members[0] != self:
		return Bootstrap{Reason: "all nodes are there; node 0 decides"}
	}
	return Bootstrap{Members: members}
}

// Load rebuilds the view service of a store from its saved state, whose saved entries are in any order, for a process
// of it. Without saved entries it is the view service of a new store: it takes what it is sent and neither votes nor
// stands until it is a member. Errors: ErrSaved, ErrState; ErrVersion if this binary cannot read what was decided, or
// what is in force.
func Load(mine Process, l shard.Layout, t Timing, saved []SavedEntry, now int64) (Service, error) {
	c := Service{Self: mine.Member, Mine: mine, Node: shard.NodeOf(mine.Member), Layout: l, Timing: t,
		Log: raft.NewMemoryStorage(), Conf: &raftpb.ConfState{}, last: -1, heard: now, ticked: now, CatchingUp: true,
		seen: make([]int64, l.Nodes), greeted: make([]bool, l.Nodes), Heard: make([]Start, l.Nodes)}
	c.own = ownStarts(mine.Start, mine.Former)
	start := append([]uint64{mine.Member, mine.Start.Number, mine.Start.Nonce, mine.Most}, mine.Former...)
	c.start = packNumbers(entryNumbers(EntryStart, start...))
	snapshot, hard, entries, err := openSaved(saved)
	if err != nil {
		return c, fmt.Errorf("%w: %w", ErrSaved, err)
	}
	c.hard = hard
	c.since = snapshot.GetMetadata().GetIndex()
	c.low, c.high = c.since+1, c.since
	for i, entry := range entries {
		if entry.GetIndex() != entries[0].GetIndex()+uint64(i) || i == 0 && entry.GetIndex() > c.since+1 || i > 0 &&
			entry.GetTerm() < entries[i-1].GetTerm() {
			return c, fmt.Errorf("%w: the log does not go on with entry %d of term %d", ErrSaved, entry.GetIndex(),
				entry.GetTerm())
		}
		c.low, c.high = entries[0].GetIndex(), max(c.since, entry.GetIndex())
	}
	commit := c.hard.GetCommit()
	if c.since == 0 && (len(entries) > 0 || commit > 0) || commit < c.since || commit > c.high ||
		c.hard.GetTerm() < snapshot.GetMetadata().GetTerm() {
		return c, fmt.Errorf("%w: snapshot at %d, log up to %d, commit %d", ErrSaved, c.since, c.high, commit)
	}
	if c.since > 0 {
		state, err := readState(snapshot.GetData(), l)
		if c.State = state; err == nil {
			err = c.Log.ApplySnapshot(snapshot)
		}
		if err != nil {
			return c, fmt.Errorf("%w: the snapshot: %w", ErrSaved, err)
		}
		c.Conf = snapshot.GetMetadata().GetConfState()
	}
	// what was committed is looked at before anything is said: a binary that cannot read it is of no use
	for _, entry := range entries {
		if _, err := nextState(mine.Rules, c.State, entry.GetData()); err != nil && entry.GetIndex() <= commit &&
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
// be decided, and in what may have been since. Errors: ErrSaved, ErrState, ErrVersion.
func LedAlone(saved []SavedEntry, l shard.Layout, node int, rules map[uint64]EntryRule) ([]bool, error) {
	alone, state := make([]bool, l.Shards), State{}
	snapshot, hard, entries, err := openSaved(saved)
	if err != nil {
		return alone, fmt.Errorf("%w: %w", ErrSaved, err)
	}
	if len(snapshot.GetData()) > 0 {
		if state, err = readState(snapshot.GetData(), l); err != nil {
			return alone, err
		}
	}
	decided := state
	for _, entry := range entries {
		if entry.GetType() != raftpb.EntryNormal || len(entry.GetData()) == 0 ||
			entry.GetIndex() <= snapshot.GetMetadata().GetIndex() {
			continue
		}
		if state, err = nextState(rules, state, entry.GetData()); err != nil {
			return alone, err
		}
		if entry.GetIndex() <= hard.GetCommit() {
			decided = state
		}
	}
	for s := range alone {
		led := func(b State) bool { return s < len(b.Views) && b.Views[s].Leader == node && !b.Views[s].InSync }
		alone[s] = led(decided) && led(state)
	}
	return alone, nil
}

// openSaved reads saved state: the snapshot, the hard state, and the entries of the log in order.
func openSaved(saved []SavedEntry) (*raftpb.Snapshot, *raftpb.HardState, []*raftpb.Entry, error) {
	snapshot, hard, entries := &raftpb.Snapshot{}, &raftpb.HardState{}, []*raftpb.Entry{}
	for _, f := range saved {
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
