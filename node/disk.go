package main

import (
	"fmt"
	"runtime"
	"time"

	"tandem/node/store"
	"tandem/wire/proc"
)

const (
	groupBytes = 4 << 20                // a group commit is closed at this size
	retryDisk  = 250 * time.Millisecond // between two looks at a disk that refuses writes
)

// busyParts is how many parts must be expected within the pace for a commit to wait for them.
const busyParts = 4

// runDisk is the loop that owns all writes of shards and of the view service: what is waiting goes out in one synced
// RocksDB write, one fsync for many requests (group commit). While the disk is full the group waits, since its entries
// are promised to the peer. w is what this start has written before.
func runDisk(node *Node, handles *Handles, storage *Storage, w store.Written) {
	var group []store.Part
	var batch []byte
	db := storage.DB
	last, gap := time.Now(), time.Hour // the last commit, and the average time between two parts
	for parts := range storage.Disk {
		if wait := node.Config.Pace - time.Since(last); wait > 0 && gap < node.Config.Pace/busyParts {
			time.Sleep(wait)
		}
		runtime.Gosched() // what else is about to be stored shares the fsync
		group = gather(parts, storage.Disk, append(group[:0], store.Part{}))
		gap = (3*gap + time.Since(last)/time.Duration(len(group))) / 4
		last = time.Now()
		w, group[0] = store.HeadPart(w, group[1:])
		batch = store.JoinParts(batch, group)
		group = group[1:]
		storage.Health <- diskReport{Since: proc.Clock()}
		awaitSpace(node, handles, storage)
		err := store.WriteBatch(db, batch)
		for i := range group {
			if group[i].Renewed && err == nil {
				db, err = renew(node, storage, db, group[i].Shard)
			}
		}
		if err != nil {
			go reopen(node, handles, storage, db, err)
			return
		}
		storage.Health <- diskReport{}
		for _, handle := range handles.Loops {
			tellStored(handles, handle, group, &db)
		}
		storage.Index <- indexNote{store.LastSequence(db), positionsOf(group)}
		for i := range group {
			select {
			case group[i].Done <- struct{}{}:
			default: // a shard's share: its channel is nil
			}
		}
		tellSynced(storage, w)
		clear(group)
	}
}

// tellSynced says which batch was synced last; the newest word counts.
func tellSynced(storage *Storage, w store.Written) {
	select {
	case <-storage.Synced:
	default:
	}
	storage.Synced <- store.LastHead(w)
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
// process starts anew in place, which replays the log.
func reopen(node *Node, handles *Handles, storage *Storage, db store.DB, cause error) {
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
