package main

import (
	"errors"
	"fmt"
	"time"

	"tandem/shard"
)

// ErrPurged is the class of a log that no longer reaches back to what is wanted.
var ErrPurged = errors.New("purged from the write log")

const (
	feedStep  = 1 << 14         // RocksDB records back from the log's end where the first search begins; each further one goes 16 times as far
	feedBatch = 1 << 14         // entries collected at a time
	feedWait  = 5 * time.Second // for a receiver that does not read
	logAhead  = 64              // parts that the log's reader is ahead
)

// streamLog reads the WAL from a sequence on, or from the oldest record that is left, and gives the shards' shares away, the last
// one with the error if there was one. It ends with the log, or when quit is closed.
func streamLog(st Store, from uint64, out chan<- Logged, quit <-chan struct{}) {
	defer close(out)
	var parts []Logged
	see := func(batch []byte) bool {
		var err error
		if parts, err = readBatch(batch); err != nil {
			parts = append(parts, Logged{Err: err})
		}
		for i := range parts {
			select {
			case out <- parts[i]:
			case <-quit:
				return false
			}
		}
		return err == nil
	}
	if err := walkLog(st, from, see); err != nil {
		out <- Logged{Err: err}
	}
}

// collect returns up to feedBatch entries of shard s from LSN first on, none after last, in order and without repetition. RocksDB
// reads on silently behind what was purged, so the first LSN found is checked against the one wanted. Error: ErrPurged, or the log's own.
func collect(st Store, s int, first, last uint64) ([]shard.Entry, error) {
	for back := uint64(feedStep); ; back *= 16 {
		tail := latest(st)
		entries, next := []shard.Entry{}, first
		parts, quit := make(chan Logged, logAhead), make(chan struct{})
		go streamLog(st, tail-min(tail, back), parts, quit)
		for p := range parts {
			if p.Err != nil {
				return nil, p.Err
			}
			for i := range p.Entries {
				if n := &p.Entries[i]; p.Shard == s && n.LSN >= next && n.LSN <= last {
					entries, next = append(entries, *n), n.LSN+1
				}
			}
			missed := len(entries) > 0 && entries[0].LSN != first
			if missed || next > last || len(entries) >= feedBatch {
				break
			}
		}
		close(quit)
		switch {
		case len(entries) > 0 && entries[0].LSN == first:
			return entries, nil
		case back > tail:
			return nil, fmt.Errorf("%w: LSN %d of shard %d", ErrPurged, first, s)
		}
	}
}

// feedLink replays this leader's log to its backup, from fx.LSN up to fx.Applied.
func feedLink(room *Room, s int, fx shard.Effect) {
	link := room.Links[shard.BirthView(room.Layout, s).Backup]
	for first := fx.LSN; first <= fx.Applied; {
		entries, err := collect(room.Store, s, first, fx.Applied)
		if err != nil {
			room.Log.Error("the backup lacks writes that cannot be replayed", "shard", s, "error", err)
			room.Desks[s].In <- []*shard.Event{{Kind: shard.FeedFailed, Shard: s, Stream: fx.Stream, Reason: err.Error()}}
			return
		}
		for _, m := range cutAppend(s, fx.Epoch, 0, entries) {
			select {
			case link.Out <- []letter{{fx.Stream, m}}:
			case <-time.After(feedWait):
				return // the link is broken or about to be; the next stream begins with a comparison
			}
		}
		first = entries[len(entries)-1].LSN + 1
	}
}
