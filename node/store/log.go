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
	logFolder     = "wal"         // of the data folder: the segments of the write log
	segmentSuffix = ".wal"        // of a segment's name, before which stands its number
	spareName     = "spare"       // a segment that nobody needs any more, to be written over
	segmentBytes  = 4 << 20       // of a segment, but for one with a batch that is larger
	directFlags   = unix.O_DIRECT // what is written goes to the disk, past the page cache
	syncedFlags   = unix.O_DSYNC  // and is there when the write returns
	writeFlags    = unix.O_RDWR   // the disk's cache takes part in both
	spareFlags    = unix.O_CREAT | unix.O_TRUNC | unix.O_WRONLY
)

// Log is the write log as the one who writes it knows it. AppendLog takes and returns it.
type Log struct {
	folder      string
	file        file
	open        bool // file is the segment that is written; else the next append begins one
	direct      bool // the file takes direct writes that are synced by themselves; else each is followed by a sync
	incarnation uint64
	segment     uint64 // number of the last segment
	blocks      int    // that the segment has
	next        int    // block of it that is written next
	sequence    uint64 // of the last batch
	flushed     uint64 // the tables have all batches up to it, for good
	header      uint64 // what the header of the segment says of that
	buffer      []byte // aligned
	written     Written
}

func segmentPath(folder string, number uint64) string {
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

// AppendLog writes a batch, as JoinParts makes it, behind the last one, and gives it the next sequence. When it returns
// the batch is on the disk. After an error the log may not be written any more: what it took of the batch is not known.
// Error: ErrStore, or of the file system.
func AppendLog(l Log, batch []byte) (Log, error) {
	l.sequence++
	binary.LittleEndian.PutUint64(batch, l.sequence)
	need := wal.BlocksOf(len(batch))
	if !l.open || l.next+need > l.blocks {
		var err error
		if l, err = beginSegment(l, need+1); err != nil {
			return l, err
		}
	}
	if size := need * wal.BlockSize; cap(l.buffer) < size {
		l.buffer = alignedBytes(2 * size)
	}
	l.buffer = wal.AppendBatch(l.buffer[:0], l.incarnation, l.segment, l.sequence, batch)
	err := writeTo(l.file, l.buffer, int64(l.next)*wal.BlockSize)
	if err == nil && !l.direct {
		err = syncFile(l.file)
	}
	l.next += need
	return l, err
}

// beginSegment closes the segment that was written and begins the next one, with at least so many blocks: over a spare
// one, where there is one that is large enough. It counts only when its name and its header are on the disk.
func beginSegment(l Log, need int) (Log, error) {
	if l.open {
		closeFile(l.file)
	}
	l.open = false
	blocks := max(need, segmentBytes/wal.BlockSize)
	folder := filepath.Join(l.folder, logFolder)
	spare, path := filepath.Join(folder, spareName), segmentPath(l.folder, l.segment+1)
	info, err := os.Stat(spare)
	if err != nil || info.Size() != int64(blocks)*wal.BlockSize {
		err = makeSpare(spare, blocks)
	}
	if err == nil {
		err = errors.Join(os.Rename(spare, path), SyncFolder(folder))
	}
	if err != nil {
		return l, fmt.Errorf("%w: beginning a segment of the write log: %w", ErrStore, err)
	}
	l.segment, l.blocks, l.next = l.segment+1, blocks, 1
	l.header = l.flushed
	if cap(l.buffer) < wal.BlockSize {
		l.buffer = alignedBytes(256 << 10)
	}
	l.buffer = wal.AppendHeader(l.buffer[:0], wal.Header{Incarnation: l.incarnation, Segment: l.segment,
		Flushed: l.flushed, Blocks: blocks})
	l.file, err = openFile(path, writeFlags|directFlags|syncedFlags)
	l.direct = err == nil
	if err == nil {
		err = writeTo(l.file, l.buffer, 0)
	}
	if errors.Is(err, unix.EINVAL) { // this file system takes no direct writes
		if l.direct {
			closeFile(l.file)
		}
		l.direct = false
		if l.file, err = openFile(path, writeFlags); err == nil {
			err = errors.Join(writeTo(l.file, l.buffer, 0), syncFile(l.file))
		}
	}
	l.open = err == nil
	return l, err
}

// makeSpare makes a segment of so many blocks, filled with zeros and synced: what is written over it later changes no
// file's size and takes no new place on the disk.
func makeSpare(path string, blocks int) error {
	f, err := openFile(path, spareFlags)
	if err != nil {
		return err
	}
	zero := make([]byte, min(blocks, 256)*wal.BlockSize)
	for at, size := int64(0), int64(blocks)*wal.BlockSize; at < size && err == nil; at += int64(len(zero)) {
		err = writeTo(f, zero[:min(int64(len(zero)), size-at)], at)
	}
	err = errors.Join(err, syncFile(f))
	closeFile(f)
	return err
}

// RecoverLog reads the write log of a data folder. Error: of the file system.
func RecoverLog(folder string) (wal.Recovery, error) {
	numbers, err := segmentsIn(folder)
	headers := make([]wal.Header, len(numbers))
	for i, n := range numbers {
		if err == nil {
			headers[i], err = readHeader(segmentPath(folder, n))
		}
	}
	r := wal.Begin(headers)
	for i, n := range numbers {
		if err != nil {
			break
		}
		var segment []byte
		if segment, err = readWhole(segmentPath(folder, n)); err == nil {
			r = wal.Add(r, n, headers[i], segment)
		}
	}
	return wal.End(r), err
}

// readHeader reads the header of a segment; it is zero where there is none. Error: of the file system.
func readHeader(path string) (wal.Header, error) {
	f, err := openFile(path, os.O_RDONLY)
	if err != nil {
		return wal.Header{}, err
	}
	defer closeFile(f)
	block := make([]byte, wal.BlockSize)
	n, err := readFrom(f, block, 0)
	h, _ := wal.ReadHeader(block[:n])
	return h, err
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
	l := Log{folder: folder, incarnation: r.Incarnation, sequence: r.Last, flushed: r.Last,
		written: firstWritten(start, held)}
	if l.incarnation == 0 {
		l.incarnation = rand.Uint64() | 1
	}
	if n := len(r.Segments); n > 0 {
		l.segment = r.Segments[n-1].Number
	}
	err := os.MkdirAll(filepath.Join(folder, logFolder), 0o755)
	return l, errors.Join(err, SyncFolder(folder))
}

// StoreParts makes a batch of parts, in b, and writes it to the log, synced, and then to the tables. After an error
// nothing more may be written. Errors: ErrStore, or of the file system.
func StoreParts(db DB, l Log, parts []Part, b []byte) (Log, []byte, error) {
	written, head := headPart(l.written, parts)
	group := append(append(make([]Part, 0, len(parts)+2), head), parts...)
	b = JoinParts(b, append(group, AppliedPart(db, parts, l.sequence+1)))
	l, err := AppendLog(l, b)
	if l.written = written; err == nil {
		err = WriteBatch(db, b)
	}
	return l, b, err
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

// NoteFlushed returns the log that knows that the tables have all batches up to a sequence, for good. The next segment
// says so.
func NoteFlushed(l Log, sequence uint64) Log {
	l.flushed = sequence
	return l
}

// NextSegment begins a segment, so that those before it can be pruned. Error: as AppendLog.
func NextSegment(l Log) (Log, error) { return beginSegment(l, 1) }

// PruneSegment removes a segment, or leaves it to be written over. Error: of the file system.
func PruneSegment(folder string, number uint64, spare bool) error {
	path := segmentPath(folder, number)
	if spare {
		return os.Rename(path, filepath.Join(folder, logFolder, spareName))
	}
	return os.Remove(path)
}

// DropSpare removes the segment that waits to be written over, if there is one. Error: of the file system.
func DropSpare(folder string) error {
	err := os.Remove(filepath.Join(folder, logFolder, spareName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
