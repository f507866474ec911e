package sim

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"sort"
	"tandem/shard"
	"tandem/shard/replica"
)

// settled says what is not as it should be once all faults are over, "" if nothing.
func (w *simWorld) settled() string {
	for s := range w.plan.layout.Shards {
		first, second := shard.Pair(w.plan.layout, s)
		a, b := w.nodes[first].replicas[s], w.nodes[second].replicas[s]
		switch {
		case w.orphaned(s):
		case w.nodes[first].disk.shards[s].rotten || w.nodes[second].disk.shards[s].rotten || w.marked(first, s) ||
			w.marked(second, s):
			return fmt.Sprintf("shard %d is still damaged", s)
		case !a.Known || !b.Known || a.View != b.View || !a.View.InSync:
			return fmt.Sprintf("shard %d: views %+v (%+v) and %+v", s, a.View, a.Repair, b.View)
		case a.Log.Applied != b.Log.Applied || a.Log.Submitted != a.Log.Applied || b.Log.Submitted != b.Log.Applied ||
			len(a.Leading.Pending)+len(b.Leading.Pending) > 0:
			return fmt.Sprintf("shard %d: applied %d and %d, submitted %d and %d", s, a.Log.Applied, b.Log.Applied, a.Log.Submitted,
				b.Log.Submitted)
		case len(a.Waiting)+len(b.Waiting) > 0 || a.Log.Wiping+b.Log.Wiping > 0:
			return fmt.Sprintf("shard %d: %d and %d answers wait, %d and %d wipes", s, len(a.Waiting), len(b.Waiting),
				a.Log.Wiping, b.Log.Wiping)
		case a.View.Leader != shard.InitialView(w.plan.layout, s).Leader:
			return fmt.Sprintf("shard %d is led by node %d, not as placement wants", s, a.View.Leader)
		}
	}
	for _, op := range w.ops {
		if op.answered == 0 && w.now < op.invoked+w.plan.budget {
			return "requests are open"
		}
	}
	return ""
}

// marked tells whether a node holds its copy of a shard for damaged.
func (w *simWorld) marked(node, s int) bool {
	d := &w.nodes[node].disk
	return shard.MarkHolds(d.marks[s], w.nodes[node].member, d.copyOf(s))
}

// checkBounds checks what is bounded.
func (w *simWorld) checkBounds(n *simNode, r *replica.State) {
	if len(r.Leading.Pending) > replica.MaxPending || r.View.Leader != r.Self && len(r.Leading.Pending) > 0 ||
		r.Log.Applied > r.Log.Submitted ||
		r.Known && r.View.Leader == r.Self && r.Log.Submitted > r.Leading.Next {
		w.fail("node %d shard %d: %d pending, applied %d, submitted %d, next %d", n.number, r.Shard, len(r.Leading.Pending),
			r.Log.Applied, r.Log.Submitted, r.Leading.Next)
	}
}

// orphaned tells whether the only whole copy of a shard is damaged, or both are: that is one fault more than is
// promised to be survived.
func (w *simWorld) orphaned(s int) bool {
	lost := 0
	for _, n := range w.nodes {
		r := n.replicas[s]
		if !n.up || r == nil || !r.Known || r.Damage.Reason == "" {
			continue
		}
		lost++
		if r.View.Leader == n.number && !r.View.InSync || lost == 2 {
			w.seen["damaged: the only whole copy, or both"]++
			return true
		}
	}
	return false
}

// verify replays the log of each shard and checks every answer against it.
func (w *simWorld) verify() {
	for s := range w.plan.layout.Shards {
		if w.orphaned(s) {
			continue
		}
		states, byRequest := w.replay(s)
		var ops []*simOp
		for _, op := range w.ops {
			if op.shard == s && op.answered != 0 {
				ops = append(ops, op)
			}
		}
		slices.SortStableFunc(ops, func(a, b *simOp) int { return cmp.Compare(a.answered, b.answered) })
		shown := make([]uint64, 0, len(ops)) // by answer: the log up to there is known to whoever asks after it
		for _, op := range ops {
			before := sort.Search(len(shown), func(i int) bool { return ops[i].answered >= op.invoked })
			if before > 0 {
				op.floor = max(op.floor, shown[before-1])
			}
			at := w.judge(op, states, byRequest)
			if w.failure != "" {
				return
			}
			if len(shown) > 0 {
				at = max(at, shown[len(shown)-1])
			}
			shown = append(shown, at)
		}
	}
	w.checkHistories()
}

