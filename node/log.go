package main

import (
	"errors"
	"fmt"
	"math"

	"tandem/shard"
)

// ErrPurged is the class of a log that no longer reaches back to what is wanted.
var ErrPurged = errors.New("purged from the write log")

const (
	logAhead  = 64      // parts that the log's reader at a start is ahead
	aheadMost = 1 << 13 // entries of a shard that are read ahead of their turn, at most a batch more
)

// Logged is one shard's share of a batch, read back from the WAL.
type Logged struct {
	Shard    int
	Sequence uint64 // of the batch
	Stamp    int64  // ns on the boot-time clock of when it was stored
	Entries  []shard.Entry
	Err      error // the log could not be read on
}

// streamLog reads the whole WAL, from the oldest record that is left, and gives the shards' shares away, the last one with the error if
// there was one. It ends with the log, or when quit is closed.
func streamLog(st Store, out chan<- Logged, quit <-chan struct{}) {
	defer close(out)
	log, err := openLog(st, 0)
	defer func() { closeLog(log) }()
	for batch := []byte(nil); err == nil; {
		var parts []Logged
		if batch, err = nextBatch(log, batch); err == nil && batch == nil {
			return
		}
		if err == nil {
			parts, err = readBatch(batch, nil)
		}
		for i := range parts {
			select {
			case out <- parts[i]:
			case <-quit:
				return
			}
		}
	}
	out <- Logged{Err: err}
}

// logAsk asks a reader for up to most entries of a shard, from LSN first on and none after last, in order. Without a place for the reply it only
// announces that the shard will be asked for, from there on.
type logAsk struct {
	shard       int
	history     []shard.Position
	first, last uint64
	most        int
	reply       chan<- logAnswer
}

// logAnswer is what a reader found: ErrPurged if that is nothing, or the log's own error.
type logAnswer struct {
	entries []shard.Entry
	err     error
}

// reading is how far a reader has come. next and ahead are by shard.
type reading struct {
	log    LogScan
	wanted []bool
	next   map[int]uint64        // where the shard is asked for
	ahead  map[int][]shard.Entry // read before it was asked for, of any history; none for a shard of which something was passed over
}

// runReader is the loop that reads the WAL for some shards. It goes through the log once for all of them, and keeps what it meets of each
// until that is asked for: most of a log is of other shards. It ends when no more asks come.
func runReader(room *Room, asks <-chan logAsk) {
	r, batch := reading{next: map[int]uint64{}}, []byte(nil)
	defer func() { closeLog(r.log) }()
	for ask := range asks {
		r.next[ask.shard] = ask.first
		if ask.reply == nil {
			continue
		}
		answer, fresh := logAnswer{}, false // fresh: the log was opened for this ask
		for {
			gap, more := false, false
			if _, known := r.ahead[ask.shard]; known {
				answer.entries, r.ahead[ask.shard], gap = pickEntries(answer.entries, r.ahead[ask.shard], ask)
				more = !gap
			}
			if answer.err != nil || missing(ask, answer.entries) == 0 {
				break
			}
			if more {
				batch, answer.err = nextBatch(r.log, batch)
				more = batch != nil
			}
			var parts []Logged
			if more {
				parts, answer.err = readBatch(batch, r.wanted)
				r = keepAhead(r, parts, ask.shard)
				continue
			}
			if len(answer.entries) > 0 || answer.err != nil {
				break
			}
			if fresh {
				answer.err = fmt.Errorf("%w: LSN %d of shard %d", ErrPurged, ask.first, ask.shard)
				break
			}
			r, answer.err = beginReading(room, r)
			fresh = true
		}
		if answer.err != nil {
			closeLog(r.log)
			r = reading{next: r.next}
		}
		ask.reply <- answer
	}
}

// missing returns how many entries an ask may still be given.
func missing(ask logAsk, entries []shard.Entry) uint64 {
	next := ask.first + uint64(len(entries))
	if next > ask.last {
		return 0
	}
	return min(ask.last-next+1, uint64(ask.most-len(entries)))
}

// pickEntries moves the entries that are due from what was read ahead. RocksDB reads on silently behind what was purged, and its log may hold entries
// of a former incarnation: each entry must have the LSN that is due and the epoch that the history gives it (rule R16). What does not follow
// is dropped, until an entry of this history shows that those before it are missing: that is a gap.
func pickEntries(entries, ahead []shard.Entry, ask logAsk) (taken, rest []shard.Entry, gap bool) {
	for i := range ahead {
		n := &ahead[i]
		next := ask.first + uint64(len(entries))
		switch {
		case next > ask.last || len(entries) >= ask.most:
			return entries, ahead[i:], false
		case shard.Follows(ask.history, next, n):
			entries = append(entries, *n)
		case n.LSN > next && shard.Follows(ask.history, n.LSN, n):
			return entries, ahead[i:], true
		}
	}
	return entries, nil, false
}

// beginReading opens the WAL where the first of the shards that were asked for needs it.
func beginReading(room *Room, r reading) (reading, error) {
	closeLog(r.log)
	r = reading{wanted: make([]bool, room.Layout.Shards), next: r.next, ahead: map[int][]shard.Entry{}}
	from := uint64(math.MaxUint64)
	for s, lsn := range r.next {
		reply := make(chan uint64, 1)
		room.Lookups <- indexAsk{s, lsn, reply}
		from = min(from, <-reply)
		r.wanted[s], r.ahead[s] = true, nil
	}
	var err error
	r.log, err = openLog(room.Store, from)
	return r, err
}

// keepAhead adds to what was read ahead. Of a shard other than the one that is asked for and that does not keep up something is passed over, so that
// the reading begins anew when its turn comes.
func keepAhead(r reading, parts []Logged, asked int) reading {
	for i := range parts {
		s := parts[i].Shard
		if r.ahead[s] = append(r.ahead[s], parts[i].Entries...); len(r.ahead[s]) > aheadMost && s != asked {
			r.wanted[s] = false
			delete(r.ahead, s)
			delete(r.next, s)
		}
	}
	return r
}
