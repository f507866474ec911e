package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"tandem/node/wal"
)

// Pruning leaves and removes spare segments at any moment: a segment that is being begun is none of its business, and
// has the size that its header says.
func TestPruningLeavesASegmentThatIsBegunAlone(t *testing.T) {
	folder := t.TempDir()
	l, err := BeginLog(folder, wal.Recovery{}, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	other, over, pruned := filepath.Join(folder, logFolder, "other"), make(chan struct{}), make(chan error)
	go func() {
		var errs error
		for n := 0; ; n++ {
			select {
			case <-over:
				pruned <- errs
				return
			default:
			}
			errs = errors.Join(errs, os.WriteFile(other, make([]byte, segmentBytes), 0o600), PruneSegment(other, true))
			if n%2 == 0 {
				errs = errors.Join(errs, DropSpare(folder))
			}
		}
	}()
	for n := range 30 {
		blocks := segmentBytes/wal.BlockSize + n%2
		if l, err = NextSegment(l, blocks); err != nil {
			t.Errorf("segment %d: %v", n+1, err)
			break
		}
		if info, bad := os.Stat(SegmentPath(folder, l.segment)); bad != nil || info.Size() != int64(blocks)*wal.BlockSize {
			t.Errorf("segment %d of %d blocks: %v, %v", n+1, blocks, info, bad)
		}
	}
	close(over)
	if errs := <-pruned; errs != nil {
		t.Error(errs)
	}
}

// Whatever lies where a spare segment would, a segment is begun.
func TestWhatIsNoSpareSegmentIsNotUsed(t *testing.T) {
	folder := t.TempDir()
	l, err := BeginLog(folder, wal.Recovery{}, 1, nil)
	for _, name := range []string{spareName, makingName} {
		path := filepath.Join(folder, logFolder, name)
		for _, lay := range []func() error{
			func() error { return os.MkdirAll(filepath.Join(path, "x"), 0o700) },
			func() error { return os.Symlink(SegmentPath(folder, l.segment), path) },
			func() error { return os.WriteFile(path, []byte("short"), 0o600) },
		} {
			err = errors.Join(err, lay())
			if err == nil {
				l, err = NextSegment(l, 1)
			}
			info, bad := os.Lstat(SegmentPath(folder, l.segment))
			if err = errors.Join(err, bad); err != nil || !info.Mode().IsRegular() || info.Size() != segmentBytes {
				t.Fatal(name, info, err)
			}
		}
	}
}
