package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/linxGnu/grocksdb"
)

// Salvage makes in a folder a copy of the store in another which lacks the files that cannot be opened: RocksDB makes a
// new manifest of all that it can read. The copy is of links to the files. Errors: ErrStore, or of the file system.
func Salvage(from, to string) error {
	if err := linkFiles(from, to); err != nil {
		return err
	}
	if err := grocksdb.RepairDb(to, databaseOptions(Options{Data: to, CacheMB: 64})); err != nil {
		return fmt.Errorf("%w: a copy without the files that cannot be opened: %w", ErrStore, err)
	}
	return nil
}

// LinkedCopy makes, in a data folder, a folder with a copy of its database, of links to the files: what is opened and
// written there changes nothing of the database itself. Error: of the file system.
func LinkedCopy(folder string) (copied string, err error) {
	copied, err = os.MkdirTemp(folder, "look-")
	if err != nil {
		return "", err
	}
	return copied, linkFiles(folder, copied)
}

// linkFiles makes links in a folder to the files of the store in another. Error: of the file system.
func linkFiles(from, to string) error {
	list, err := os.ReadDir(from)
	errs := []error{err}
	for _, one := range list {
		if !one.Type().IsRegular() || one.Name() == "LOCK" {
			continue
		}
		if err := os.Link(filepath.Join(from, one.Name()), filepath.Join(to, one.Name())); !errors.Is(err,
			fs.ErrNotExist) {
			errs = append(errs, err) // RocksDB may remove a log that it has moved into files
		}
	}
	return errors.Join(errs...)
}
