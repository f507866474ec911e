package main

import (
	"encoding/binary"
	"errors"
	"fmt"

	"tandem/node/store"
	"tandem/shard"
	"tandem/shard/replica"
)

// Loaded is what a replica's loop starts from.
type Loaded struct {
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
	start.loaded = make([]Loaded, wiring.Layout.Shards)
	for _, s := range start.held {
		var damaged error
		at := &start.loaded[s]
		found := false
		see := func(key, value []byte) bool {
			found = true
			switch name := string(key[:min(len(key), 2)]); {
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
			*at = Loaded{Damage: err.Error()}
			continue
		}
		err = errors.Join(err, damaged)
		if err == nil && found && at.Last == 0 {
			*at = Loaded{}
			parts := []store.Part{{}, store.WipePart(s, store.FamilyID(db, s))}
			start.written, parts[0] = store.HeadPart(start.written, parts[1:])
			err = store.WriteBatch(db, store.JoinParts(nil, parts))
		}
		if start.err = err; err != nil {
			break
		}
	}
	return start
}

// loadWindows reads the WAL for the request ids that a gateway may still send again (rule R18), and for where each
// shard's entries stand in it. Stamps after now were made before the machine restarted, when every deadline of then was
// over.
func loadWindows(s starting) starting {
	s.points = make([][]indexPoint, len(s.loaded))
	if store.LastSequence(s.wiring.DB) == 0 {
		return s
	}
	now := clock()
	parts, quit := make(chan store.Logged, logAhead), make(chan struct{})
	defer close(quit)
	go streamLog(s.wiring.DB, parts, quit)
	for p := range parts {
		if store.IsDiskError(p.Err) { // it is all there: what was done before would be done once more without it
			s.err = p.Err
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
		recent := p.Stamp <= now && p.Stamp > now-shard.RememberFor
		for i := range p.Entries {
			if n := &p.Entries[i]; recent && n.LSN <= at.Last && replica.Follows(at.History, n.LSN, n) {
				at.Log = append(at.Log, *n)
			}
		}
		s.points = addPoints(s.points, indexNote{p.Sequence, []storedPosition{{Shard: p.Shard,
			LSN: p.Entries[len(p.Entries)-1].LSN}}})
	}
	return s
}
