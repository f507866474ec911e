package store

import (
	"encoding/binary"
	"errors"
	"fmt"

	"tandem/shard"
	"tandem/shard/views"
)

// ErrBatch is the class of a WAL record that this version did not write.
var ErrBatch = errors.New("unknown WAL record")

// The record tags of RocksDB's write batch format (db/dbformat.h, db/write_batch.cc): a batch is a fixed64 sequence and
// a fixed32 count, then tagged records with varint lengths.
const (
	tagDelete       = 0x00
	tagPut          = 0x01
	tagLogData      = 0x03
	tagFamilyDelete = 0x04
	tagFamilyPut    = 0x05
	tagFamilyRange  = 0x0e // deletes all keys from one to below another
	batchHead       = 12
)

// A LogData header begins with a fixed part of partHead bytes: its version, shard, epoch, first LSN, stamp, number of
// entries. For each entry follow partEntry bytes: request id, result, wall time (ms since 1970). Numbers are
// big-endian.
const (
	headVersion = 3
	partHead    = 1 + 4 + 8 + 8 + 8 + 4
	partEntry   = 16 + 1 + 8
)

// MetaPrefix is the first byte of all keys of a shard's meta.
const MetaPrefix = 'm'

// The keys of a shard's meta.
const (
	MetaBucket = "mc" // and the bucket: number of its users and LSN of its last write, varints
	MetaEpoch  = "mh" // and the epoch, 8 bytes: LSN of its first write, 8 bytes
	MetaWindow = "mw" // what a snapshot brought of the request-id window
	// the sequence of the last batch of the write log that the shard's data has, 8 bytes
	MetaApplied = "ma"
)

// raftApplied is what MetaApplied is, beside Raft's saved entries.
const raftApplied = "applied"

// Buckets holds a number for each of a shard's buckets: of its users, or the LSN of its last write.
type Buckets [256]uint64

// Part is one shard's share of a batch, or the view service's: its records serialized, and how many they are.
type Part struct {
	Shard   int
	Last    uint64 // LSN of its last entry
	Records uint32
	Bytes   []byte
	Wiped   bool            // it drops all data of the shard
	Renewed bool            // and its files, which no batch can do
	Raft    bool            // it is of Raft's saved state, and of no shard
	Done    chan<- struct{} // of the view service's share, one slot: told when it is stored; nil for a shard's
}

// Logged is one shard's share of a batch, read back from the WAL.
type Logged struct {
	Shard    int
	Sequence uint64 // of the batch
	Stamp    int64  // ns on the boot-time clock of when it was stored
	Entries  []shard.Entry
	Err      error // the log could not be read on
}

func appendBytes(b, value []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(value))), value...)
}

// EntriesPart serializes entries of one shard and one epoch: the LogData header, the puts and deletes of the users,
// then the meta: count and last LSN of the buckets that changed, of which the highest LSN is the shard's position, and
// the beginning of the epoch if these are its first entries (rule R11). It brings the counts up to date.
func EntriesPart(l shard.Layout, s int, family uint32, entries []shard.Entry, begins bool, counts *Buckets,
	now int64) Part {
	last := &entries[len(entries)-1]
	head := append(make([]byte, 0, partHead+partEntry*len(entries)), headVersion)
	head = binary.BigEndian.AppendUint32(head, uint32(s))
	head = binary.BigEndian.AppendUint64(head, last.Epoch)
	head = binary.BigEndian.AppendUint64(head, entries[0].LSN)
	head = binary.BigEndian.AppendUint64(head, uint64(now))
	head = binary.BigEndian.AppendUint32(head, uint32(len(entries)))
	for i := range entries {
		head = append(append(head, entries[i].Request[:]...), entries[i].Result)
		head = binary.BigEndian.AppendUint64(head, uint64(entries[i].Wall))
	}
	p := Part{Shard: s, Last: last.LSN}
	b := appendBytes(append(make([]byte, 0, 512), tagLogData), head)
	put := binary.AppendUvarint([]byte{tagFamilyPut}, uint64(family))
	var key, value []byte
	var changed [256]uint64 // by bucket, LSN of its last entry
	for i := range entries {
		n := &entries[i]
		_, bucket := shard.ShardOf(l, n.ID)
		key = shard.AppendKey(key[:0], bucket, n.ID)
		changed[bucket] = n.LSN
		p.Records++
		if n.Result == shard.Deleted {
			counts[bucket]--
			b = appendBytes(binary.AppendUvarint(append(b, tagFamilyDelete), uint64(family)), key)
			continue
		}
		if n.Result == shard.Created {
			counts[bucket]++
		}
		value = appendValue(value[:0], n)
		b = appendBytes(appendBytes(append(b, put...), key), value)
	}
	for bucket, lsn := range changed {
		if lsn > 0 {
			key = append(append(key[:0], MetaBucket...), byte(bucket))
			value = appendBucket(value[:0], counts[bucket], lsn)
			b = appendBytes(appendBytes(append(b, put...), key), value)
			p.Records++
		}
	}
	if begins {
		key = binary.BigEndian.AppendUint64(append(key[:0], MetaEpoch...), last.Epoch)
		value = binary.BigEndian.AppendUint64(value[:0], entries[0].LSN)
		b = appendBytes(appendBytes(append(b, put...), key), value)
		p.Records++
	}
	p.Bytes = b
	return p
}

