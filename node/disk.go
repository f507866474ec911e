package main

import (
	"fmt"
	"runtime"
	"time"

	"tandem/node/store"
	"tandem/shard"
	"tandem/wire/proc"
)

const (
	groupBytes = 4 << 20                // a group commit is closed at this size
	retryDisk  = 250 * time.Millisecond // between two looks at a disk that refuses writes
)

// busyParts is how many parts must be expected within the pace for a commit to wait for them.
const busyParts = 4

// lookEvery is how often the disk's loop looks whether memory is to be flushed while nobody writes.
const lookEvery = 500 * time.Millisecond

// flush is how far the tables on the disk are behind the log.
type flush struct {
	Bytes int64  // of the log that no flush was begun for
	Begun uint64 // sequence up to which a flush is under way; 0 if none is
	Asked int64  // when it was last asked whether that is done, in ns on the node's clock
	Wrote int64  // when the last batch was written
}

// askFlushEvery is how often it is asked whether a flush is done, which takes as long as some users' writes.
const askFlushEvery = int64(20 * time.Millisecond)

// runDisk is the loop that owns all writes of shards and of the view service: what is waiting goes out in one write of
// the log, which is synced, for many requests (group commit), and then into the tables. While the disk is full the
// group waits, since its entries are promised to the peer. l is the log as the start has left it.
func runDisk(node *Node, handles *Handles, storage *Storage, l store.Log) {
	var group []store.Part
	var batch []byte
	db, state := storage.DB, flush{}
	boot, ticks := store.ThisBoot(), time.NewTicker(lookEvery)
	last, gap := time.Now(), time.Hour // the last commit, and the average time between two parts
	for {
		var parts []store.Part
		select {
		case parts = <-storage.Disk:
		case <-ticks.C:
			var err error
			if l, state, err = keepUp(storage, db, l, state, proc.Clock()); err != nil {
				go reopen(node, handles, storage, db, store.LastSynced(l, boot), err)
				return
			}
			continue
		}
		if wait := node.Config.Pace - time.Since(last); wait > 0 && gap < node.Config.Pace/busyParts {
			time.Sleep(wait)
		}
		runtime.Gosched() // what else is about to be stored shares the fsync
		group = gather(parts, storage.Disk, group[:0])
		gap = (3*gap + time.Since(last)/time.Duration(len(group))) / 4
		last = time.Now()
		storage.Health <- diskReport{Since: proc.Clock()}
		awaitSpace(node, handles, storage)
		before, synced := store.StateOf(l), store.LastSynced(l, boot)
		stored := store.Store(store.Storing{DB: db, Log: l, Parts: group, Batch: batch})
		l, batch = stored.Log, stored.Batch
		err := stored.Err
		for i := range group {
			if group[i].Renewed && err == nil {
				db, err = renew(node, storage, db, group[i].Shard)
			}
		}
		if err != nil {
			go reopen(node, handles, storage, db, synced, err)
			return
		}
		storage.Health <- diskReport{}
		for _, handle := range handles.Loops {
			tellStored(handles, handle, group, &db)
		}
		storage.Index <- indexNote{store.StateOf(l).Sequence, positionsOf(group)}
		tellDone(group)
		tellSynced(storage, store.LastSynced(l, boot))
		now := proc.Clock()
		tellClosed(storage, before, store.StateOf(l), now)
		state.Bytes, state.Wrote = state.Bytes+store.LogBytes(batch), now
		if l, state, err = keepUp(storage, db, l, state, now); err != nil {
			go reopen(node, handles, storage, db, store.LastSynced(l, boot), err)
			return
		}
		clear(group)
	}
}

// tellDone tells those who wait for their part of a group.
func tellDone(group []store.Part) {
	for i := range group {
		select {
		case group[i].Done <- struct{}{}:
		default: // a shard's share: its channel is nil
		}
	}
}

// tellSynced says which batch was synced last; the newest word counts.
func tellSynced(storage *Storage, note store.SyncNote) {
	select {
	case <-storage.Synced:
	default:
	}
	storage.Synced <- note
}

// tellClosed says that a segment of the log is no longer written to, if the log was in another one before.
func tellClosed(storage *Storage, before, after store.LogState, now int64) {
	if before.Segment != after.Segment {
		storage.Closed <- segmentNote{Number: before.Segment, Last: before.Sequence, Bytes: before.Bytes,
			Closed: now, Flushed: after.Flushed}
	}
}

