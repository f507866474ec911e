package sim

import (
	"fmt"
	"sort"
	"tandem/shard"
	"tandem/shard/lease"
	"tandem/shard/replica"
	"tandem/shard/views"
)

// simDisk is a node's disk: what is synced, and what waits for the next sync.
type simDisk struct {
	grace     int64 // ns for which the last process kept its promises
	layout    shard.Layout
	shards    []*simShard
	start     uint64            // number of the last start
	nonces    []uint64          // of the last starts, the newest first
	entries   map[string][]byte // of the view service
	ahead     simLog
	marks     map[int]shard.Mark // of damage, by shard
	queue     []simPart
	writing   bool
	hungUntil int64           // nothing is synced before
	full      bool            // nothing can be written now
	told      shard.DiskState // as the node's loops were told
	began     int64           // when the sync under way began
	health    shard.DiskHealth
	slow      int64   // ns that a sync takes at most
	lanes     []int64 // by peer: when the last word of its lease session arrives at a replica
	wants     []int64 // by peer: when the last word of a replica arrives at its lease session
}

// simShard is what the disk holds of a shard: the users, the meta, and the WAL with whatever was written before the
// last wipe.
type simShard struct {
	records map[string]shard.Record
	last    uint64
	history []shard.Position
	filled  []shard.Entry // of the window, as a snapshot brought it
	wal     []shard.Entry // in the order of writing
	purged  int           // entries of it that are gone
	rotten  bool          // what is read fails its checksum
	copied  uint32        // how often the shard's copy was dropped with its files
}

type simPart struct {
	shard   int // -1: of the view service
	effect  replica.Effect
	entries []views.SavedEntry
}

func newSimDisk(l shard.Layout, slow int64) simDisk {
	d := simDisk{layout: l, entries: map[string][]byte{}, marks: map[int]shard.Mark{}, slow: slow,
		lanes: make([]int64, l.Nodes), wants: make([]int64, l.Nodes)}
	for range l.Shards {
		d.shards = append(d.shards, &simShard{records: map[string]shard.Record{}})
	}
	return d
}

// bear writes what the view service starts from at bootstrap.
func (d *simDisk) bear(l shard.Layout, members []uint64) {
	for _, f := range views.InitialEntries(l, members) {
		d.entries[f.Key] = f.Value
	}
}

// savedEntries are the view service's saved entries in the order of their keys.
func (d *simDisk) savedEntries() []views.SavedEntry {
	list := []views.SavedEntry{}
	for _, key := range sortedKeys(d.entries) {
		list = append(list, views.SavedEntry{Key: key, Value: d.entries[key]})
	}
	return list
}

func (s *simShard) wipe() {
	s.records, s.last, s.history, s.filled, s.rotten = map[string]shard.Record{}, 0, nil, nil, false
}

func (s *simShard) lookUp(id string) (shard.Record, bool) {
	r, exists := s.records[id]
	return r, exists
}

// window has the entries whose request ids are remembered: of this incarnation all that the log still has, and what the
// snapshot brought.
func (s *simShard) window() []shard.Entry {
	list := append([]shard.Entry(nil), s.filled...)
	want := uint64(1)
	if len(s.filled) > 0 {
		want = s.filled[len(s.filled)-1].LSN + 1
	}
	if s.last == 0 {
		return list
	}
	for i := range s.wal { // request ids are kept apart from the log that may be purged
		n := &s.wal[i]
		if n.LSN >= want && replica.Follows(s.history, n.LSN, n) && n.LSN <= s.last {
			list, want = append(list, *n), n.LSN+1
		}
	}
	return list
}

// collect reads entries from the WAL, from first on to last.
func (s *simShard) collect(history []shard.Position, first, last uint64) []shard.Entry {
	list := []shard.Entry{}
	for i := s.purged; i < len(s.wal) && first <= last; i++ {
		if n := &s.wal[i]; replica.Follows(history, first, n) {
			list, first = append(list, *n), first+1
		}
	}
	return list
}

// apply makes a part durable.
func (d *simDisk) apply(w *simWorld, n *simNode, p *simPart) {
	if p.shard < 0 {
		for _, f := range p.entries {
			if f.Delete {
				delete(d.entries, f.Key)
			} else {
				d.entries[f.Key] = f.Value
			}
		}
		return
	}
	s := d.shards[p.shard]
	switch p.effect.Kind {
	case replica.Drop:
		s.copied++
		delete(d.marks, p.shard)
	case replica.Persist:
		for i := range p.effect.Entries {
			e := &p.effect.Entries[i]
			if e.LSN != s.last+uint64(i)+1 {
				w.fail("node %d shard %d stores LSN %d after %d", n.number, p.shard, e.LSN, s.last)
			}
			at := [3]uint64{uint64(p.shard), e.Epoch, e.LSN}
			if old, seen := w.written[at]; seen && old != *e {
				w.fail("shard %d has two writes at epoch %d, LSN %d: %+v and %+v", p.shard, e.Epoch, e.LSN, old, *e)
			}
			w.written[at] = *e
			s.wal = append(s.wal, *e)
			if w.plan.shortLog {
				s.purged = max(s.purged, len(s.wal)-3)
			}
		}
	}
	s.take(&p.effect)
}

