package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"tandem/shard"
	"tandem/wire"
)

// ErrPurged is the class of a log that no longer reaches back to what is wanted.
var ErrPurged = errors.New("purged from the write log")

const (
	feedBatch = 1 << 12         // entries that are fed at a time: the backup stores them before more follow
	feedWait  = 5 * time.Second // for a receiver that does not read
	logAhead  = 64              // parts that the log's reader is ahead
)

// streamLog reads the WAL from a sequence on, or from the oldest record that is left, and gives the shards' shares away, the last
// one with the error if there was one. Of other shards than only (unless it is -1) the users are left out. It ends with the log, or when quit is closed.
func streamLog(st Store, from uint64, only int, out chan<- Logged, quit <-chan struct{}) {
	defer close(out)
	var parts []Logged
	see := func(batch []byte) bool {
		var err error
		if parts, err = readBatch(batch, only); err != nil {
			parts = append(parts, Logged{Err: err})
		}
		for i := range parts {
			if len(batch) >= 8 {
				parts[i].Sequence = binary.LittleEndian.Uint64(batch)
			}
			if only >= 0 && parts[i].Shard != only && parts[i].Err == nil {
				continue
			}
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

// collect returns up to most entries of shard s from LSN first on, none after last, in order. RocksDB reads on silently behind what was
// purged, and its log may hold entries of a former incarnation: each entry must have the LSN that is due and the epoch that the history
// gives it (rule R16). Errors: ErrPurged, or the log's own.
func collect(room *Room, s int, history []shard.Position, first, last uint64, most int) ([]shard.Entry, error) {
	from := make(chan uint64, 1)
	room.Lookups <- indexAsk{s, first, from}
	entries, next := []shard.Entry{}, first
	parts, quit := make(chan Logged, logAhead), make(chan struct{})
	go streamLog(room.Store, <-from, s, parts, quit)
	defer close(quit)
	for p := range parts {
		if p.Err != nil {
			return nil, p.Err
		}
		for i := range p.Entries {
			if n := &p.Entries[i]; next <= last && shard.Follows(history, next, n) {
				entries, next = append(entries, *n), n.LSN+1
			}
		}
		if next > last || len(entries) >= most {
			return entries, nil
		}
	}
	if len(entries) == 0 {
		return nil, fmt.Errorf("%w: LSN %d of shard %d", ErrPurged, first, s)
	}
	return entries, nil
}

// feedLog sends a backup what it lacks of the log, from fx.LSN up to at most fx.Applied, and reports how far it came.
func feedLog(room *Room, s int, fx shard.Effect) {
	link := room.Links[peerOf(room.Layout, s, room.Self)]
	link.Feeds <- struct{}{}
	defer func() { <-link.Feeds }()
	report := &shard.Event{Kind: shard.FeedFailed, Shard: s, Stream: fx.Stream, Epoch: fx.Epoch}
	entries, err := collect(room, s, fx.History, fx.LSN, fx.Applied, feedBatch)
	if err != nil {
		room.Log.Info("the backup lacks writes that the log no longer has; it is sent the whole shard", "shard", s, "reason", err)
	} else {
		sendPaced(room, link, fx.Stream, cutAppend(s, fx.Epoch, 0, entries))
		report.Kind, report.LSN = shard.FeedDone, entries[len(entries)-1].LSN
	}
	room.Desks[s].In <- []*shard.Event{report}
}

// sendPaced sends frames of a repair no faster than the setting allows, so that it gives way to requests and keeps its share (rule R17).
func sendPaced(room *Room, link *Link, stream uint64, frames []*wire.Message) {
	for _, m := range frames {
		select {
		case link.Out <- []letter{{stream, m}}:
		case <-time.After(feedWait):
			return // the link is broken or about to be; the next stream begins with a comparison
		}
		size := 0
		for i := range m.Entries {
			size += entrySize + len(m.Entries[i].ID) + len(m.Entries[i].Name) + len(m.Entries[i].Email)
		}
		for i := range m.Records {
			size += entrySize + len(m.Records[i].ID) + len(m.Records[i].Name) + len(m.Records[i].Email)
		}
		time.Sleep(time.Duration(size) * time.Second / time.Duration(room.Config.RepairMB<<20))
	}
}
