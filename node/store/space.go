package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrFull is the class of a disk that has no room for another write.
var ErrFull = errors.New("the disk refuses writes")

// diskErrors are what the system says of a disk that does not do what it is asked, which says nothing about the data:
// it may do it the next time. The table never changes.
var diskErrors = [...]error{unix.EIO, unix.ENOSPC, unix.EDQUOT}

// IsDiskError tells whether an error says that the disk did not do what it was asked (diskErrors). RocksDB hands on
// their texts only (strerror(3)), which begin with a capital letter.
func IsDiskError(err error) bool {
	return errors.Is(err, ErrFull) || err != nil && slices.ContainsFunc(diskErrors[:], func(trouble error) bool {
		return errors.Is(err, trouble) || strings.Contains(strings.ToLower(err.Error()), trouble.Error())
	})
}

// space is how many bytes of a file system are to be free: most, but never more than its share-th part.
type space struct {
	most, share uint64
	what        string // what for
}

// What is wanted. The table never changes.
var (
	// RocksDB must not meet a full disk, because a write log that failed once may not be written again, and its files
	// need room to be compacted.
	Reserve = space{32 << 20, 8, "are kept in reserve"}
	// For a store to be opened a log, a manifest and a file of options are written. An assertion of RocksDB ends the
	// process where the disk does not take them. It is less than the reserve.
	Opening = space{4 << 20, 16, "are wanted for a start"}
)

// CheckSpace returns an error of class ErrFull unless the file system of a folder has that much free.
func CheckSpace(dir string, w space) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrFull, dir, err)
	}
	unit := uint64(fs.Bsize)
	least := min(w.most, fs.Blocks*unit/w.share)
	if free := fs.Bavail * unit; free < least {
		return fmt.Errorf("%w: no space left: %d KiB are free in %s and %d %s", ErrFull, free>>10, dir, least>>10, w.what)
	}
	return nil
}

// InUse returns an error of class ErrFolder if another process has the database in a folder open: RocksDB holds a
// record lock on the file LOCK (fcntl(2)). Who has the database open must not ask: closing the file gives up a
// process's own lock.
func InUse(folder string) error {
	file, err := os.OpenFile(filepath.Join(folder, "LOCK"), os.O_RDWR, 0)
	if err != nil {
		return nil // a folder without the file is in nobody's use
	}
	defer file.Close()
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	if err = unix.FcntlFlock(file.Fd(), unix.F_GETLK, &lock); err == nil && lock.Type != unix.F_UNLCK {
		return fmt.Errorf("%w: %s is in use by process %d: stop that node first", ErrFolder, folder, lock.Pid)
	}
	return nil
}

// TryDisk writes, syncs and removes a small file in a folder. Error: of the file system.
func TryDisk(dir string) error {
	path := filepath.Join(dir, "probe")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(make([]byte, 64<<10))
	return errors.Join(err, file.Sync(), file.Close(), os.Remove(path))
}
