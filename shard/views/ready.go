package views

import (
	"encoding/binary"
	"fmt"
	"tandem/shard"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
	"google.golang.org/protobuf/proto"
)

// keepTime ticks raft if it leads; else it counts the leader's silence: first the leader is forgotten, so that this
// node may vote for another, then the node stands itself when its rank's turn comes. Ranks go round the ring from the
// silent leader on, so that two nodes seldom stand at once; PreVote makes it harmless.
func keepTime(c Service, now int64) Service {
	paused := now-c.ticked > c.Timing.Gap
	c.ticked = now
	if c.Unhealthy || paused {
		c.heard = now
	}
	if c.Unhealthy {
		return c
	}
	status := c.Raft.BasicStatus()
	if status.RaftState == raft.StateLeader {
		c.Raft.Tick()
		c.heard = now
		if now < c.nudge {
			return c
		}
		c.nudge = now + retrySnapshot
		var lost []uint64
		c.Raft.WithProgress(func(id uint64, _ raft.ProgressType, p tracker.Progress) {
			if p.State == tracker.StateSnapshot {
				lost = append(lost, id)
			}
		})
		for _, id := range lost { // raft itself would wait for ever
			c.Raft.ReportSnapshot(id, raft.SnapshotFailure)
		}
		return c
	}
	for i := range c.seen { // nobody is absent for a leader that has only just begun
		c.seen[i] = now
	}
	silence := now - c.heard
	if silence >= c.Timing.Forget && status.Lead != 0 {
		_ = c.Raft.ForgetLeader()
	}
	switch turn := c.turn; {
	case silence < turn || now < c.try || c.under > 0:
	case status.RaftState == raft.StateCandidate && !c.patient: // the votes may still be on their way to a slow disk
		c.patient, c.try = true, now+2*turn
	default:
		c.patient, c.try = false, now+turn
		_ = c.Raft.Campaign()
	}
	return c
}

// turnOf returns after how long a silence a node stands for leader. Two that stand within a vote's time of each other
// may split the votes of an even number of nodes between them, so the turns of the first ranks lie far apart.
func turnOf(c Service) int64 {
	rank := int64((c.Node - c.last - 1 + c.Layout.Nodes) % c.Layout.Nodes)
	return c.Timing.Campaign + c.Timing.Rank*min(rank, 3) + c.Timing.Rank/2*max(0, rank-3)
}

// stepRaft gives raft a message that was looked at; nil is none.
func stepRaft(c Service, m *raftpb.Message, now int64) Service {
	if m == nil || c.Unhealthy {
		return c
	}
	node := shard.NodeOf(m.GetFrom())
	member := node < len(c.State.Members) && c.State.Members[node] == m.GetFrom()
	if stored, _ := c.Log.LastIndex(); m.GetType() == raftpb.MsgHeartbeat && m.GetCommit() > stored {
		// a leader names no commit of which it has not heard that this very store has it; that this store does not know
		// the leader as a member, or knows no members at all, only shows how much it has lost
		c.older = fmt.Sprintf("node %d knows it to have stored Raft's log up to %d, and it ends at %d", node,
			m.GetCommit(), stored)
		m.Commit = proto.Uint64(stored)
	}
	_ = c.Raft.Step(m) // what raft has no use for is dropped
	if member {
		c.seen[node] = now
	}
	status := c.Raft.BasicStatus()
	switch m.GetType() {
	case raftpb.MsgApp, raftpb.MsgHeartbeat, raftpb.MsgSnap:
		if status.Lead == m.GetFrom() {
			c.heard = now
		}
	case raftpb.MsgVote:
		// give it the time to win; who voted stand at different times
		if status.GetVote() == m.GetFrom() && status.GetTerm() == m.GetTerm() {
			c.try = max(c.try, now+c.turn)
		}
	}
	return c
}

// takeReady takes over what raft has to do: messages are sent, or held until what they rest on is stored; what is to be
// stored is queued; what is to be applied is returned, nil if nothing is.
func takeReady(c Service, out []Effect) (Service, *raftpb.Message, []Effect) {
	var apply *raftpb.Message
	var held []*raftpb.Message
	for _, m := range c.Raft.Ready().Messages {
		node := shard.NodeOf(m.GetTo())
		switch kind := m.GetType(); {
		case m.GetTo() == raft.LocalAppendThread:
			c.queue = append(c.queue, waiting{write: m})
		case m.GetTo() == raft.LocalApplyThread:
			apply = m
		case m.GetTo() != c.Self && (node < 0 || node >= len(c.greeted) || !c.greeted[node]):
			// who it is for has not said what it knows of this store (rule R23)
		case kind == raftpb.MsgHeartbeat || kind == raftpb.MsgHeartbeatResp || kind == raftpb.MsgProp ||
			kind == raftpb.MsgApp:
			data, _ := proto.Marshal(m) // made by raft: always well-formed
			out = append(out, Effect{Kind: SendMessage, To: node, Data: data})
		default:
			held = append(held, m)
		}
	}
	if len(held) > 0 {
		if len(c.queue) == c.under { // nothing new is to be stored: they wait for what the disk has
			c.queue = append(c.queue, waiting{})
		}
		c.queue[len(c.queue)-1].then = append(c.queue[len(c.queue)-1].then, held...)
	}
	return c, apply, out
}