// write queues a part; all that waits is written and synced at once.
func (w *simWorld) write(n *simNode, p simPart) {
	n.disk.queue = append(n.disk.queue, p)
	if !n.disk.writing {
		n.disk.writing = true
		w.flush(n)
	}
}

// flush syncs what is queued. It can be read a little before the loops hear of it.
func (w *simWorld) flush(n *simNode) {
	process, group, began := n.process, len(n.disk.queue), w.now
	n.disk.began = began
	takes := ms/2 + w.delay(n.disk.slow)
	var try func()
	try = func() {
		if !n.up || n.process != process {
			return
		}
		if n.disk.full || w.now-began < takes || w.now < n.disk.hungUntil {
			w.after(min(5*ms, max(takes-(w.now-began), ms)), try)
			return
		}
		done := n.disk.queue[:group:group]
		for i := range done {
			n.disk.apply(w, n, &done[i])
		}
		w.noteBatch(n, done)
		n.disk.queue = append([]simPart(nil), n.disk.queue[group:]...)
		w.on(n, w.delay(ms/2), func() { w.stored(n, done) })
		if n.disk.writing = len(n.disk.queue) > 0; n.disk.writing {
			w.flush(n)
		}
		if n.disk.told == shard.DiskSlow {
			w.on(n, 1, func() { w.judgeDisk(n) })
		}
	}
	w.after(min(takes, 5*ms), try)
}

// judgeDisk looks how long writes take: a node whose disk is slow falls silent, until the disk has been quick for a
// while (rule R12).
func (w *simWorld) judgeDisk(n *simNode) {
	write := int64(0)
	if n.disk.writing {
		write = n.disk.began
	}
	n.disk.health = shard.JudgeDisk(n.disk.health, write, w.now)
	state := n.disk.health.State
	if n.disk.full {
		state = shard.DiskSlow
	}
	if state == n.disk.told {
		return
	}
	if slow := state == shard.DiskSlow; slow != (n.disk.told == shard.DiskSlow) {
		w.stepService(n, &views.Event{Kind: views.DiskChanged, Unhealthy: slow})
	}
	n.disk.told = state
	w.note("node %d: the disk is %d (0 healthy, 1 distrusted, 2 slow)", n.number, state)
	for peer := range n.sessions {
		w.stepSession(n, peer, &lease.Event{Kind: lease.DiskChanged, Disk: state})
	}
}

// stored tells the loops what was synced.
func (w *simWorld) stored(n *simNode, group []simPart) {
	for i := range group {
		p := &group[i]
		switch {
		case p.shard < 0:
			w.stepService(n, &views.Event{Kind: views.Saved})
		case p.effect.Kind == replica.Wipe || p.effect.Kind == replica.Drop:
			w.step(n, &replica.Event{Kind: replica.DiskWiped, Shard: p.shard})
		case p.effect.Kind == replica.PersistHistory:
			w.step(n, &replica.Event{Kind: replica.DiskStored, Shard: p.shard, LSN: p.effect.LSN})
		case p.effect.Kind == replica.Persist:
			w.step(n, &replica.Event{Kind: replica.DiskStored, Shard: p.shard,
				LSN: p.effect.Entries[len(p.effect.Entries)-1].LSN})
		}
	}
}

// feedSnapshot sends the whole shard as the disk has it now, with the request ids up to there.
func (w *simWorld) feedSnapshot(n *simNode, s, peer int, fx *replica.Effect) {
	d := n.disk.shards[s]
	if d.rotten {
		w.feelRot(n, s)
		return
	}
	last, history, window := d.last, append([]shard.Position(nil), d.history...), d.window()
	ids := []string{}
	for id := range d.records {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	records := []shard.Record{}
	for _, id := range ids {
		records = append(records, d.records[id])
	}
	w.note("node %d: shard %d sends a snapshot as of LSN %d", n.number, s, last)
	stream := fx.Stream
	epoch := fx.Epoch
	send := func(e replica.Event) { e.Shard, e.Epoch = s, epoch; w.toBackup(n, peer, stream, e) }
	w.on(n, w.delay(ms), func() { send(replica.Event{Kind: replica.SnapshotBegun, LSN: last}) })
	at := 2 * ms
	for i := range records {
		w.on(n, at, func() { send(replica.Event{Kind: replica.SnapshotCame, Records: records[i : i+1]}) })
		at += w.delay(4 * ms)
	}
	w.on(n, at, func() {
		if last == 0 {
			window = nil
		}
		send(replica.Event{Kind: replica.SnapshotEnded, LSN: last, History: history, Entries: window})
		w.step(n, &replica.Event{Kind: replica.FeedDone, Shard: s, Stream: stream, Epoch: epoch, LSN: last})
	})
}

// feelRot has the shell find out, if it has not yet.
func (w *simWorld) feelRot(n *simNode, s int) {
	if n.disk.shards[s].rotten && n.replicas[s].Damage.Reason == "" {
		n.disk.marks[s] = shard.Mark{Store: n.member, Copy: n.disk.copyOf(s), Reason: "found by a read"}
		w.step(n, &replica.Event{Kind: replica.DataDamaged, Shard: s, Reason: fmt.Sprint("block of shard ", s)})
	}
}
