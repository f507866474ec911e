package views

import (
	"fmt"
	"slices"
	"tandem/shard"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
	"google.golang.org/protobuf/proto"
)

// mostNumber bounds terms and indexes that come from outside, so that raft can count on from them.
const mostNumber = 1 << 62

// openMessage reads a message from another view service; nil if it is garbled, for another store, from a store that is
// gone, or none that raft sends to its peers: raft itself trusts what it is given and stops the process when that
// cannot be.
//
// A leader and who stands for leader may be a member that this node has not heard of yet, if it was away when that one
// came.
func openMessage(c Service, data []byte) *raftpb.Message {
	m := &raftpb.Message{}
	if proto.Unmarshal(data, m) != nil {
		return nil
	}
	from, node := m.GetFrom(), shard.NodeOf(m.GetFrom())
	stranger := !slices.Contains(c.Conf.Voters, from) && !slices.Contains(c.Conf.VotersOutgoing, from) &&
		!slices.Contains(c.Conf.Learners, from)
	switch {
	case m.GetTo() != c.Self, node < 0, node >= c.Layout.Nodes, node == c.Node, slices.Contains(c.State.Replaced, from):
		return nil
	case m.GetTerm() >= mostNumber, m.GetIndex() >= mostNumber, m.GetRejectHint() >= mostNumber, len(m.GetContext()) > 0,
		len(m.GetResponses()) > 0:
		return nil
	case (m.GetTerm() == 0) != (m.GetType() == raftpb.MsgProp):
		return nil
	}
	switch m.GetType() {
	case raftpb.MsgApp, raftpb.MsgHeartbeat:
	case raftpb.MsgSnap:
		meta := m.GetSnapshot().GetMetadata()
		who := slices.Concat(meta.GetConfState().GetVoters(), meta.GetConfState().GetLearners())
		slices.Sort(who)
		twice := len(slices.Compact(slices.Clone(who))) != len(who)
		out := meta.GetConfState().GetVotersOutgoing()
		learns := func(id uint64) bool { return slices.Contains(meta.GetConfState().GetLearners(), id) }
		twice = twice || slices.ContainsFunc(out, learns) || slices.Contains(who, 0) || slices.Contains(out, 0)
		if meta.GetIndex() == 0 || meta.GetIndex() >= mostNumber || meta.GetTerm() == 0 || meta.GetTerm() > m.GetTerm() ||
			twice || len(meta.GetConfState().GetVoters()) == 0 || len(meta.GetConfState().GetLearnersNext()) > 0 {
			return nil
		}
	case raftpb.MsgVote, raftpb.MsgPreVote:
		if len(c.Conf.Voters) == 0 { // a new store knows nothing to vote by
			return nil
		}
	case raftpb.MsgProp:
		if stranger || len(m.GetEntries()) == 0 {
			return nil
		}
	case raftpb.MsgAppResp, raftpb.MsgVoteResp, raftpb.MsgPreVoteResp, raftpb.MsgHeartbeatResp:
		if stranger {
			return nil
		}
	default:
		return nil
	}
	term := m.GetLogTerm()
	for i, entry := range m.GetEntries() {
		if m.GetType() == raftpb.MsgProp && entry.GetType() == raftpb.EntryNormal {
			continue
		}
		if m.GetType() != raftpb.MsgApp || entry.GetIndex() != m.GetIndex()+1+uint64(i) || entry.GetTerm() < term ||
			entry.GetTerm() > m.GetTerm() {
			return nil
		}
		term = entry.GetTerm()
	}
	return m
}

