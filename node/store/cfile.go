package store

// #define _GNU_SOURCE
// #include <errno.h>
// #include <fcntl.h>
// #include <stdlib.h>
// #include <unistd.h>
// static int open_file(const char *path, int flags) { return open(path, flags | O_CLOEXEC, 0644); }
import "C"

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"tandem/node/wal"
)

// file is an open file of the write log. It is opened, read and written through the C library, as RocksDB does it: what
// stands between a process and its disk, as the shim of bench, then sees all that the node does with its data.
type file struct{ handle C.int }

// openFile opens a file with flags of open(2). Error: *fs.PathError.
func openFile(path string, flags int) (file, error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	handle, err := C.open_file(name, C.int(flags))
	if handle < 0 {
		return file{}, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return file{handle}, nil
}

// readFrom fills b from a place of a file on, and returns how much there was. Error: of the file system.
func readFrom(f file, b []byte, at int64) (n int, err error) {
	for n < len(b) {
		some, err := C.pread(f.handle, unsafe.Pointer(&b[n]), C.size_t(len(b)-n), C.off_t(at+int64(n)))
		if some < 0 && errors.Is(err, unix.EINTR) {
			continue
		}
		if some < 0 {
			return n, fmt.Errorf("%w: reading the write log: %w", ErrStore, err)
		}
		if some == 0 {
			return n, nil
		}
		n += int(some)
	}
	return n, nil
}

// writeTo writes all of b at a place of a file. Error: of the file system; what was written then is not known.
func writeTo(f file, b []byte, at int64) error {
	for len(b) > 0 {
		some, err := C.pwrite(f.handle, unsafe.Pointer(&b[0]), C.size_t(len(b)), C.off_t(at))
		if some < 0 && errors.Is(err, unix.EINTR) {
			continue
		}
		if some <= 0 {
			return fmt.Errorf("%w: writing the write log: %w", ErrStore, cmp.Or(err, io.ErrShortWrite))
		}
		b, at = b[some:], at+int64(some)
	}
	return nil
}

// syncFile brings what was written to the disk. Error: of the file system.
func syncFile(f file) error {
	if failed, err := C.fdatasync(f.handle); failed != 0 {
		return fmt.Errorf("%w: syncing the write log: %w", ErrStore, err)
	}
	return nil
}

func closeFile(f file) { C.close(f.handle) }

// alignedBytes returns n bytes of memory that begin where direct I/O wants them to.
func alignedBytes(n int) []byte {
	b := make([]byte, n+wal.BlockSize)
	skip := int(-uintptr(unsafe.Pointer(&b[0])) & (wal.BlockSize - 1))
	return b[skip : skip : skip+n]
}

// readWhole reads a file. Error: of the file system.
func readWhole(path string) ([]byte, error) {
	f, err := openFile(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer closeFile(f)
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	b := make([]byte, info.Size())
	n, err := readFrom(f, b, 0)
	return b[:n], err
}
