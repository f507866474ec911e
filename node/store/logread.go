package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"tandem/node/wal"
)

// windowBytes is how much of a segment is read at a time.
const windowBytes = 64 * wal.BlockSize

// ErrLogDamaged is the class of a place of the write log that cannot be read and has batches behind it.
var ErrLogDamaged = errors.New("the write log is damaged")

// LogReader is an open reading of the write log. It must be closed.
type LogReader struct {
	folder string
	file   file
	open   bool
	logID  uint64
	number uint64 // of the segment that is read, or is to be opened next
	next   int    // the block with which the next batch begins
	window []byte // what was read of the segment from there on
	last   uint64 // sequence of the last batch that was read
}

// opening is a reading of the log that is being opened.
type opening struct {
	reader  LogReader
	from    uint64   // sequence that is looked for
	numbers []uint64 // of the segments
	at      int      // of them, the one to look into
	found   bool
	err     error
}

// openStages find the segment that holds a sequence; then seekStages are done, segment by segment, until the batch is
// found.
var (
	openStages = [...]func(opening) opening{listForReading, chooseSegment}
	seekStages = [...]func(opening) opening{openSegment, seekBatch}
)

// OpenLog opens the write log at the batch with a sequence, or at the oldest one after it that is left and can be read.
// Error: ErrStore, or of the file system.
func OpenLog(db DB, from uint64) (LogReader, error) {
	o := opening{reader: LogReader{folder: db.folder, number: 1}, from: from}
	for _, stage := range openStages {
		if o.err == nil {
			o = stage(o)
		}
	}
	for o.err == nil && !o.found && o.at < len(o.numbers) {
		for _, stage := range seekStages {
			if o.err == nil {
				o = stage(o)
			}
		}
	}
	if o.err != nil {
		return LogReader{}, fmt.Errorf("%w: opening the write log at %d: %w", ErrStore, from, o.err)
	}
	return o.reader, nil
}

func listForReading(o opening) opening {
	o.numbers, o.err = segmentsIn(o.reader.folder)
	return o
}

// chooseSegment finds the last segment that begins with a batch before the one that is looked for.
func chooseSegment(o opening) opening {
	head := make([]byte, 2*wal.BlockSize)
	for low, high := 0, len(o.numbers); low < high; {
		middle := (low + high) / 2
		first := uint64(0)
		f, err := openFile(SegmentPath(o.reader.folder, o.numbers[middle]), os.O_RDONLY)
		if err == nil {
			n, bad := 0, error(nil)
			n, bad = readFrom(f, head, 0)
			closeFile(f)
			first, err = wal.FirstSequence(head[:n]), bad
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			o.err = err
			return o
		}
		if first == 0 || first > o.from {
			high = middle
		} else {
			low, o.at = middle+1, middle
		}
	}
	return o
}

// openSegment opens the segment that is to be looked into.
func openSegment(o opening) opening {
	r := o.reader
	if r.open {
		closeFile(r.file)
	}
	r.open, r.number = false, o.numbers[o.at]
	r.file, o.err = openFile(SegmentPath(r.folder, r.number), os.O_RDONLY)
	if o.err == nil {
		block := make([]byte, wal.BlockSize)
		n, err := readFrom(r.file, block, 0)
		h, _ := wal.ReadHeader(block[:n])
		r.open, r.logID, o.err = true, h.LogID, err
	}
	if errors.Is(o.err, fs.ErrNotExist) { // it was pruned just now
		o.err = nil
	}
	r.next, r.window = 1, nil
	o.reader = r
	return o
}

// seekBatch finds the first whole batch from the sequence on in the open segment. In the last segment a batch that is
// not there yet is looked for behind all that are.
func seekBatch(o opening) opening {
	r := o.reader
	o.at++
	if !r.open {
		return o
	}
	segment, err := readWhole(SegmentPath(r.folder, r.number))
	if o.err = err; err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			o.err = nil
		}
		return o
	}
	pieces, _ := wal.Scan(segment, wal.Classify(segment, r.logID, r.number, 0))
	for _, p := range pieces {
		if p.Kind != wal.Whole {
			continue
		}
		if p.Sequence >= o.from {
			r.next, o.found = p.Block, true
			break
		}
		r.next, r.last = p.Block+wal.BlocksOf(len(p.Batch)), p.Sequence
	}
	o.reader = r
	return o
}

