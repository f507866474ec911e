package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/linxGnu/grocksdb"

	"tandem/shard"
)

// salvageFiles opens, if one of the chosen shards has a file that cannot be opened, a copy of the store that lacks such
// files: RocksDB makes a new manifest of all that it can read. One file that spans a whole shard would else hide all
// others, and what was deleted as a whole would show. The copy is of links to the files, and goes when the command ends.
func salvageFiles(a accepting) accepting {
	needed := false
	for _, s := range a.shards {
		needed = needed || a.bad[s] != ""
	}
	if !needed {
		return a
	}
	if a.folder, a.err = os.MkdirTemp(a.told.Data, "salvage-"); a.err != nil {
		return a
	}
	if a.err = linkFiles(a.told.Data, a.folder); a.err != nil {
		return a
	}
	c := Config{Data: a.folder, Shards: shard.MaxShards, CacheMB: 64}
	if err := grocksdb.RepairDb(a.folder, databaseOptions(c)); err != nil {
		a.err = fmt.Errorf("%w: a copy without the files that cannot be opened: %w", ErrStore, err)
		return a
	}
	a.salvaged, a.err = openStore(c, shard.OpenTry{Log: shard.DamagedEnd}, false, false, openReadOnly)
	return a
}

// linkFiles makes links in a folder to the files of the store in another. Error: of the file system.
func linkFiles(from, to string) error {
	list, err := os.ReadDir(from)
	errs := []error{err}
	for _, one := range list {
		if !one.Type().IsRegular() || one.Name() == "LOCK" {
			continue
		}
		if err := os.Link(filepath.Join(from, one.Name()), filepath.Join(to, one.Name())); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err) // RocksDB may remove a log that it has moved into files
		}
	}
	return errors.Join(errs...)
}