// keepUp begins a flush of memory if one is due, and notes in the log when it is done. Once nobody writes any more a
// segment is begun, whose header says that all before it is flushed: that can be pruned then.
func keepUp(storage *Storage, db store.DB, l store.Log, state flush, now int64) (store.Log, flush, error) {
	idle, err := now-state.Wrote, error(nil)
	asks := state.Begun > 0 && now-state.Asked >= askFlushEvery
	if asks {
		state.Asked = now
	}
	if asks && store.Flushed(db) {
		l, state.Begun = store.NoteFlushed(l, state.Begun), 0
		if before := store.StateOf(l); idle >= shard.FlushIdle && !before.Unused && state.Bytes == 0 {
			l, err = store.NextSegment(l, 1)
			tellClosed(storage, before, store.StateOf(l), now)
		}
	}
	if state.Begun == 0 && shard.FlushDue(state.Bytes, idle) && err == nil {
		state.Begun, state.Bytes = store.StateOf(l).Sequence, 0
		err = store.Flush(db, false)
	}
	return l, state, err
}

// positionsOf returns how far the shards in a group have come.
func positionsOf(group []store.Part) []storedPosition {
	positions := make([]storedPosition, 0, len(group))
	for i := range group {
		if p := &group[i]; !p.Raft && (p.Last > 0 || p.Wiped) {
			positions = append(positions, storedPosition{Shard: p.Shard, LSN: p.Last, Wiped: p.Wiped})
		}
	}
	return positions
}

// gather takes first and what else is waiting, up to groupBytes.
func gather(first []store.Part, more <-chan []store.Part, group []store.Part) []store.Part {
	group = append(group, first...)
	size := 0
	for i := 0; size < groupBytes; {
		for ; i < len(group); i++ {
			size += len(group[i].Bytes)
		}
		select {
		case parts := <-more:
			group = append(group, parts...)
		default:
			return group
		}
	}
	return group
}

// awaitSpace returns when the disk has room; until then every replica is told why it has not.
func awaitSpace(node *Node, handles *Handles, storage *Storage) {
	err := store.CheckSpace(node.Config.Data, store.Reserve)
	if err == nil {
		return
	}
	node.Log.Error("writes wait for space on the disk", "error", err)
	for ; err != nil; err = store.CheckSpace(node.Config.Data, store.Reserve) {
		spread(handles, storage, err.Error())
		time.Sleep(retryDisk)
	}
	node.Log.Info("the disk has space again")
	spread(handles, storage, "")
}

// reopen ends the writing of a database whose write failed: its write log may not be touched again, what it took of the
// failed write is not known, and nothing of it was acknowledged. Reads go on. Once the disk takes writes again the
// process starts anew in place, which replays the log. synced is the last batch that was written.
func reopen(node *Node, handles *Handles, storage *Storage, db store.DB, synced store.SyncNote, cause error) {
	node.Log.Error("a write failed; this node serves reads until the disk takes writes again, then starts anew",
		"error", cause)
	for s, mark := range store.Suspects(db, node.Member, cause) {
		node.Log.Error("the data of a shard is damaged; the node starts anew, and it is filled again from a whole copy",
			"shard", s)
		noted := make(chan int, 1)
		storage.Damage <- damageNote{shard: s, mark: mark, done: noted}
		<-noted
	}
	for err := cause; err != nil; {
		spread(handles, storage, fmt.Sprintf("%v: %v", store.ErrFull, cause))
		time.Sleep(retryDisk)
		if err = store.CheckSpace(node.Config.Data, store.Reserve); err == nil {
			err = store.TryDisk(node.Config.Data)
		}
	}
	synced.Boot = 0 // what lies behind it was written in part, and may be garbled
	for turn := range int64(2) {
		if err := store.WriteSyncNote(node.Config.Data, synced, turn); err != nil {
			node.Log.Warn("it cannot be noted how far the write log is synced", "error", err)
		}
	}
	node.Log.Info("the disk takes writes again; starting anew")
	proc.StopIf(node.Output, proc.StartAnew(node.Output))
}

// spread tells every replica whether the disk refuses writes: why, or "" when it takes them. The node falls silent
// meanwhile.
func spread(handles *Handles, storage *Storage, reason string) {
	storage.Health <- diskReport{Told: true, Full: reason}
	for _, d := range handles.Loops {
		select {
		case <-d.Refusing:
		default:
		}
		d.Refusing <- reason
	}
}

// tellStored tells a loop how far the logs of its replicas are stored. The loop needs the newest positions only, so
// they take the place of those that it has not taken yet, and the disk never waits for it.
func tellStored(handles *Handles, handle *replicaHandle, group []store.Part, db *store.DB) {
	var positions []storedPosition
	select {
	case positions = <-handle.Stored:
	default:
	}
	for i := range group {
		if p := &group[i]; !p.Raft && handles.ByShard[p.Shard] == handle {
			m := storedPosition{Shard: p.Shard, LSN: p.Last, Wiped: p.Wiped}
			if p.Renewed {
				now := *db
				m.DB = &now
			}
			positions = append(positions, m)
		}
	}
	if len(positions) > 0 {
		handle.Stored <- positions
	}
}