// replay checks that both replicas are equal, and returns the shard's state after each LSN, and where each request was
// done.
func (w *simWorld) replay(s int) ([]map[string]shard.Record, map[shard.RequestID]uint64) {
	first, second := shard.Pair(w.plan.layout, s)
	a, b := w.nodes[first].disk.shards[s], w.nodes[second].disk.shards[s]
	if a.last != b.last || !reflect.DeepEqual(a.records, b.records) || fmt.Sprint(a.history) != fmt.Sprint(b.history) {
		w.fail("shard %d differs: %d %v %+v and %d %v %+v", s, a.last, a.history, a.records, b.last, b.history, b.records)
	}
	for _, n := range []int{first, second} {
		if n := w.nodes[n]; n.users[s] != len(a.records) || n.counts[s].users != countRows(inOrder(a.records)).users {
			w.fail("node %d counts %d users of shard %d, %d are there", n.number, n.users[s], s, len(a.records))
		}
	}
	byRequest, states := map[shard.RequestID]uint64{}, []map[string]shard.Record{{}}
	for lsn := uint64(1); lsn <= a.last; lsn++ {
		epoch := uint64(0)
		for _, h := range a.history {
			if h.LSN <= lsn {
				epoch = h.Epoch
			}
		}
		n, known := w.written[[3]uint64{uint64(s), epoch, lsn}]
		if !known {
			w.fail("shard %d has no entry at LSN %d in epoch %d", s, lsn, epoch)
			break
		}
		if at := byRequest[n.Request]; at != 0 {
			w.fail("shard %d: request %x was done twice, at LSN %d and %d", s, n.Request[:4], at, lsn)
		}
		byRequest[n.Request] = lsn
		next := make(map[string]shard.Record, len(states[lsn-1])+1)
		for id, r := range states[lsn-1] {
			next[id] = r
		}
		delete(next, n.ID)
		if n.Result != shard.Deleted {
			next[n.ID] = shard.Record{ID: n.ID, Name: n.Name, Email: n.Email, Group: n.Group, Epoch: n.Epoch, LSN: n.LSN}
		}
		states = append(states, next)
	}
	if w.failure == "" && !reflect.DeepEqual(states[a.last], a.records) {
		w.fail("shard %d: the log gives %+v, the disk holds %+v", s, states[a.last], a.records)
	}
	return states, byRequest
}

// judge checks one answer: a write's against its place in the log, any other against the states between its call and
// its answer. It returns the first LSN that explains the answer: whoever asks later must see as much.
func (w *simWorld) judge(op *simOp, states []map[string]shard.Record, byRequest map[shard.RequestID]uint64) uint64 {
	at := op.reply.Record.LSN
	if op.kind == opWrite && op.reply.Result <= shard.Deleted {
		if byRequest[op.change.Request] != at || at == 0 || at >= uint64(len(states)) {
			w.fail("shard %d: an acknowledged write is not in the log at LSN %d: %+v", op.shard, at, op.change)
		} else if result := outcome(&op.change, states[at-1][op.change.ID]); result != op.reply.Result {
			w.fail("shard %d: LSN %d answered %d, the log before it gives %d", op.shard, at, op.reply.Result, result)
		} else if at <= op.floor {
			w.fail("shard %d: LSN %d was given to a write that began after LSN %d was known", op.shard, at, op.floor)
		}
		return at
	}
	for at := op.floor; at <= op.ceil && at < uint64(len(states)); at++ {
		if w.explains(op, states[at]) {
			return at
		}
	}
	w.fail("shard %d: client %d at %.3f ms: %+v (kind %d) answered %+v %+v, which no state from LSN %d to %d gives",
		op.shard, op.client,
		float64(op.answered)/float64(ms), op.change, op.kind, op.reply, op.page, op.floor,
		min(op.ceil, uint64(len(states))-1))
	return 0
}

// explains tells whether a state gives an answer that changed nothing.
func (w *simWorld) explains(op *simOp, state map[string]shard.Record) bool {
	current, exists := state[op.change.ID]
	switch op.kind {
	case opCount:
		return op.reply.Users == uint64(len(state))
	case opList:
		return explainsList(op, state)
	case opGet:
		return exists == (op.reply.Result == shard.Found) && (!exists || current == op.reply.Record)
	}
	result := outcome(&op.change, current)
	return result == op.reply.Result
}