// appendBucket appends the value of a bucket's key to b.
func appendBucket(b []byte, users, lsn uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, users), lsn)
}

// ReadBucket is the inverse of appendBucket; ok is false when the value is none.
func ReadBucket(value []byte) (users, lsn uint64, ok bool) {
	users, n := binary.Uvarint(value)
	if n <= 0 {
		return 0, 0, false
	}
	lsn, m := binary.Uvarint(value[n:])
	return users, lsn, m > 0 && n+m == len(value)
}

// SavedPart serializes changes of the saved entries of the view service, in their order. done is told when they are
// stored.
func SavedPart(family uint32, saved []views.SavedEntry, done chan<- struct{}) Part {
	p := Part{Records: uint32(len(saved)), Raft: true, Done: done}
	for i := range saved {
		f := &saved[i]
		tag := byte(tagFamilyPut)
		if f.Delete {
			tag = tagFamilyDelete
		}
		p.Bytes = binary.AppendUvarint(append(p.Bytes, tag), uint64(family))
		p.Bytes = append(binary.AppendUvarint(p.Bytes, uint64(len(f.Key))), f.Key...)
		if !f.Delete {
			p.Bytes = append(binary.AppendUvarint(p.Bytes, uint64(len(f.Value))), f.Value...)
		}
	}
	return p
}

// Written is what a start of the store has written to the log so far.
type Written struct {
	start  uint64
	number uint64   // of the last batch
	held   []int    // the shards that are counted
	totals []uint64 // parts, by shard up to shard.RaftPart
}

// firstWritten is what a start of the store that holds some shards has written when it begins.
func firstWritten(start uint64, held []int) Written {
	return Written{start: start, held: held, totals: make([]uint64, shard.RaftPart+1)}
}

// headPart returns the head of the batch that parts will make, and what is written when it is.
func headPart(w Written, parts []Part) (Written, Part) {
	shards := make([]int, len(parts))
	for i := range parts {
		if shards[i] = parts[i].Shard; parts[i].Raft {
			shards[i] = shard.RaftPart
		}
	}
	w.number++
	head := shard.CountParts(w.start, w.number, shards, w.held, w.totals)
	return w, Part{Bytes: appendBatchHead(nil, head)}
}

// AppliedPart serializes how far the data of the shards that parts are about, and of Raft, has come when they are
// written: to the batch with a sequence.
func AppliedPart(db DB, parts []Part, sequence uint64) Part {
	p, done := Part{}, [shard.RaftPart + 1]bool{}
	for i := range parts {
		s, family, key := parts[i].Shard, uint32(0), MetaApplied
		switch {
		case parts[i].Raft:
			s, family, key = shard.RaftPart, db.raftID, raftApplied
		case len(parts[i].Bytes) > 0 && db.families[s] != nil:
			family = db.ids[s]
		default:
			continue
		}
		if done[s] {
			continue
		}
		done[s] = true
		p.Bytes = append(binary.AppendUvarint(append(p.Bytes, tagFamilyPut), uint64(family)), byte(len(key)))
		p.Bytes = append(append(p.Bytes, key...), 8)
		p.Bytes = binary.BigEndian.AppendUint64(p.Bytes, sequence)
		p.Records++
	}
	return p
}

// JoinParts makes one batch of parts, in b.
func JoinParts(b []byte, parts []Part) []byte {
	b = append(b[:0], make([]byte, batchHead)...)
	records := uint32(0)
	for i := range parts {
		b = append(b, parts[i].Bytes...)
		records += parts[i].Records
	}
	binary.LittleEndian.PutUint32(b[8:], records)
	return b
}

// cutBytes splits a varint length and so many bytes off b.
func cutBytes(b []byte) (value, rest []byte, err error) {
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return nil, nil, fmt.Errorf("%w: expected a length within %d bytes", ErrBatch, len(b))
	}
	return b[n : n+int(size)], b[n+int(size):], nil
}

