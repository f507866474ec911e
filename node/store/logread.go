package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sort"

	"tandem/node/wal"
)

// windowBytes is how much of a segment is read at a time.
const windowBytes = 64 * wal.BlockSize

// LogReader is an open reading of the write log. It must be closed.
type LogReader struct {
	folder      string
	file        file
	open        bool
	incarnation uint64
	number      uint64 // of the segment that is read, or is to be opened next
	next        int    // the block with which the next batch begins
	window      []byte // what was read of the segment from there on
	last        uint64 // sequence of the last batch that was read
}

// OpenLog opens the write log at the batch with a sequence, or at the oldest one after it that is left and can be read.
// Error: ErrStore, or of the file system.
func OpenLog(db DB, from uint64) (LogReader, error) {
	r := LogReader{folder: db.folder}
	numbers, err := segmentsIn(db.folder)
	if err != nil || len(numbers) == 0 {
		r.number = 1
		return r, err
	}
	firsts := make([]uint64, len(numbers))
	at := sort.Search(len(numbers), func(i int) bool {
		if err == nil {
			firsts[i], err = firstIn(segmentPath(db.folder, numbers[i]))
		}
		return firsts[i] == 0 || firsts[i] > from
	})
	for at = max(at-1, 0); at < len(numbers) && err == nil; at++ {
		if r, err = openSegment(r, numbers[at]); err != nil {
			break
		}
		if r, err = seek(r, from); err != nil || r.next > 0 || at == len(numbers)-1 {
			break
		}
		CloseLog(r)
	}
	if err != nil {
		return LogReader{}, fmt.Errorf("%w: opening the write log at %d: %w", ErrStore, from, err)
	}
	r.next = max(r.next, 1)
	return r, nil
}

// firstIn returns the sequence of the batch with which a segment begins; 0 if none can be read. Error: of the file
// system.
func firstIn(path string) (uint64, error) {
	f, err := openFile(path, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer closeFile(f)
	b := make([]byte, 2*wal.BlockSize)
	n, err := readFrom(f, b, 0)
	return wal.FirstSequence(b[:n]), err
}

// openSegment opens the segment with a number.
func openSegment(r LogReader, number uint64) (LogReader, error) {
	f, err := openFile(segmentPath(r.folder, number), os.O_RDONLY)
	if err != nil {
		return r, err
	}
	block := make([]byte, wal.BlockSize)
	n, err := readFrom(f, block, 0)
	h, _ := wal.ReadHeader(block[:n])
	r.file, r.open, r.number, r.incarnation, r.next, r.window = f, true, number, h.Incarnation, 0, nil
	return r, err
}

// seek finds in an open segment the first whole batch from a sequence on. next stays 0 if there is none.
func seek(r LogReader, from uint64) (LogReader, error) {
	segment, err := readWhole(segmentPath(r.folder, r.number))
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	pieces, _ := wal.Scan(segment, r.incarnation, r.number, 0)
	for _, p := range pieces {
		if p.Kind == wal.Whole && p.Sequence >= from {
			r.next = p.Block
			break
		}
	}
	return r, err
}

// CloseLog closes an open reading; of none there is nothing to close.
func CloseLog(r LogReader) {
	if r.open {
		closeFile(r.file)
	}
}

// ErrLogDamaged is the class of a place of the write log that cannot be read and has batches behind it.
var ErrLogDamaged = errors.New("the write log is damaged")

// NextBatch reads the next batch of the write log, and returns nil at its end, which may move. Errors: ErrStore,
// ErrLogDamaged, or of the file system.
func NextBatch(r LogReader) (LogReader, []byte, error) {
	for {
		if !r.open {
			opened, err := openSegment(r, r.number)
			if errors.Is(err, fs.ErrNotExist) {
				return r, nil, nil
			}
			if err != nil {
				return r, nil, err
			}
			r = opened
			r.next = 1
		}
		sequence, batch, blocks, want := wal.First(r.window, r.incarnation, r.number)
		if blocks > 0 {
			r.window, r.next, r.last = r.window[blocks*wal.BlockSize:], r.next+blocks, sequence
			return r, batch, nil
		}
		if len(r.window) >= want*wal.BlockSize { // it may have been written since it was read
			r.window = r.window[:0]
		}
		_, missing := os.Stat(segmentPath(r.folder, r.number+1)) // before the segment is read: nothing comes into it after
		before := len(r.window)
		var err error
		if r, err = fillWindow(r, max(want*wal.BlockSize, windowBytes)); err != nil {
			return r, nil, err
		}
		if _, _, blocks, want = wal.First(r.window, r.incarnation, r.number); blocks > 0 ||
			len(r.window) > before && want*wal.BlockSize > len(r.window) {
			continue
		}
		more, err := readsOn(r, missing == nil)
		if err != nil || !more {
			return r, nil, err
		}
		closeFile(r.file)
		r.open, r.number, r.window = false, r.number+1, nil
	}
}

// fillWindow reads the open segment from the window's beginning on, up to so many bytes.
func fillWindow(r LogReader, size int) (LogReader, error) {
	b := make([]byte, size)
	n, err := readFrom(r.file, b, int64(r.next)*wal.BlockSize)
	r.window = b[:n]
	return r, err
}

// readsOn tells, where no whole batch follows in the open segment, whether to go on in the next one, which is there if
// so is said. Error: ErrLogDamaged if a batch lies behind the place, or the segment is no longer what it was.
func readsOn(r LogReader, next bool) (bool, error) {
	path := segmentPath(r.folder, r.number)
	segment, err := readWhole(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("%w: a segment of the write log was pruned while it was read", ErrStore)
	}
	if err != nil {
		return false, err
	}
	rest := segment[min(r.next*wal.BlockSize, len(segment)):]
	first, _, _, _ := wal.First(rest, r.incarnation, r.number)
	_, behind := wal.Scan(rest, r.incarnation, r.number, 0)
	switch {
	case first > 0 && !next: // it has come just now
		return false, nil
	case next && behind > r.last, behind > r.last+1:
		return false, fmt.Errorf("%w: behind batch %d, in %s", ErrLogDamaged, r.last, path)
	}
	return next, nil
}