// CloseLog closes an open reading; of none there is nothing to close.
func CloseLog(r LogReader) {
	if r.open {
		closeFile(r.file)
	}
}

// reading is a batch that is being read.
type reading struct {
	reader LogReader
	more   bool // there is another segment behind the open one
	batch  []byte
	done   bool
	err    error
}

// readStages read a batch, or find that there is none: they are done until one of them says so.
var readStages = [...]func(reading) reading{openNext, takeFirst, readWindow, takeFirst, lookBehind}

// NextBatch reads the next batch of the write log, and returns nil at its end, which may move. Errors: ErrStore,
// ErrLogDamaged, or of the file system.
func NextBatch(r LogReader) (LogReader, []byte, error) {
	s := reading{reader: r}
	for !s.done && s.err == nil {
		for _, stage := range readStages {
			if !s.done && s.err == nil {
				s = stage(s)
			}
		}
	}
	return s.reader, s.batch, s.err
}

// openNext opens the next segment if none is open. Where there is none the log ends.
func openNext(s reading) reading {
	if s.reader.open {
		return s
	}
	o := openSegment(opening{reader: s.reader, numbers: []uint64{s.reader.number}})
	s.reader, s.err, s.done = o.reader, o.err, !o.reader.open
	return s
}

// takeFirst takes the batch that the window begins with, if one is whole there.
func takeFirst(s reading) reading {
	r := s.reader
	next := wal.First(r.window, r.logID, r.number)
	if next.Blocks > 0 {
		r.window, r.next, r.last = r.window[next.Blocks*wal.BlockSize:], r.next+next.Blocks, next.Sequence
		s.reader, s.batch, s.done = r, next.Batch, true
	}
	return s
}

// readWindow reads the open segment from the next batch on, as much as that needs. Whether there is another segment is
// looked for before: nothing comes into this one after that one was begun.
func readWindow(s reading) reading {
	r := s.reader
	_, missing := os.Stat(SegmentPath(r.folder, r.number+1))
	s.more = missing == nil
	b := make([]byte, windowBytes)
	n, err := readFrom(r.file, b, int64(r.next)*wal.BlockSize)
	if next := wal.First(b[:n], r.logID, r.number); err == nil && next.Blocks == 0 && next.Want*wal.BlockSize > n {
		b = make([]byte, next.Want*wal.BlockSize)
		n, err = readFrom(r.file, b, int64(r.next)*wal.BlockSize)
	}
	r.window, s.err = b[:n], err
	s.reader = r
	return s
}

// lookBehind tells the end of the log, or of a segment, from a place that cannot be read: that has batches behind it.
// The append that a process before has not ended, of which the next segment says that it is void, is an end. Error:
// ErrLogDamaged, or ErrStore if the segment is no longer what it was.
func lookBehind(s reading) reading {
	r := s.reader
	path, rest := SegmentPath(r.folder, r.number), r.window // of the segment that is written the window does
	if s.more {
		segment, err := readWhole(path)
		if errors.Is(err, fs.ErrNotExist) {
			s.err = fmt.Errorf("%w: a segment of the write log was pruned while it was read", ErrStore)
			return s
		}
		if s.err = err; err != nil {
			return s
		}
		rest = segment[min(r.next*wal.BlockSize, len(segment)):]
	}
	_, behind := wal.Scan(rest, wal.Classify(rest, r.logID, r.number, 0))
	first := wal.First(rest, r.logID, r.number)
	void := false
	if s.more && behind == r.last+1 {
		next, bad := readWhole(SegmentPath(r.folder, r.number+1))
		h, ok := wal.ReadHeader(next)
		void = bad == nil && ok && h.Flushed >= behind
	}
	switch {
	case first.Blocks > 0: // it has come just now
		r.window = nil
	case s.more && behind > r.last && !void, behind > r.last+1:
		s.err = fmt.Errorf("%w: behind batch %d, in %s", ErrLogDamaged, r.last, path)
	case s.more:
		closeFile(r.file)
		r.open, r.number, r.window = false, r.number+1, nil
	default:
		r.window, s.done = nil, true
	}
	s.reader = r
	return s
}