// ReadBatch reads the shares of the shards that are wanted (by shard; nil: all) back from a batch of the WAL. RocksDB
// may have merged batches, so a record belongs to the LogData header before it. Records of other column families are
// passed over wherever they stand: no key of theirs is a user's. Error: ErrBatch.
func ReadBatch(b []byte, wanted []bool) ([]Logged, error) {
	if len(b) < batchHead {
		return nil, fmt.Errorf("%w: %d bytes", ErrBatch, len(b))
	}
	var parts []Logged
	sequence, skip := binary.LittleEndian.Uint64(b), true // skip tells that the records are of no part that is wanted
	next := 0                                             // the last part's entry that the next user record completes
	for b = b[batchHead:]; len(b) > 0; {
		var key, value []byte
		var err error
		tag := b[0]
		b = b[1:]
		if tag == tagFamilyPut || tag == tagFamilyDelete || tag == tagFamilyRange {
			_, n := binary.Uvarint(b)
			b = b[max(n, 0):]
		}
		if key, b, err = cutBytes(b); err != nil {
			return nil, err
		}
		switch tag {
		case tagLogData:
			s, err := headShard(key)
			if err != nil {
				return nil, err
			}
			if skip = s < 0 || wanted != nil && (s >= len(wanted) || !wanted[s]); skip {
				continue
			}
			parts, next = append(parts, readHead(key, sequence)), 0
			continue
		case tagPut, tagFamilyPut, tagFamilyRange:
			if value, b, err = cutBytes(b); err != nil {
				return nil, err
			}
		case tagFamilyDelete, tagDelete:
		default:
			return nil, fmt.Errorf("%w: tag 0x%02x", ErrBatch, tag)
		}
		if skip || tag == tagPut || tag == tagDelete || tag == tagFamilyRange || next >= len(parts[len(parts)-1].Entries) {
			continue
		}
		id, isUser := shard.KeyID(key)
		if !isUser {
			continue
		}
		entry := &parts[len(parts)-1].Entries[next]
		next++
		entry.ID = id
		if tag == tagFamilyDelete {
			continue
		}
		r, err := DecodeValue(value)
		if err != nil {
			return nil, err
		}
		entry.Name, entry.Email = r.Name, r.Email
		entry.Group, entry.Epoch = r.Group, r.Epoch
	}
	return parts, nil
}

// SequenceBehind returns the sequence of the batch behind this one.
func SequenceBehind(b []byte) uint64 { return binary.LittleEndian.Uint64(b) + 1 }

// unapplied returns a batch of the records of another one that are of column families of which lacks says so; nil if
// there are none. Error: ErrBatch.
func unapplied(b []byte, lacks func(family uint32) bool) ([]byte, error) {
	if len(b) < batchHead {
		return nil, fmt.Errorf("%w: %d bytes", ErrBatch, len(b))
	}
	kept, records := make([]byte, batchHead, len(b)), uint32(0)
	for rest := b[batchHead:]; len(rest) > 0; {
		record, tag, family := rest, rest[0], uint64(0)
		rest = rest[1:]
		if tag == tagFamilyPut || tag == tagFamilyDelete || tag == tagFamilyRange {
			n := 0
			family, n = binary.Uvarint(rest)
			rest = rest[max(n, 0):]
		}
		var err error
		if _, rest, err = cutBytes(rest); err != nil {
			return nil, err
		}
		if tag == tagFamilyPut || tag == tagFamilyRange {
			if _, rest, err = cutBytes(rest); err != nil {
				return nil, err
			}
		}
		if tag != tagLogData && lacks(uint32(family)) {
			kept, records = append(kept, record[:len(record)-len(rest)]...), records+1
		}
	}
	if records == 0 {
		return nil, nil
	}
	binary.LittleEndian.PutUint32(kept[8:], records)
	return kept, nil
}

// headShard checks version and size of a LogData header and returns its shard, -1 if it is the head of the whole batch.
// Error: ErrBatch.
func headShard(head []byte) (int, error) {
	switch {
	case len(head) > 0 && head[0] == batchHeadMark:
		return -1, nil
	case len(head) > 0 && head[0] != headVersion:
		return 0, fmt.Errorf("%w: a header of version %d, expected version %d", ErrBatch, head[0], headVersion)
	}
	if len(head) < partHead {
		return 0, fmt.Errorf("%w: a header of %d bytes", ErrBatch, len(head))
	}
	if count := int(binary.BigEndian.Uint32(head[29:])); len(head) != partHead+partEntry*count {
		return 0, fmt.Errorf("%w: a header of %d bytes for %d entries", ErrBatch, len(head), count)
	}
	return int(binary.BigEndian.Uint32(head[1:])), nil
}

// readHead reads a LogData header that has been checked, of a batch with a sequence; of its entries request id, result,
// wall time and position are known then.
func readHead(head []byte, sequence uint64) Logged {
	part := Logged{Shard: int(binary.BigEndian.Uint32(head[1:])), Sequence: sequence,
		Stamp: int64(binary.BigEndian.Uint64(head[21:]))}
	epoch, first := binary.BigEndian.Uint64(head[5:]), binary.BigEndian.Uint64(head[13:])
	part.Entries = make([]shard.Entry, binary.BigEndian.Uint32(head[29:]))
	for i := range part.Entries {
		at := head[partHead+partEntry*i:]
		part.Entries[i] = shard.Entry{Request: shard.RequestID(at[:16]), Result: at[16], Epoch: epoch,
			LSN: first + uint64(i), Wall: int64(binary.BigEndian.Uint64(at[17:]))}
	}
	return part
}

// Total adds up the buckets of a shard.
func Total(counts Buckets) uint64 {
	sum := uint64(0)
	for _, n := range counts {
		sum += n
	}
	return sum
}