// gather makes of all that waits the changes of the saved state, and of state, if its time has come, a snapshot; it
// returns none if nothing must be stored. A commit index by itself is not: raft tells it again; but for one behind a
// change of membership.
func gather(c Service, state []byte) (Service, []SavedEntry) {
	var entries []SavedEntry
	installed := false
	c.hard = proto.Clone(c.hard).(*raftpb.HardState)
	must := false
	for _, w := range c.queue {
		if s := w.write.GetSnapshot(); s != nil {
			for i := c.low; i <= c.high; i++ {
				entries = append(entries, SavedEntry{Key: keyEntry + string(binary.BigEndian.AppendUint64(nil, i)), Delete: true})
			}
			data, _ := proto.MarshalOptions{Deterministic: true}.Marshal(s)
			entries = append(entries, SavedEntry{Key: keySnapshot, Value: data})
			c.since = s.GetMetadata().GetIndex()
			c.low, c.high, installed = c.since+1, c.since, true
		}
		end := uint64(0)
		for _, entry := range w.write.GetEntries() {
			data, _ := proto.MarshalOptions{Deterministic: true}.Marshal(entry)
			end = entry.GetIndex()
			entries = append(entries, SavedEntry{Key: keyEntry + string(binary.BigEndian.AppendUint64(nil, end)), Value: data})
		}
		for i := end + 1; end > 0 && i <= c.high; i++ { // the log was cut off and goes on otherwise
			entries = append(entries, SavedEntry{Key: keyEntry + string(binary.BigEndian.AppendUint64(nil, i)), Delete: true})
		}
		if end > 0 {
			c.high = end
		}
		if w.write.GetTerm() > 0 && w.write.Commit != nil {
			must = must || w.write.GetTerm() != c.hard.GetTerm() || w.write.GetVote() != c.hard.GetVote()
			c.hard.Term, c.hard.Vote, c.hard.Commit = w.write.Term, w.write.Vote, w.write.Commit
		}
	}
	// else a start of all would find itself in the midst of it, and ask for the votes of a store that is gone
	if c.changed {
		c.changed, must, c.hard.Commit = false, true, proto.Uint64(max(c.hard.GetCommit(), min(c.State.Index, c.high)))
	}
	c.under = len(c.queue)
	if !must && len(entries) == 0 {
		return c, nil
	}
	if !installed && c.State.Index >= c.since+compactEvery {
		// there is one already if a change of membership was the last entry
		_, _ = c.Log.CreateSnapshot(c.State.Index, c.Conf, state)
		s, _ := c.Log.Snapshot()
		data, _ := proto.MarshalOptions{Deterministic: true}.Marshal(s)
		entries = append(entries, SavedEntry{Key: keySnapshot, Value: data})
		c.since = s.GetMetadata().GetIndex()
		for ; c.low+keepEntries <= c.since; c.low++ {
			entries = append(entries, SavedEntry{Key: keyEntry + string(binary.BigEndian.AppendUint64(nil, c.low)),
				Delete: true})
		}
		_ = c.Log.Compact(c.low - 1)
		c.hard.Commit = proto.Uint64(max(c.hard.GetCommit(), c.since))
	}
	data, _ := proto.MarshalOptions{Deterministic: true}.Marshal(c.hard)
	return c, append(entries, SavedEntry{Key: keyHard, Value: data})
}

// noteSaved takes the disk's word: raft learns of it, and what waited for it is sent. A snapshot that came is returned,
// to be read.
func noteSaved(c Service, out []Effect) (Service, *raftpb.Snapshot, []Effect) {
	var snapshot *raftpb.Snapshot
	for _, w := range c.queue[:c.under] {
		if s := w.write.GetSnapshot(); s != nil {
			if c.Log.ApplySnapshot(s) == nil {
				snapshot, c.Conf = s, s.GetMetadata().GetConfState()
			}
		}
		_ = c.Log.Append(w.write.GetEntries())
		for _, m := range append(w.then, w.write.GetResponses()...) {
			node := shard.NodeOf(m.GetTo())
			switch {
			case m.GetTo() == c.Self:
				_ = c.Raft.Step(m)
			case !c.Unhealthy && node >= 0 && node < len(c.greeted) && c.greeted[node]:
				data, _ := proto.Marshal(m)
				out = append(out, Effect{Kind: SendMessage, To: node, Data: data})
			}
		}
	}
	c.queue, c.under = append([]waiting(nil), c.queue[c.under:]...), 0
	return c, snapshot, out
}
