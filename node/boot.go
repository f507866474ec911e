package main

import (
	"encoding/binary"
	"errors"
	"fmt"

	"tandem/node/store"
	"tandem/shard"
	"tandem/shard/replica"
	"tandem/wire/proc"
)

// loaded is what a replica's loop starts from.
type loaded struct {
	Last    uint64 // LSN of the last stored write
	History []shard.Position
	Counts  store.Buckets
	Log     []shard.Entry // of the request-id window, oldest first
	Damage  string        // why its data cannot be trusted; "" if it can
}

// loadReplicas reads the meta of the shards held. A shard without a position is new, or
// its snapshot was broken off: what it holds is dropped.
func loadReplicas(start starting) starting {
	wiring, db := start.wiring, start.wiring.DB
	start.loaded = make([]loaded, wiring.Layout.Shards)
	for _, s := range start.held {
		var damaged error
		at := &start.loaded[s]
		found := false
		see := func(key, value []byte) bool {
			name := string(key[:min(len(key), 2)])
			found = found || name != store.MetaApplied
			switch {
			case key[0] != store.MetaPrefix:
				return false
			case name == store.MetaBucket && len(key) == 3:
				users, lsn, ok := store.ReadBucket(value)
				at.Counts[key[2]], at.Last = users, max(at.Last, lsn)
				if !ok {
					damaged = errors.Join(damaged, fmt.Errorf("%w: bucket %d of shard %d has %d bytes", store.ErrStore,
						key[2], s, len(value)))
				}
			case name == store.MetaEpoch && len(key) == 10 && len(value) == 8:
				at.History = append(at.History, shard.Position{Epoch: binary.BigEndian.Uint64(key[2:]),
					LSN: binary.BigEndian.Uint64(value)})
			case name == store.MetaWindow:
				entries, err := store.ReadWindow(value)
				at.Log, damaged = entries, errors.Join(damaged, err)
			case name == store.MetaApplied:
			default:
				damaged = errors.Join(damaged, fmt.Errorf("%w: meta key %q of shard %d with %d bytes", store.ErrStore,
					key, s, len(value)))
			}
			return true
		}
		m, marked := wiring.Marks[s]
		err := error(nil)
		if marked { // and not to be read (BadFiles)
			err = errors.New(m.Reason)
		} else {
			scan := store.OpenScan(db, s)
			err = store.WalkScan(scan, []byte{0}, 0, see)
			store.CloseScan(scan)
		}
		if marked || store.IsDamage(err) { // whether it may be dropped the views will say: it may be the only copy
			wiring.Log.Error("the data of a shard is damaged", "shard", s, "error", err)
			*at = loaded{Damage: err.Error()}
			continue
		}
		err = errors.Join(err, damaged)
		if err == nil && found && at.Last == 0 {
			*at = loaded{}
			parts := []store.Part{store.WipePart(s, store.FamilyID(db, s))}
			stored := store.Store(store.Storing{DB: db, Log: start.log, Parts: parts})
			start.log, err = stored.Log, stored.Err
		}
		if start.err = err; err != nil {
			break
		}
	}
	return start
}

// logWalk is a walk through the whole WAL at a start, from the oldest record that is left.
type logWalk struct {
	start  starting
	now    int64
	log    store.LogReader
	batch  []byte         // the newest that was read
	parts  []store.Logged // of the newest batch: the shards' shares, or why something could not be read
	end    uint64         // the sequence behind the last batch
	failed uint64         // and there when the last error was met
	err    error          // met since; the walk goes on behind it
	over   bool
}

// walkStages are a step of the walk: a batch is read, and kept of it what is needed.
var walkStages = [...]func(logWalk) logWalk{readParts, keepParts}

// loadWindows reads the WAL for the request ids that a gateway may still send again (rule R18), and for where each
// shard's entries stand in it.
func loadWindows(s starting) starting {
	s.points = make([][]indexPoint, len(s.loaded))
	w := logWalk{start: s, now: proc.Clock()}
	w.log, w.err = store.OpenLog(s.wiring.DB, 0)
	for !w.over {
		for _, stage := range walkStages {
			w = stage(w)
		}
	}
	store.CloseLog(w.log)
	return w.start
}

// readParts reads the next batch of the WAL. Where something cannot be read it goes on behind it; where nothing was
// read since the last such place, the walk is over, as it is at the log's end.
func readParts(w logWalk) logWalk {
	w.parts = nil
	if w.err == nil {
		w.log, w.batch, w.err = store.NextBatch(w.log)
	}
	switch {
	case w.err == nil && w.batch == nil:
		w.over = true
	case w.err == nil:
		w.end = store.SequenceBehind(w.batch)
		w.parts, w.err = store.ReadBatch(w.batch, nil)
	}
	if w.err == nil {
		return w
	}
	w.parts = []store.Logged{{Err: w.err}}
	if w.over = w.end <= w.failed; w.over {
		return w
	}
	w.failed = w.end
	store.CloseLog(w.log)
	w.log, w.err = store.OpenLog(w.start.wiring.DB, w.end)
	return w
}

// keepParts keeps the recent entries of what was read, and where in the log all of them stand. Stamps after now were
// made before the machine restarted, when every deadline of then was over.
func keepParts(w logWalk) logWalk {
	s := &w.start
	for _, p := range w.parts {
		if store.IsDiskError(p.Err) { // it is all there: what was done before would be done once more without it
			s.err, w.over = p.Err, true
			break
		}
		if p.Err != nil { // what is damaged is known, and repairs find another way
			s.wiring.Log.Warn("the write log cannot be read whole", "error", p.Err)
			continue
		}
		if p.Shard >= len(s.loaded) || len(p.Entries) == 0 {
			continue
		}
		at := &s.loaded[p.Shard]
		recent := p.Stamp <= w.now && p.Stamp > w.now-shard.RememberFor
		for i := range p.Entries {
			if n := &p.Entries[i]; recent && n.LSN <= at.Last && replica.Follows(at.History, n.LSN, n) {
				at.Log = append(at.Log, *n)
			}
		}
		s.points = addPoints(s.points, indexNote{p.Sequence, []storedPosition{{Shard: p.Shard,
			LSN: p.Entries[len(p.Entries)-1].LSN}}})
	}
	return w
}
