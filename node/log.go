package main

import (
	"errors"
	"fmt"

	"tandem/node/store"
	"tandem/shard"
	"tandem/shard/replica"
	"tandem/wire/proc"
)

// errPurged is the class of a log that no longer reaches back to what is wanted.
var errPurged = errors.New("purged from the write log")

const (
	aheadBytes = 2 << 20         // of a shard that are read ahead of their turn, at most a batch more
	aheadFor   = 500e6           // ns for which a shard that was asked for is read ahead
	aheadReach = uint64(1 << 11) // batches before what is asked for from where on others are read, too
)

// logAsk asks a reader for up to most entries of a shard, from LSN first on and none after last, in order. Without a
// slot for the reply it only announces that the shard will be asked for, from there on.
type logAsk struct {
	shard       int
	history     []shard.Position
	first, last uint64
	most        int
	reply       chan<- logAnswer
}

// logAnswer is what a reader found: errPurged if that is nothing, or the log's own error.
type logAnswer struct {
	entries []shard.Entry
	err     error
}

// readahead is what was read of a shard before it was asked for, of any history.
type readahead struct {
	next    uint64 // LSN with which the shard's next turn begins
	asked   int64  // when it was asked for, in ns on the node's clock
	whole   bool   // nothing from next on was passed over
	bytes   int
	entries []shard.Entry
}

// runReader is the loop that reads the WAL for some shards. It goes through the log once for all of them, and keeps
// what it meets of each until that is asked for: most of a log is of other shards. It ends when no more asks come.
func runReader(node *Node, storage *Storage, asks <-chan logAsk) {
	var log store.LogReader
	var batch []byte
	aheads := make([]readahead, node.Layout.Shards)
	wanted := make([]bool, node.Layout.Shards)
	defer func() { store.CloseLog(log) }()
	for ask := range asks {
		p, answer, reopened := &aheads[ask.shard], logAnswer{}, false // reopened: the log was opened for this ask
		p.asked = proc.Clock()
		if ask.reply == nil {
			p.next = ask.first
			continue
		}
		for {
			more := p.whole
			if more {
				answer.entries, *p, more = pickEntries(answer.entries, *p, ask)
			}
			if missing(ask, answer.entries) == 0 {
				break
			}
			var err error
			if more {
				log, batch, err = store.NextBatch(log)
				more = batch != nil
			}
			var parts []store.Logged
			if more && err == nil {
				parts, err = store.ReadBatch(batch, wanted)
			}
			if store.IsDiskError(err) { // the next try may do
				node.Log.Warn("the disk does not let the write log be read", "error", err)
			}
			switch {
			case more && err == nil:
				keepAhead(aheads, wanted, parts, ask.shard)
				continue
			case len(answer.entries) > 0: // the rest when it is asked for
			case !reopened: // a log that was open before may lack what came since
				p.next, reopened = ask.first, true
				store.CloseLog(log)
				log, answer.err = beginReading(storage, aheads, wanted, ask.shard)
				if answer.err == nil {
					continue
				}
			case err != nil:
				answer.err = err
			default:
				answer.err = fmt.Errorf("%w: LSN %d of shard %d", errPurged, ask.first, ask.shard)
			}
			p.whole = false
			break
		}
		p.next = ask.first + uint64(len(answer.entries))
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

// pickEntries moves the entries that are due from what was read ahead. The log reads on silently behind what was
// pruned, and may hold entries of a former incarnation: each entry must have the LSN that is due and the epoch
// that the history gives it (rule R16). What does not follow is dropped; but more is false when an entry of this
// history shows that those before it are missing.
func pickEntries(entries []shard.Entry, p readahead, ask logAsk) (taken []shard.Entry, rest readahead, more bool) {
	for i := range p.entries {
		n := &p.entries[i]
		next := ask.first + uint64(len(entries))
		gap := n.LSN > next && replica.Follows(ask.history, n.LSN, n)
		if gap || next > ask.last || len(entries) >= ask.most {
			p.entries = append([]shard.Entry(nil), p.entries[i:]...)
			return entries, p, !gap
		}
		p.bytes -= sizeOf(n)
		if replica.Follows(ask.history, next, n) {
			entries = append(entries, *n)
		}
	}
	p.entries, p.bytes = nil, 0
	return entries, p, true
}

// beginReading opens the WAL where a shard needs it, or where others need it that were asked for lately and lie little
// before. What was read of them before begins anew.
func beginReading(storage *Storage, aheads []readahead, wanted []bool, asked int) (store.LogReader, error) {
	sequences, now := make([]uint64, len(aheads)), proc.Clock()
	for s := range aheads {
		wanted[s] = now-aheads[s].asked < aheadFor && aheads[s].next > 0 || s == asked
		if wanted[s] {
			reply := make(chan uint64, 1)
			storage.Lookups <- indexAsk{s, aheads[s].next, reply}
			sequences[s] = <-reply
		}
	}
	from := sequences[asked]
	for s := range aheads {
		wanted[s] = wanted[s] && sequences[s]+aheadReach >= sequences[asked]
		if wanted[s] {
			from = min(from, sequences[s])
		}
	}
	log, err := store.OpenLog(storage.DB, from)
	for s := range aheads { // of a log that cannot be opened nothing is read
		aheads[s] = readahead{next: aheads[s].next, asked: aheads[s].asked, whole: wanted[s] && err == nil}
	}
	return log, err
}

// keepAhead adds to what was read ahead. Of a shard other than the one that is asked for and that does not keep up
// something is passed over, so that the reading begins anew when its turn comes.
func keepAhead(aheads []readahead, wanted []bool, parts []store.Logged, asked int) {
	for i := range parts {
		s := parts[i].Shard
		p := &aheads[s]
		for k := range parts[i].Entries {
			if n := &parts[i].Entries[k]; wanted[s] && n.LSN >= p.next {
				p.entries, p.bytes = append(p.entries, *n), p.bytes+sizeOf(n)
			}
		}
		if p.bytes > aheadBytes && s != asked {
			wanted[s] = false
			*p = readahead{next: p.next, asked: p.asked}
		}
	}
}
