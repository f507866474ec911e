package sim

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"tandem/shard"
	"tandem/shard/replica"
)

// simBatch is a batch of the write-ahead log that was synced since the process started.
type simBatch struct {
	head  shard.BatchHead
	parts []simPart
}

// simLog is a node's write-ahead log as the next start will find it: on what it rests, what is in it, and what has
// become of it.
type simLog struct {
	shards  []*simShard       // as the start found them, and what has been moved out of the log since
	entries map[string][]byte // likewise
	log     []simBatch
	number  uint64
	totals  []uint64
	noted   shard.BatchHead // the batch up to which the log is noted as synced
	hit     []int           // batches that cannot be read any more, by place in log
	passed  []int           // batches that the store passes over because of that
	cut     int             // batches that are missing from the end
}

// mostLogged is how many batches lie in a log before the older ones are moved out of it.
const mostLogged = 60

func copyShards(list []*simShard) []*simShard {
	all := make([]*simShard, len(list))
	for i, s := range list {
		c := *s
		c.records, c.history, c.filled = maps.Clone(s.records), slices.Clone(s.history), slices.Clone(s.filled)
		all[i] = &c
	}
	return all
}

// begin is what a start does once the store is open: all is moved out of the log.
func (d *simDisk) begin() {
	d.ahead = simLog{shards: copyShards(d.shards), entries: maps.Clone(d.entries), totals: make([]uint64,
		shard.RaftPart+1)}
}

// noteBatch adds what was synced together to the log.
func (w *simWorld) noteBatch(n *simNode, parts []simPart) {
	l := &n.disk.ahead
	if len(parts) == 0 {
		return
	}
	shards, held := []int{}, w.heldBy(n)
	for i := range parts {
		s := parts[i].shard
		if s < 0 {
			s = shard.RaftPart
		}
		shards = append(shards, s)
	}
	l.number++
	head := shard.CountParts(n.start.Number, l.number, shards, held, l.totals)
	l.log = append(l.log, simBatch{head, slices.Clone(parts)})
	if w.chance(30) {
		l.noted = shard.BatchHead{Start: head.Start, Number: head.Number}
	}
	if len(l.log) > mostLogged {
		for _, b := range l.log[:mostLogged/2] {
			takeParts(l.shards, l.entries, b.parts)
		}
		l.log = append([]simBatch(nil), l.log[mostLogged/2:]...)
	}
}

func (w *simWorld) heldBy(n *simNode) []int {
	held := []int{}
	for s := range w.plan.layout.Shards {
		if first, second := shard.Pair(w.plan.layout, s); first == n.number || second == n.number {
			held = append(held, s)
		}
	}
	return held
}

// takeParts applies parts to a state, as they are.
func takeParts(shards []*simShard, entries map[string][]byte, parts []simPart) {
	for i := range parts {
		p := &parts[i]
		if p.shard >= 0 {
			shards[p.shard].take(&p.effect)
			continue
		}
		for _, f := range p.entries {
			if f.Delete {
				delete(entries, f.Key)
			} else {
				entries[f.Key] = f.Value
			}
		}
	}
}

// take applies an effect to a shard.
func (s *simShard) take(fx *replica.Effect) {
	switch fx.Kind {
	case replica.Wipe, replica.Drop:
		s.wipe()
	case replica.PersistRecords:
		for _, r := range fx.Records {
			s.records[r.ID] = r
		}
	case replica.PersistHistory:
		s.last, s.history, s.filled = fx.LSN, append([]shard.Position(nil), fx.History...), fx.Entries
	case replica.Persist:
		for i := range fx.Entries {
			e := &fx.Entries[i]
			if h := len(s.history); h == 0 || s.history[h-1].Epoch < e.Epoch {
				s.history = append(s.history, shard.Position{Epoch: e.Epoch, LSN: e.LSN})
			}
			s.last = e.LSN
			delete(s.records, e.ID)
			if e.Result != shard.Deleted {
				s.records[e.ID] = shard.Record{ID: e.ID, Name: e.Name, Email: e.Email, Group: e.Group, Epoch: e.Epoch, LSN: e.LSN}
			}
		}
	}
}

