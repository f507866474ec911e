package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"tandem/node/wal"
)

// beginning is a segment that is being begun.
type beginning struct {
	log    Log
	folder string
	blocks int // that it is to have
	err    error
}

// segmentStages begin a segment: over a spare one, where there is one of its size. It counts only when its name and its
// header are on the disk.
var segmentStages = [...]func(beginning) beginning{closeLast, readySpare, nameSegment, writeHeader, writeCached}

// NextSegment closes the segment that is written and begins the next one, with at least so many blocks. Error: as that
// of Store.
func NextSegment(l Log, blocks int) (Log, error) {
	b := beginning{log: l, folder: filepath.Join(l.folder, logFolder), blocks: max(blocks, segmentBytes/wal.BlockSize)}
	for _, stage := range segmentStages {
		b = stage(b)
	}
	if b.err != nil {
		b.err = fmt.Errorf("%w: beginning a segment of the write log: %w", ErrStore, b.err)
	}
	return b.log, b.err
}

func closeLast(b beginning) beginning {
	if b.log.open {
		closeFile(b.log.file)
	}
	b.log.open = false
	return b
}

// readySpare takes the spare segment, if there is one of the size that is needed, under a name of its own: from then on
// pruning may leave another one or remove it. Else it makes a segment, filled with zeros and synced: what is written
// over it later changes no file's size and takes no new place on the disk.
func readySpare(b beginning) beginning {
	path, size := filepath.Join(b.folder, makingName), int64(b.blocks)*wal.BlockSize
	if b.err = os.RemoveAll(path); b.err != nil { // of a process that has ended in the midst
		return b
	}
	if os.Rename(filepath.Join(b.folder, spareName), path) == nil {
		info, err := os.Lstat(path)
		if err == nil && info.Mode().IsRegular() && info.Size() == size {
			return b
		}
		if b.err = os.RemoveAll(path); b.err != nil {
			return b
		}
	}
	f, err := openFile(path, spareFlags)
	if err != nil {
		b.err = err
		return b
	}
	zero := make([]byte, min(b.blocks, 256)*wal.BlockSize)
	for at := int64(0); at < size && err == nil; at += int64(len(zero)) {
		err = writeTo(f, zero[:min(int64(len(zero)), size-at)], at)
	}
	b.err = errors.Join(err, syncFile(f))
	closeFile(f)
	return b
}

// nameSegment gives the segment that is ready the next number.
func nameSegment(b beginning) beginning {
	if b.err == nil {
		b.err = errors.Join(os.Rename(filepath.Join(b.folder, makingName), SegmentPath(b.log.folder, b.log.segment+1)),
			SyncFolder(b.folder))
	}
	return b
}

// writeHeader opens the segment and writes its header.
func writeHeader(b beginning) beginning {
	if b.err != nil {
		return b
	}
	l := b.log
	l.segment, l.header, l.blocks = l.segment+1, l.flushed, b.blocks
	l.next = 1
	if cap(l.buffer) < wal.BlockSize {
		l.buffer = alignedBytes(256 << 10)
	}
	l.buffer = wal.AppendHeader(l.buffer[:0], wal.Header{LogID: l.logID, Segment: l.segment,
		Flushed: l.flushed, Blocks: b.blocks})
	if l.file, b.err = openFile(SegmentPath(l.folder, l.segment), directFlags); b.err == nil {
		l.open, l.direct = true, true
		b.err = writeTo(l.file, l.buffer, 0)
	}
	b.log = l
	return b
}

// writeCached does the same where the file system takes no direct writes.
func writeCached(b beginning) beginning {
	l := b.log
	if !errors.Is(b.err, unix.EINVAL) {
		return b
	}
	if l.open {
		closeFile(l.file)
	}
	l.open, l.direct = false, false
	if l.file, b.err = openFile(SegmentPath(l.folder, l.segment), cachedFlags); b.err == nil {
		l.open = true
		b.err = errors.Join(writeTo(l.file, l.buffer, 0), syncFile(l.file))
	}
	b.log = l
	return b
}

// PruneSegment removes a segment, or leaves it to be written over; one that is gone already is no error. Error: of the
// file system.
func PruneSegment(path string, spare bool) (err error) {
	if spare {
		err = os.Rename(path, filepath.Join(filepath.Dir(path), spareName))
	} else {
		err = os.Remove(path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// DropSpare removes the segment that waits to be written over, if there is one. Error: of the file system.
func DropSpare(folder string) error {
	err := os.Remove(filepath.Join(folder, logFolder, spareName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
