package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"tandem/node/wal"
	"tandem/shard"
)

const (
	logFolder     = "wal"       // of the data folder: the segments of the write log
	segmentSuffix = ".wal"      // of a segment's name, before which stands its number
	spareName     = "spare.wal" // a segment that nobody needs any more, to be written over; pruning leaves or removes it
	makingName    = "new.wal"   // the segment that is being begun: nobody but who writes the log touches it
	segmentBytes  = 4 << 20     // of a segment, but for one with a batch that is larger
	spareFlags    = unix.O_CREAT | unix.O_TRUNC | unix.O_WRONLY
	// a write goes past the page cache, and is on the disk when it returns (open(2))
	directFlags = unix.O_RDWR | unix.O_DIRECT | unix.O_DSYNC
	cachedFlags = unix.O_RDWR // and is synced after it
)

// Log is the write log as the one who writes it knows it. Store takes and returns it.
type Log struct {
	folder   string
	file     file
	open     bool // file is the segment that is written; else the next append begins one
	direct   bool // the file takes direct writes that are synced by themselves; else each is followed by a sync
	logID    uint64
	segment  uint64 // number of the last segment
	blocks   int    // that the segment has
	next     int    // block of it that is written next
	sequence uint64 // of the last batch
	flushed  uint64 // the tables have all batches up to it, for good
	header   uint64 // what the header of the segment says of that
	buffer   []byte // aligned
	written  Written
}

// SegmentPath is where the segment with a number lies in a data folder.
func SegmentPath(folder string, number uint64) string {
	return filepath.Join(folder, logFolder, fmt.Sprintf("%010d%s", number, segmentSuffix))
}

