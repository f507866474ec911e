package shard

import "slices"

// RaftPart stands for Raft's saved state where parts of shards are counted.
const RaftPart = MaxShards

// CountedShards is how many shards a batch counts at most besides those that it has parts of.
const CountedShards = 32

// PartCount says how many parts of a shard a batch of the write-ahead log holds, and how many the log has had of it
// since the process started, this batch included.
type PartCount struct {
	Shard       int // or RaftPart
	Held, Total uint64
}

// BatchHead begins each batch of the log: in which start of the store it was written, its number in that start, from 1
// on, and counts of the shards that it holds parts of and of some others in turn. So every batch tells what those
// before it held.
type BatchHead struct {
	Start, Number uint64
	Counts        []PartCount
}

// LogPieceKind is what recovery finds at a place of the log.
type LogPieceKind uint8

// The kinds of piece.
const (
	WholeBatch LogPieceKind = iota + 1 // a batch with Head, which the store applies
	// a batch with Head that can be read, but the store passes it over: it lies behind a bad place
	PassedBatch
	BegunBatch // a batch begins here, and its end cannot be read
	BadPlace   // bytes that fail their checksum
	CutPlace   // the bytes end within a batch
)

// LogPiece is what recovery finds at one place of the log.
type LogPiece struct {
	Kind LogPieceKind
	Head BatchHead
}

// LogKnown is what is known of a log from elsewhere: up to which batch it was synced when that was last noted, Number 0
// if that is not known; and that only the process has ended since then, and not the machine.
type LogKnown struct {
	Synced   BatchHead // without counts
	SameBoot bool
}

// LogEnd says how a log ends.
type LogEnd uint8

// The ends of a log.
const (
	CleanEnd   LogEnd = iota // behind its last batch there is nothing
	TornEnd                  // its last batch was being written, and nobody was told that it is stored
	DamagedEnd               // batches that were stored cannot be read
)

// LogVerdict is what recovery comes to: how the log ends, and of which shards parts are missing or may be, RaftPart
// among them, in order.
type LogVerdict struct {
	End     LogEnd
	Missing []int
}

// JudgeLog tells a torn tail from damage. pieces are those of the log in order, held the shards of which the store
// holds replicas.
//
// One batch is written at a time, and the next one only when it is synced. So what fails its checksum was being written
// when the machine went down if no other batch begins behind it, and else it was stored once. A process that ends alone
// leaves what it has written, so that its last batch may be cut off, but not garbled. What a start wrote, the next one
// has moved out of the log before it wrote anything: a batch of a later start makes everything before it void. The
// counts tell which shards a missing batch held; a shard that no later batch counts may be among them.
func JudgeLog(pieces []LogPiece, held []int, known LogKnown) LogVerdict {
	all := append(slices.Clone(held), RaftPart)
	last, whole := BatchHead{}, false // whole: what no batch of the start has counted before has no parts
	var bad, begun, behind, garbled bool
	counts, lost, unsure := map[int]uint64{}, map[int]bool{}, map[int]bool{}
	for i := range pieces {
		p := &pieces[i]
		switch p.Kind {
		case BadPlace, CutPlace:
			bad, garbled = true, garbled || p.Kind == BadPlace
			continue
		case BegunBatch: // of one that began before the bad place only the end is missing
			begun = true
			behind = behind || bad
			continue
		}
		if p.Head.Start != last.Start {
			clear(counts)
			clear(lost)
			clear(unsure)
			last = BatchHead{Start: p.Head.Start, Number: p.Head.Number - 1}
			whole = last.Number == 0
			bad, begun = bad && !whole, begun && !whole
		}
		gap := bad || begun || p.Head.Number != last.Number+1
		for _, s := range all {
			if gap {
				unsure[s] = true
			}
		}
		for _, c := range p.Head.Counts {
			before, counted := counts[c.Shard]
			counted = counted || whole
			fits := counted && before+c.Held == c.Total || !counted && !unsure[c.Shard]
			if !fits || p.Kind == PassedBatch && c.Held > 0 {
				lost[c.Shard] = true
			}
			counts[c.Shard] = c.Total
			delete(unsure, c.Shard)
		}
		last, bad, begun = p.Head, false, false
		behind, garbled = false, false
	}
	synced := known.Synced
	short := synced.Number > 0 && (last.Start < synced.Start || last.Start == synced.Start && last.Number < synced.Number)
	short = short || garbled && known.SameBoot
	v := LogVerdict{}
	for _, s := range all {
		if lost[s] || unsure[s] || behind || short {
			v.Missing = append(v.Missing, s)
		}
	}
	switch {
	case len(v.Missing) > 0:
		v.End = DamagedEnd
	case bad || begun:
		v.End = TornEnd
	}
	return v
}