// takeJoin is the Raft leader's answer to a store that is no member: it becomes a learner, unless its node's own store
// is there, or was the only one that had all writes of a shard (rule R13). Whoever says hello repeats it.
func takeJoin(c Service, e *Event, out []Effect) (Service, []Effect) {
	node := shard.NodeOf(e.Member)
	if e.Kind != JoinAsked || c.Unhealthy || c.Raft.BasicStatus().RaftState != raft.StateLeader || node < 0 ||
		node >= c.Layout.Nodes || node >= len(c.State.Members) || c.State.Members[node] == e.Member {
		return c, out
	}
	why := ""
	for s, v := range c.State.Views {
		if v.Leader == node && !v.InSync && shard.StoreOf(e.Member) != shard.StoreOf(c.State.Members[node]) &&
			shard.GenerationOf(e.Member) != shard.Displaces {
			why = fmt.Sprintf("the node's lost store led shard %d alone, so only it had all writes; %s, on that node",
				s, shard.AskOperator)
		}
	}
	if slices.Contains(c.State.Replaced, e.Member) {
		why = "another store has taken its place; its folder is of no use any more"
	}
	if why != "" {
		if c.refused != e.Member {
			c.refused = e.Member
			out = append(out, Effect{Kind: Note, Text: fmt.Sprintf("store %x of node %d may not join: %s",
				e.Member>>16, node, why)})
		}
		return c, out
	}
	there := node == c.Node || e.Now-c.seen[node] < c.Timing.Absent
	if there || e.Now < c.change || len(c.Conf.VotersOutgoing) > 0 || slices.Contains(c.Conf.Learners, e.Member) {
		return c, out
	}
	kind, who, what := raftpb.ConfChangeAddLearnerNode, e.Member, "joins as a learner"
	for _, id := range c.Conf.Learners {
		if shard.NodeOf(id) == node {
			kind, who, what = raftpb.ConfChangeRemoveNode, id, "never became a member and is dropped: a newer store says hello"
		}
	}
	c.change = e.Now + changeEvery
	_ = c.Raft.ProposeConfChange(&raftpb.ConfChangeV2{Changes: []*raftpb.ConfChangeSingle{{Type: kind.Enum(),
		NodeId: proto.Uint64(who)}}})
	return c, append(out, Effect{Kind: Note, Text: fmt.Sprintf("store %x of node %d %s", who>>16, node, what)})
}

// promote has a learner that has caught up take the place of its node's lost store, in one joint change. It goes by the
// configuration alone, so any later leader takes up what one before began.
func promote(c Service, now int64, out []Effect) (Service, []Effect) {
	status := c.Raft.BasicStatus()
	if c.Unhealthy || status.RaftState != raft.StateLeader || now < c.change || len(c.Conf.VotersOutgoing) > 0 ||
		len(c.Conf.Learners) == 0 {
		return c, out
	}
	caughtUp := map[uint64]bool{}
	c.Raft.WithProgress(func(id uint64, _ raft.ProgressType, p tracker.Progress) {
		caughtUp[id] = p.RecentActive && p.Match >= status.GetCommit()
	})
	for _, id := range c.Conf.Learners {
		node := shard.NodeOf(id)
		old := c.State.Members[node]
		alone := slices.ContainsFunc(c.State.Views, func(v shard.View) bool { return v.Leader == node && !v.InSync })
		if alone && shard.StoreOf(id) != shard.StoreOf(old) && shard.GenerationOf(id) != shard.Displaces ||
			node == c.Node || now-c.seen[node] < c.Timing.Absent || !caughtUp[id] {
			continue
		}
		c.change = now + changeEvery
		_ = c.Raft.ProposeConfChange(&raftpb.ConfChangeV2{Changes: []*raftpb.ConfChangeSingle{
			{Type: raftpb.ConfChangeAddNode.Enum(), NodeId: proto.Uint64(id)},
			{Type: raftpb.ConfChangeRemoveNode.Enum(), NodeId: proto.Uint64(old)},
		}})
		return c, append(out, Effect{Kind: Note, Text: fmt.Sprintf("store %x of node %d has caught up and is to %s %x", id>>16,
			node, places[shard.StoreOf(id) == shard.StoreOf(old)], old>>16)})
	}
	return c, out
}

// places and placed say what a member does, and has done, that comes after another of its node: it takes the place of
// another store, or it is of the same one.
var (
	places = map[bool]string{false: "take the place of", true: "join anew, with its data, as"}
	placed = map[bool]string{false: "store %x of node %d has taken the place of %x",
		true: "store %x of node %d has joined anew, with its data, as %x"}
)

