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
