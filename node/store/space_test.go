package store

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
)

func TestWhatTheDiskDoesNotDoIsTrouble(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{fmt.Errorf("%w: damaged.json: %w", ErrFolder, &os.PathError{Op: "read", Path: "damaged.json",
			Err: syscall.EIO}), true},
		{fmt.Errorf("%w: %w", ErrStore, errors.New("IO error: While fdatasync: db-1/000514.log: Input/output error")),
			true},
		{errors.New("IO error: No space left on device: While appending to file: db-1/LOG: No space left on device"),
			true},
		{errors.New("IO error: While appending to file: db-1/LOG: Disk quota exceeded"), true},
		// of another node here
		{errors.New("IO error: While lock file: db-1/LOCK: Resource temporarily unavailable"), false},
		{errors.New("IO error: While open a file for reading: db-1/000007.sst: Permission denied"), false},
		{errors.New("Corruption: block checksum mismatch: stored = 1, computed = 2 in db-1/000007.sst"), false},
		{fmt.Errorf("%w: it was made as another node", ErrFolder), false},
	} {
		if got := IsDiskError(c.err); got != c.want {
			t.Errorf("%v: %v", c.err, got)
		}
	}
}
