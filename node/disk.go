package main

import (
	"fmt"
	"log/slog"
	"time"
)

const (
	groupBytes = 4 << 20                // a group commit is closed at this size
	retryDisk  = 250 * time.Millisecond // between two tries of a write that failed
)

// runDisk is the loop that owns all writes of shards: what is waiting goes out in one synced RocksDB write, one fsync for many
// requests (group commit). A write that fails is tried again until it succeeds: its entries are promised to the peer.
func runDisk(st Store, parts <-chan Part, desks []*Desk, log *slog.Logger) {
	var group []Part
	var batch []byte
	for part := range parts {
		group, batch = gather(part, parts, group[:0]), batch[:0]
		batch = joinParts(batch, group)
		began := time.Now()
		for err := writeBatch(st, batch); err != nil; err = writeBatch(st, batch) {
			log.Error("the disk refuses writes; trying again", "error", err, "since", time.Since(began).Round(time.Second))
			spread(desks, fmt.Sprintf("the disk refuses writes: %v", err))
			time.Sleep(retryDisk)
		}
		if took := time.Since(began); took > retryDisk {
			log.Warn("the disk took long for a synced write", "seconds", took.Seconds())
			spread(desks, "")
		}
		for i := range group {
			replaceLSN(desks[group[i].Shard].Stored, group[i].Last)
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