// CountParts returns the head of the next batch, which holds a part of each shard in parts, and counts besides it some
// of held in turn. totals, by shard up to RaftPart, is brought up to date.
func CountParts(start, number uint64, parts, held []int, totals []uint64) BatchHead {
	h := BatchHead{Start: start, Number: number}
	for _, s := range parts {
		totals[s]++
		at := slices.IndexFunc(h.Counts, func(c PartCount) bool { return c.Shard == s })
		if at < 0 {
			at, h.Counts = len(h.Counts), append(h.Counts, PartCount{Shard: s})
		}
		h.Counts[at] = PartCount{s, h.Counts[at].Held + 1, totals[s]}
	}
	own := len(h.Counts)
	for i := range min(CountedShards, len(held)+1) {
		s, at := RaftPart, (int(number%(1<<32))*CountedShards+i)%(len(held)+1)
		if at < len(held) {
			s = held[at]
		}
		if !slices.ContainsFunc(h.Counts[:own], func(c PartCount) bool { return c.Shard == s }) {
			h.Counts = append(h.Counts, PartCount{s, 0, totals[s]})
		}
	}
	return h
}

// Mark notes in a store's folder that its data of a shard is damaged: of which store's which copy of the shard that was
// found, and why. A copy gets a number when it is made that no other of the store has.
type Mark struct {
	Store  uint64 `json:"store"` // member id, of any generation
	Copy   uint32 `json:"copy"`
	Reason string `json:"reason"`
	// Accepting tells that an operator has accepted the loss, and that the copy is being replaced by what is left of it.
	// Such a mark holds for any copy.
	Accepting bool `json:"accepting,omitempty"`
}

// MarkHolds tells whether a mark speaks of the data that is there: a copy of store self with number at. A mark of
// another store, as from a folder that was put back, or of a copy that was dropped says nothing.
func MarkHolds(m Mark, self uint64, at uint32) bool {
	return StoreOf(m.Store) == StoreOf(self) && (m.Copy == at || m.Accepting) && m.Reason != ""
}

// JudgeEnd returns the verdict on a log when it is known, too, up to which batch the data of some shard goes: the log
// has everything before it was in the data, so one that ends before that has lost its end.
func JudgeEnd(v LogVerdict, held []int, data, log uint64) LogVerdict {
	if data > log {
		v = LogVerdict{DamagedEnd, append(slices.Clone(held), RaftPart)}
	}
	return v
}

// NextOpen returns how to open a store after so many tries have met damage: files that cannot be read are found at the
// opening, or, lenient, when they are asked for, one by one. ok is false if nothing of the store can be read: a new one
// must take its place. Any other failure, as a folder that another process has open or a disk that does not answer,
// says nothing of the data.
func NextOpen(failed int) (lenient, ok bool) { return failed > 0, failed < 2 }

// What is kept of the write log, and when the tables are brought up to it.
const (
	KeepLogFor = 2 * RememberFor        // ns after a segment's end: the request ids in it are read at a start
	FlushBytes = 32 << 20               // of the log that only memory has beside it
	FlushIdle  = 5 * 1000 * 1000 * 1000 // ns without a write
)

// FlushDue tells whether the tables are to be brought up to the log: so many bytes of it only memory has beside it, and
// nothing was written for so many ns.
func FlushDue(bytes, idle int64) bool { return bytes >= FlushBytes || bytes > 0 && idle >= FlushIdle }

// LogSegment is a part of the write log that is no longer written to.
type LogSegment struct {
	Last   uint64 // sequence of its last batch
	Bytes  int64
	Closed int64 // when it was written last, in ns
}

// PruneLog returns how many of the oldest segments nobody can need: the tables have what is in them, for good, the
// request ids in them are forgotten, and every backup is in sync, or what is kept for one that is not is more than keep
// bytes (rule R17).
func PruneLog(segments []LogSegment, flushed uint64, now int64, inSync bool, keep int64) (pruned int) {
	total := int64(0)
	for _, s := range segments {
		total += s.Bytes
	}
	for _, s := range segments {
		if s.Last > flushed || now-s.Closed < KeepLogFor || !inSync && total <= keep {
			break
		}
		total -= s.Bytes
		pruned++
	}
	return pruned
}