// damageLog makes a batch of a node's log unreadable, or cuts its end off, while the process is down. The log of a node
// on which alone something rests is damaged only where that can be known.
func (w *simWorld) damageLog(n *simNode, down int64) {
	l, spare := &n.disk.ahead, w.quiet()
	if len(l.log) == 0 {
		return
	}
	at := w.rng.IntN(len(l.log))
	known := at+1 < len(l.log) || l.log[at].head.Number <= l.noted.Number
	ofRaft := slices.ContainsFunc(l.log[at].parts, func(p simPart) bool { return p.shard < 0 })
	if !known && (ofRaft || !spare) || n.up && n.disk.writing || !w.allMembers() {
		return
	}
	w.kill(n, down)
	w.note("batch %d of the log of node %d is damaged", l.log[at].head.Number, n.number)
	if l.log[at].head.Number <= l.noted.Number && w.chance(30) {
		w.seen["damaged: the log's end is missing"]++
		l.cut = len(l.log) - at
		return
	}
	w.seen["damaged: a batch of the log"]++
	l.hit = append(l.hit, at)
	for next := at + 1; next < len(l.log) && w.chance(40); next++ {
		l.passed = append(l.passed, next)
	}
}

// allMembers tells whether every store has its part of Raft's state: two that have lost it at the same time, or before
// the one is out of the configuration, are more than is promised to be survived.
func (w *simWorld) allMembers() bool {
	newest := &slices.MaxFunc(w.nodes, func(a, b *simNode) int {
		return cmp.Compare(a.service.State.Index,
			b.service.State.Index)
	}).service.State
	return !slices.ContainsFunc(w.nodes, func(n *simNode) bool {
		return len(n.disk.ahead.hit)+n.disk.ahead.cut > 0 || newest.Members[n.number] != n.member || n.doomed ||
			n.rolled && (!n.up || newest.Starts[n.number] != n.start) || len(n.service.Conf.VotersOutgoing) > 0
	})
}

// recover opens a node's store as the shell does: the log is judged before it is read, and what is damaged is marked.
func (w *simWorld) recover(n *simNode) {
	d := &n.disk
	l := &d.ahead
	if len(l.hit)+l.cut > 0 {
		pieces, shards, entries := []shard.LogPiece{}, copyShards(l.shards), maps.Clone(l.entries)
		for i, b := range l.log[:len(l.log)-l.cut] {
			piece := shard.LogPiece{Kind: shard.WholeBatch, Head: b.head}
			switch {
			case slices.Contains(l.hit, i):
				if w.chance(30) {
					pieces = append(pieces, shard.LogPiece{Kind: shard.BegunBatch})
				}
				piece = shard.LogPiece{Kind: shard.BadPlace}
			case slices.Contains(l.passed, i):
				piece.Kind = shard.PassedBatch
			default:
				takeParts(shards, entries, b.parts)
			}
			pieces = append(pieces, piece)
		}
		verdict := shard.JudgeLog(pieces, w.heldBy(n), shard.LogKnown{Synced: l.noted, SameBoot: n.lost < n.process-1})
		w.note("node %d: its log: %+v", n.number, verdict)
		for s, found := range shards {
			before := d.shards[s]
			if before.rotten { // another damage, which stays
				continue
			}
			same := found.last == before.last && reflect.DeepEqual(found.records, before.records) &&
				reflect.DeepEqual(found.history, before.history)
			if !same && !slices.Contains(verdict.Missing, s) && verdict.End == shard.DamagedEnd {
				w.fail("node %d: shard %d lost writes with its log, and that is not known: LSN %d, %d before", n.number,
					s, found.last, before.last)
			}
			before.records, before.last, before.history, before.filled = found.records, found.last, found.history, found.filled
		}
		d.entries = entries
		for _, s := range verdict.Missing {
			d.marks[s] = shard.Mark{Store: n.member, Copy: d.copyOf(s), Reason: "the log is damaged"}
		}
	}
	if shard.MarkHolds(d.marks[shard.RaftPart], n.member, 0) {
		w.seen["damaged: Raft's part"]++
		delete(d.marks, shard.RaftPart)
		n.member, d.entries = shard.MemberOf(n.member, 1), map[string][]byte{}
	}
	d.begin()
}

// copyOf numbers the copy that a shard has now; Raft's part has none.
func (d *simDisk) copyOf(s int) uint32 {
	if s == shard.RaftPart {
		return 0
	}
	return d.shards[s].copied
}