// segmentsIn returns the numbers of the segments in a data folder, in order. Error: of the file system.
func segmentsIn(folder string) ([]uint64, error) {
	files, err := os.ReadDir(filepath.Join(folder, logFolder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	numbers := []uint64{}
	for _, f := range files {
		name, isSegment := strings.CutSuffix(f.Name(), segmentSuffix)
		if n, bad := strconv.ParseUint(name, 10, 64); isSegment && bad == nil {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// Storing is a group of parts on its way into the log and the tables.
type Storing struct {
	DB    DB
	Log   Log
	Parts []Part
	Batch []byte // made of them; its memory is used again
	Err   error
}

// storeStages bring a group of parts into the log and the tables.
var storeStages = [...]func(Storing) Storing{makeBatch, makeRoom, appendBatch, applyBatch}

// Store makes a batch of parts and writes it to the log, behind the last one, and then to the tables. When it returns
// the batch is on the disk. After an error nothing more may be written: what the log took of the batch is not known.
// Errors: ErrStore, or of the file system.
func Store(s Storing) Storing {
	for _, stage := range storeStages {
		if s.Err == nil {
			s = stage(s)
		}
	}
	return s
}

// makeBatch makes a batch of the parts, with the next sequence.
func makeBatch(s Storing) Storing {
	s.Log.sequence++
	written, head := headPart(s.Log.written, s.Parts)
	group := append(append(make([]Part, 0, len(s.Parts)+2), head), s.Parts...)
	s.Batch = JoinParts(s.Batch, append(group, AppliedPart(s.DB, s.Parts, s.Log.sequence)))
	binary.LittleEndian.PutUint64(s.Batch, s.Log.sequence)
	s.Log.written = written
	return s
}

// makeRoom begins a segment if the batch does not fit into the one that is written.
func makeRoom(s Storing) Storing {
	need := wal.BlocksOf(len(s.Batch))
	if !s.Log.open || s.Log.next+need > s.Log.blocks {
		s.Log, s.Err = NextSegment(s.Log, need+1)
	}
	return s
}

// appendBatch writes the batch to the log.
func appendBatch(s Storing) Storing {
	l, need := s.Log, wal.BlocksOf(len(s.Batch))
	if size := need * wal.BlockSize; cap(l.buffer) < size {
		l.buffer = alignedBytes(2 * size)
	}
	l.buffer = wal.AppendBatch(l.buffer[:0], l.logID, l.segment, l.sequence, s.Batch)
	s.Err = writeTo(l.file, l.buffer, int64(l.next)*wal.BlockSize)
	if s.Err == nil && !l.direct {
		s.Err = syncFile(l.file)
	}
	l.next += need
	s.Log = l
	return s
}

// applyBatch writes the batch to the tables.
func applyBatch(s Storing) Storing {
	s.Err = WriteBatch(s.DB, s.Batch)
	return s
}

// recovering is the reading of a log.
type recovering struct {
	folder   string
	numbers  []uint64 // of its segments
	headers  []wal.Header
	recovery wal.Recovery
	err      error
}

// recoverStages read the write log of a data folder.
var recoverStages = [...]func(recovering) recovering{listSegments, readHeaders, scanSegments}

// RecoverLog reads the write log of a data folder. Error: of the file system.
func RecoverLog(folder string) (wal.Recovery, error) {
	r := recovering{folder: folder}
	for _, stage := range recoverStages {
		if r.err == nil {
			r = stage(r)
		}
	}
	return wal.End(r.recovery), r.err
}

func listSegments(r recovering) recovering {
	r.numbers, r.err = segmentsIn(r.folder)
	return r
}

// readHeaders reads the headers of all segments; one that cannot be read stays zero.
func readHeaders(r recovering) recovering {
	r.headers = make([]wal.Header, len(r.numbers))
	block := make([]byte, wal.BlockSize)
	for i, number := range r.numbers {
		f, err := openFile(SegmentPath(r.folder, number), os.O_RDONLY)
		if r.err = err; err != nil {
			return r
		}
		n, err := readFrom(f, block, 0)
		closeFile(f)
		if r.err = err; err != nil {
			return r
		}
		if h, _ := wal.ReadHeader(block[:n]); h.Segment == number { // else what an older use of the file has left
			r.headers[i] = h
		}
	}
	return r
}

// scanSegments reads one segment after another.
func scanSegments(r recovering) recovering {
	r.recovery = wal.Begin(r.headers)
	for i, number := range r.numbers {
		bytes, err := readWhole(SegmentPath(r.folder, number))
		if r.err = err; err != nil {
			return r
		}
		h := r.headers[i]
		if h.LogID != r.recovery.LogID {
			h = wal.Header{}
		}
		pieces, last := wal.Scan(bytes, wal.Classify(bytes, r.recovery.LogID, number, h.Blocks))
		r.recovery = wal.Add(r.recovery, wal.Segment{Number: number, Header: h, Bytes: int64(len(bytes)),
			Empty: h.LogID == 0 && isZero(bytes), Pieces: pieces, Last: last})
	}
	return r
}

func isZero(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}

// LogPieces tells the core what a recovery has found: of each batch its head, of everything else what kind of place it
// is. A batch without a head that can be read is a bad place.
func LogPieces(found []wal.Piece) []shard.LogPiece {
	kinds := map[wal.PieceKind]shard.LogPieceKind{wal.Whole: shard.WholeBatch, wal.Begun: shard.BegunBatch,
		wal.Bad: shard.BadPlace, wal.Cut: shard.CutPlace}
	pieces := make([]shard.LogPiece, len(found))
	for i := range found {
		pieces[i].Kind = kinds[found[i].Kind]
		if found[i].Kind != wal.Whole {
			continue
		}
		head, has, err := readBatchHead(found[i].Batch)
		if pieces[i].Head = head; err != nil || !has {
			pieces[i].Kind = shard.BadPlace
		}
	}
	return pieces
}

// BeginLog returns the log of a data folder as this start of the store, which holds some shards, writes it: behind what
// was recovered, of which the tables have everything by now. The first append begins a segment. Error: of the file
// system.
func BeginLog(folder string, r wal.Recovery, start uint64, held []int) (Log, error) {
	l := Log{folder: folder, logID: r.LogID, sequence: r.Last, flushed: r.Last,
		written: firstWritten(start, held)}
	if l.logID == 0 {
		l.logID = rand.Uint64() | 1
	}
	if n := len(r.Segments); n > 0 {
		l.segment = r.Segments[n-1].Number
	}
	err := os.MkdirAll(filepath.Join(folder, logFolder), 0o755)
	return l, errors.Join(err, SyncFolder(folder))
}

// LogState is what others may know of the log.
type LogState struct {
	Sequence uint64 // of the last batch
	Segment  uint64 // number of the segment that is written; 0 before the first append
	Flushed  uint64 // the header of that segment says that the tables have all batches up to it
	Bytes    int64  // of the segment
	Unused   bool   // no batch is in it yet
}

// StateOf returns what others may know of the log.
func StateOf(l Log) LogState {
	return LogState{l.sequence, l.segment, l.header, int64(l.blocks) * wal.BlockSize, l.next <= 1}
}

// LogBytes returns how many bytes of the log a batch takes.
func LogBytes(batch []byte) int64 { return int64(wal.BlocksOf(len(batch))) * wal.BlockSize }

// NoteFlushed returns the log that knows that the tables have all batches up to a sequence, for good. The next segment
// says so.
func NoteFlushed(l Log, sequence uint64) Log {
	l.flushed = sequence
	return l
}
