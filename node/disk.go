package main

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

const (
	groupBytes = 4 << 20                // a group commit is closed at this size
	retryDisk  = 250 * time.Millisecond // between two looks at a disk that refuses writes
)

// runDisk is the loop that owns all writes of shards: what is waiting goes out in one synced RocksDB write, one fsync for many
// requests (group commit). While the disk is full the group waits, since its entries are promised to the peer.
func runDisk(room *Room) {
	var group []Part
	var batch []byte
	for part := range room.Disk {
		group, batch = gather(part, room.Disk, group[:0]), batch[:0]
		batch = joinParts(batch, group)
		awaitSpace(room)
		if err := writeBatch(room.Store, batch); err != nil {
			go reopen(room, err)
			return
		}
		for i := range group {
			replaceLSN(room.Desks[group[i].Shard].Stored, group[i].Last)
		}
		clear(group)
	}
}

// gather takes first and what else is waiting, up to groupBytes.
func gather(first Part, parts <-chan Part, group []Part) []Part {
	group = append(group, first)
	for size := len(first.Bytes); size < groupBytes; {
		select {
		case p := <-parts:
			group = append(group, p)
			size += len(p.Bytes)
		default:
			return group
		}
	}
	return group
}

// awaitSpace returns when the disk has room; until then every replica is told why it has not.
func awaitSpace(room *Room) {
	err := spare(room.Config.Data)
	if err == nil {
		return
	}
	room.Log.Error("writes wait for space on the disk", "error", err)
	for ; err != nil; err = spare(room.Config.Data) {
		spread(room.Desks, err.Error())
		time.Sleep(retryDisk)
	}
	room.Log.Info("the disk has space again")
	spread(room.Desks, "")
}

// reopen ends the writing of a database whose write failed: its write log may not be touched again, what it took of the failed write is
// not known, and nothing of it was acknowledged. Reads go on. Once the disk takes writes again the process starts anew in place,
// which replays the log.
func reopen(room *Room, cause error) {
	room.Log.Error("a write failed; this node serves reads until the disk takes writes again, then starts anew", "error", cause)
	for err := cause; err != nil; {
		spread(room.Desks, fmt.Sprintf("%v: %v", ErrFull, cause))
		time.Sleep(retryDisk)
		if err = spare(room.Config.Data); err == nil {
			err = tryDisk(room.Config.Data)
		}
	}
	room.Log.Info("the disk takes writes again; starting anew")
	err := syscall.Exec("/proc/self/exe", os.Args, os.Environ())
	stopIf(wrap(err, "cannot start anew"))
}

// spread tells every replica how the disk is: why it refuses writes, or "" when it is well.
func spread(desks []*Desk, reason string) {
	for _, d := range desks {
		if d == nil {
			continue
		}
		select {
		case <-d.Sick:
		default:
		}
		d.Sick <- reason
	}
}

// replaceLSN puts the newest LSN into a channel of one place: the receiver needs no older one, so the disk never waits for a replica.
func replaceLSN(to chan uint64, lsn uint64) {
	select {
	case <-to:
	default:
	}
	to <- lsn
}
