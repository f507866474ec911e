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

// Born returns the saved state that a cluster begins with: a snapshot with the birth view of every shard and members, by node, as
// voters. It is the same on every node, so each makes it by itself.
func Born(l Layout, members []uint64) []Fact {
	book := Book{Index: 1, Members: slices.Clone(members), Views: make([]View, l.Shards)}
	for s := range book.Views {
		book.Views[s] = BirthView(l, s)
	}
	voters := slices.Clone(members)
	slices.Sort(voters)
	snapshot, _ := proto.MarshalOptions{Deterministic: true}.Marshal(&raftpb.Snapshot{Data: packNumbers(bookNumbers(book)), Metadata: &raftpb.SnapshotMetadata{
		Index: proto.Uint64(1), Term: proto.Uint64(1), ConfState: &raftpb.ConfState{Voters: voters, AutoLeave: proto.Bool(false)}}})
	hard, _ := proto.MarshalOptions{Deterministic: true}.Marshal(&raftpb.HardState{Term: proto.Uint64(1), Vote: proto.Uint64(0), Commit: proto.Uint64(1)})
	return []Fact{{Key: keySnapshot, Value: snapshot}, {Key: keyHard, Value: hard}}
}

// LoadCouncil rebuilds the council of member self from its saved state, whose facts are in any order. Without facts it is the council
// of a new store: it takes what it is sent and neither votes nor stands until it is a member. Errors: ErrCouncil, ErrBook.
func LoadCouncil(self uint64, l Layout, t Timing, facts []Fact, now int64) (Council, error) {
	c := Council{Self: self, Node: int(self&memberNodes) - 1, Layout: l, Timing: t, Log: raft.NewMemoryStorage(), Conf: &raftpb.ConfState{}, last: -1, heard: now, ticked: now,
		seen: make([]int64, l.Nodes), hard: &raftpb.HardState{}}
	snapshot, entries := &raftpb.Snapshot{}, []*raftpb.Entry{}
	for _, f := range facts {
		var err error
		switch {
		case f.Key == keySnapshot:
			err = proto.Unmarshal(f.Value, snapshot)
		case f.Key == keyHard:
			err = proto.Unmarshal(f.Value, c.hard)
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
			return c, fmt.Errorf("%w: %w", ErrCouncil, err)
		}
	}
	slices.SortFunc(entries, func(a, b *raftpb.Entry) int { return int(int64(a.GetIndex() - b.GetIndex())) })
	c.since = snapshot.GetMetadata().GetIndex()
	c.low, c.high = c.since+1, c.since
	for i, entry := range entries {
		if entry.GetIndex() != entries[0].GetIndex()+uint64(i) || i == 0 && entry.GetIndex() > c.since+1 || i > 0 && entry.GetTerm() < entries[i-1].GetTerm() {
			return c, fmt.Errorf("%w: the log does not go on with entry %d of term %d", ErrCouncil, entry.GetIndex(), entry.GetTerm())
		}
		c.low, c.high = entries[0].GetIndex(), max(c.since, entry.GetIndex())
	}
	commit := c.hard.GetCommit()
	if c.since == 0 && (len(entries) > 0 || commit > 0) || commit < c.since || commit > c.high || c.hard.GetTerm() < snapshot.GetMetadata().GetTerm() {
		return c, fmt.Errorf("%w: snapshot at %d, log up to %d, commit %d", ErrCouncil, c.since, c.high, commit)
	}
	if c.since > 0 {
		numbers, err := unpackNumbers(snapshot.GetData())
		if err == nil {
			c.Book, err = bookOf(numbers, l)
		}
		if err == nil {
			err = c.Log.ApplySnapshot(snapshot)
		}
		if err != nil {
			return c, fmt.Errorf("%w: the snapshot: %w", ErrCouncil, err)
		}
		c.Conf = snapshot.GetMetadata().GetConfState()
	}
	_ = c.Log.Append(entries)
	_ = c.Log.SetHardState(c.hard)
	node, err := raft.NewRawNode(&raft.Config{ID: self, ElectionTick: electionTicks, HeartbeatTick: 1, Storage: c.Log, Applied: c.since, AsyncStorageWrites: true,
		MaxSizePerMsg: messageBytes, MaxUncommittedEntriesSize: openBytes, MaxInflightMsgs: mostInflight, CheckQuorum: true, PreVote: true,
		Logger: &raft.DefaultLogger{Logger: log.New(io.Discard, "", 0)}})
	c.Raft = node
	return c, err
}
