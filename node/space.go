package main

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

// diskTroubles are what the system says of a disk that does not do what it is asked, which says nothing about the data:
// it may do it the next time. The table never changes.
var diskTroubles = [...]error{unix.EIO, unix.ENOSPC, unix.EDQUOT}

// isTrouble tells whether an error is one of those. RocksDB hands on their texts only (strerror(3)), which begin with a
// capital letter.
func isTrouble(err error) bool {
	return err != nil && slices.ContainsFunc(diskTroubles[:], func(trouble error) bool {
		return errors.Is(err, trouble) || strings.Contains(strings.ToLower(err.Error()), trouble.Error())
	})
}

// reserveMost is how many bytes of the data folder's file system are kept free, but never more than an eighth of it: RocksDB must not meet a full
// disk, because a write log that failed once may not be written again, and its files need room to be merged.
const reserveMost = 32 << 20

// openingRoom is how many bytes must be free for a store to be opened, but never more than a sixteenth of the file system,
// which is less than what is kept in reserve: a log, a manifest and a file of options are written. An assertion of
// RocksDB ends the process where the disk does not take them.
const openingRoom = 4 << 20

// roomToOpen returns an error of class ErrFull unless the file system of a folder has the room to open a store.
func roomToOpen(dir string) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrFull, dir, err)
	}
	unit := uint64(fs.Bsize)
	needed := min(openingRoom, fs.Blocks*unit/16)
	if free := fs.Bavail * unit; free < needed {
		return fmt.Errorf("%w: no space left: %d KiB are free in %s, and a start needs %d", ErrFull, free>>10, dir,
			needed>>10)
	}
	return nil
}

// inUse returns an error of class ErrFolder if another process has the database in a folder open: RocksDB holds a record
// lock on the file LOCK (fcntl(2)).
func inUse(folder string) error {
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

// spare returns an error of class ErrFull unless the file system of a folder has more than the reserve free.
func spare(dir string) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrFull, dir, err)
	}
	unit := uint64(fs.Bsize)
	reserve := min(reserveMost, fs.Blocks*unit/8)
	if free := fs.Bavail * unit; free < reserve {
		return fmt.Errorf("%w: no space left: %d KiB are free in %s and %d are kept in reserve", ErrFull, free>>10, dir, reserve>>10)
	}
	return nil
}

// tryDisk writes, syncs and removes a small file in a folder.
func tryDisk(dir string) error {
	path := filepath.Join(dir, "probe")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(make([]byte, 64<<10))
	return errors.Join(err, file.Sync(), file.Close(), os.Remove(path))
}