// applyEntry brings the state to an entry of the log: to views, or by a change of membership. Of these only the four
// kinds that takeJoin, promote and raft itself propose are done, and only where they fit; all others are void, on every
// node alike. In the step in which a new store takes the old one's place it is out of sync everywhere: what the old one
// had promised no longer counts (rule R13). A store that has joined anew with its data goes on leading what it led
// alone. next is the state as nextState has it, bad its error, which is returned for an entry that is neither empty nor
// a change of membership; nothing of such an entry, nor of what comes after it, is done.
func applyEntry(c Service, entry *raftpb.Entry, next State, bad error, out []Effect) (Service, []Effect, error) {
	normal := entry.GetType() == raftpb.EntryNormal
	switch { // an empty entry is Raft's own
	case c.Over || normal && bad != nil && len(entry.GetData()) > 0:
		return c, out, bad
	case normal:
		c.State = next
	}
	if c.State.Index = entry.GetIndex(); normal {
		return c, out, nil
	}
	change := &raftpb.ConfChangeV2{}
	if entry.GetType() != raftpb.EntryConfChangeV2 || proto.Unmarshal(entry.GetData(), change) != nil ||
		change.GetTransition() != raftpb.ConfChangeTransitionAuto {
		return c, out, nil
	}
	first, second, kinds := uint64(0), uint64(0), []raftpb.ConfChangeType{}
	for _, one := range change.GetChanges() {
		first, second = second, one.GetNodeId()
		kinds = append(kinds, one.GetType())
	}
	learns := func(id uint64) bool { return slices.Contains(c.Conf.Learners, id) }
	joint, node := len(c.Conf.VotersOutgoing) > 0, shard.NodeOf(second)
	switch {
	case len(kinds) == 0 && joint:
	case joint || node < 0 || node >= len(c.State.Members):
		return c, out, nil
	case slices.Equal(kinds, []raftpb.ConfChangeType{raftpb.ConfChangeAddLearnerNode}):
		if slices.Contains(c.Conf.Voters, second) || slices.Contains(c.State.Replaced, second) {
			return c, out, nil
		}
	case slices.Equal(kinds, []raftpb.ConfChangeType{raftpb.ConfChangeRemoveNode}) && learns(second):
	case slices.Equal(kinds, []raftpb.ConfChangeType{raftpb.ConfChangeAddNode, raftpb.ConfChangeRemoveNode}):
		alone := slices.ContainsFunc(c.State.Views, func(v shard.View) bool { return v.Leader == node && !v.InSync })
		same := shard.StoreOf(first) == shard.StoreOf(second)
		if alone && !same && shard.GenerationOf(first) != shard.Displaces || shard.NodeOf(first) != node ||
			c.State.Members[node] != second || !learns(first) {
			return c, out, nil
		}
		c.State.Members, c.State.Views = slices.Clone(c.State.Members), slices.Clone(c.State.Views)
		c.State.Starts, c.State.Speaks = slices.Clone(c.State.Starts), slices.Clone(c.State.Speaks)
		c.State.Members[node], c.State.Speaks[node] = first, 0
		c.State.Starts[node], c.Heard[node] = Start{}, Start{}
		c.State.Replaced = append(slices.Clone(c.State.Replaced), second)
		for s, v := range c.State.Views {
			if v.Leader == node && (v.InSync || !same) { // else nobody else has all writes
				v.Leader, v.Backup = v.Backup, v.Leader
			}
			if v.Leader == node || v.Backup == node {
				c.State.Views[s] = shard.View{Epoch: v.Epoch + 1, Leader: v.Leader, Backup: v.Backup}
			}
		}
		out = append(out, Effect{Kind: Note, Text: fmt.Sprintf(placed[same], first>>16, node, second>>16)})
	default:
		return c, out, nil
	}
	c.Conf, c.changed = c.Raft.ApplyConfChange(change), true
	c.queue = append(c.queue, waiting{}) // or nothing might be stored for long
	return c, out, nil
}
