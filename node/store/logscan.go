package store

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"math/bits"

	"tandem/shard"
)

// RocksDB's log format (db/log_format.h): blocks of 32 KiB, and in each of them fragments of records with a masked
// CRC32C, a length and a type. A fragment never crosses a block; up to six bytes at a block's end are zero.
const (
	logBlock     = 32 << 10
	fragmentHead = 7
	crcMask      = 0xa282ead8

	fragmentFull   = 1
	fragmentFirst  = 2
	fragmentMiddle = 3
	fragmentLast   = 4
)

// batchHeadMark is the first byte of the LogData record that begins each batch; it tells it from a shard's header, and
// is its version.
const batchHeadMark = 0x83

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// LogRecord is a record of a log file, or a place at which there is none that can be read.
type LogRecord struct {
	batch  []byte
	bad    bool // nothing can be read here
	cut    bool // the file ends here
	begun  bool // a record begins here, and its end is missing
	passed bool // the store passes the record over
}

// logScan is what the reading of a log file has come to: its records, and the one that is being put together.
type logScan struct {
	records []LogRecord
	batch   []byte
	open    bool // a record has begun
	passed  bool // the store will pass over a fragment of it
}

// ScanLog returns the records of a log file's bytes, in order. It sees what RocksDB applies at a start, and also what
// that passes over: behind a bad place it drops the rest of the block.
func ScanLog(file []byte) []LogRecord {
	scan := logScan{}
	for start := 0; start < len(file); start += logBlock {
		block := file[start:min(start+logBlock, len(file))]
		at, passed := 0, false
		for at+fragmentHead <= len(block) {
			size := fragmentSize(block[at:])
			if size > 0 {
				scan = takeFragment(scan, block[at:at+size], passed)
				at += size
				continue
			}
			if !passed {
				scan = noteBad(scan, start+len(block) == len(file) && isCut(block[at:]))
			}
			passed, at = true, at+1
		}
		if len(block) < logBlock && at < len(block) && !passed { // the head of a fragment is cut off
			scan = noteBad(scan, true)
		}
	}
	if scan.open { // its end is cut off
		scan = noteBad(scan, true)
	}
	return scan.records
}

// fragmentSize returns the size of the fragment that b begins with, its head included, and 0 if it begins with none
// that is whole.
func fragmentSize(b []byte) int {
	kind, size := b[6], int(binary.LittleEndian.Uint16(b[4:]))
	if kind < fragmentFull || kind > fragmentLast || size > len(b)-fragmentHead {
		return 0
	}
	sum := crc32.Update(0, castagnoli, b[6:fragmentHead+size])
	if bits.RotateLeft32(sum, -15)+crcMask != binary.LittleEndian.Uint32(b) {
		return 0
	}
	return fragmentHead + size
}

// takeFragment adds a fragment to the record that is being put together, and that to the records when it is whole. What
// goes on with a record whose beginning is bad says nothing.
func takeFragment(scan logScan, fragment []byte, passed bool) logScan {
	kind := fragment[6]
	if kind == fragmentFull || kind == fragmentFirst {
		if scan.open { // its end is missing
			scan.records = append(scan.records, LogRecord{begun: true}, LogRecord{bad: true})
		}
		scan.batch, scan.open, scan.passed = nil, true, false
	}
	if !scan.open {
		return scan
	}
	scan.batch, scan.passed = append(scan.batch, fragment[fragmentHead:]...), scan.passed || passed
	if kind == fragmentFull || kind == fragmentLast {
		scan.records = append(scan.records, LogRecord{batch: scan.batch, passed: scan.passed})
		scan.open = false
	}
	return scan
}

// isCut tells whether b, the end of a file, is the beginning of a fragment that would go on behind it.
func isCut(b []byte) bool {
	kind, size := b[6], int(binary.LittleEndian.Uint16(b[4:]))
	return kind >= fragmentFull && kind <= fragmentLast && size > len(b)-fragmentHead
}

// noteBad notes a bad place, or that the file is cut off there, and before it that a record has begun whose end it is,
// if there is one.
func noteBad(scan logScan, cut bool) logScan {
	if scan.open {
		scan.records = append(scan.records, LogRecord{begun: true})
	}
	scan.open = false
	scan.records = append(scan.records, LogRecord{bad: !cut, cut: cut})
	return scan
}

// PiecesOf tells the core what the records of a log are. A record without a head is none of a shard's or Raft's, and
// says nothing.
func PiecesOf(records []LogRecord) []shard.LogPiece {
	pieces := []shard.LogPiece{}
	for i := range records {
		r := &records[i]
		piece, ours := shard.LogPiece{Kind: shard.WholeBatch}, true
		var err error
		switch {
		case r.bad:
			piece.Kind = shard.BadPlace
		case r.cut:
			piece.Kind = shard.CutPlace
		case r.begun:
			piece.Kind = shard.BegunBatch
		default:
			piece.Head, ours, err = readBatchHead(r.batch)
		}
		switch {
		case err != nil:
			piece = shard.LogPiece{Kind: shard.BadPlace}
		case r.passed:
			piece.Kind = shard.PassedBatch
		}
		if ours {
			pieces = append(pieces, piece)
		}
	}
	return pieces
}

// appendBatchHead appends the LogData record of a head to b: start, number, and by shard how many parts the batch and
// the log hold, varints.
func appendBatchHead(b []byte, h shard.BatchHead) []byte {
	body := make([]byte, 0, 16+8*len(h.Counts))
	body = binary.AppendUvarint(binary.AppendUvarint(append(body, batchHeadMark), h.Start), h.Number)
	body = binary.AppendUvarint(body, uint64(len(h.Counts)))
	for _, c := range h.Counts {
		body = binary.AppendUvarint(binary.AppendUvarint(body, uint64(c.Shard)), c.Held)
		body = binary.AppendUvarint(body, c.Total)
	}
	return append(binary.AppendUvarint(append(b, tagLogData), uint64(len(body))), body...)
}

// readBatchHead reads the head of a batch, RocksDB's own head included. ours is false for a batch without one, as the
// first writes of a start are. Error: ErrBatch.
func readBatchHead(batch []byte) (h shard.BatchHead, ours bool, err error) {
	if len(batch) <= batchHead || batch[batchHead] != tagLogData {
		return h, false, nil
	}
	size, n := binary.Uvarint(batch[batchHead+1:])
	rest := batch[batchHead+1+max(n, 0):]
	if n <= 0 || size == 0 || size > uint64(len(rest)) || rest[0] != batchHeadMark {
		return h, false, nil
	}
	numbers, body := []uint64{}, rest[1:size]
	for len(body) > 0 {
		value, n := binary.Uvarint(body)
		if n <= 0 {
			return h, true, fmt.Errorf("%w: a batch's head with %d odd bytes", ErrBatch, len(body))
		}
		numbers, body = append(numbers, value), body[n:]
	}
	if len(numbers) < 3 || numbers[2] > math.MaxInt16 || uint64(len(numbers)) != 3+3*numbers[2] {
		return h, true, fmt.Errorf("%w: a batch's head of %d numbers", ErrBatch, len(numbers))
	}
	h.Start, h.Number = numbers[0], numbers[1]
	for rest := numbers[3:]; len(rest) > 0; rest = rest[3:] {
		h.Counts = append(h.Counts, shard.PartCount{Shard: int(rest[0]), Held: rest[1], Total: rest[2]})
	}
	return h, true, nil
}
