package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tandem/node/store"
	"tandem/shard"
)

// openFolder opens the store of a data folder in the ways that shard.NextOpen names, one after another. What is damaged
// is noted in the folder before the opening, which moves the log into files, can make it unseen. Errors: ErrUnreadable
// if a new store must take the place of this one, ErrStore, ErrFolder, or of the file system.
func openFolder(s starting) starting {
	c, failed := s.wiring.Config, []shard.OpenFailure{}
	for {
		try, then, ok := shard.NextOpen(s.verdict, s.held, failed)
		if s.verdict = then; !ok {
			s.err = fmt.Errorf("%w: %w", store.ErrUnreadable, s.err)
			return s
		}
		if len(s.verdict.Missing) > 0 {
			s.wiring.Log.Error("the write-ahead log is damaged: writes that were stored cannot be read", "shards",
				s.verdict.Missing)
			for _, lost := range s.verdict.Missing {
				s.marks = store.AddMark(s.marks, lost, shard.Mark{Reason: "the write-ahead log is damaged"})
			}
			if s.err = store.WriteMarks(c.Data, s.marks); s.err != nil {
				return s
			}
		}
		s.lenient = try.Lenient
		s.wiring.DB, s.err = store.Open(storeOptions(c), try, len(s.marks) == 0 && !try.Lenient,
			!store.HoldsStore(s.names))
		if !store.IsDamage(s.err) {
			return s
		}
		s.wiring.Log.Error("the store cannot be opened as it is", "try", len(failed)+1, "error", s.err)
		failure := shard.OpenDamaged
		if strings.Contains(s.err.Error(), "Missing WAL") || strings.Contains(s.err.Error(), "WAL size") {
			failure = shard.OpenLogGone
		}
		failed = append(failed, failure)
	}
}

// readFolder makes the data folder if it is missing, and notes which names and marks it holds.
func readFolder(s starting) starting {
	folder := s.wiring.Config.Data
	if s.err = os.MkdirAll(folder, 0o755); s.err == nil {
		s.err = errors.Join(store.InUse(folder), store.CheckSpace(folder, store.Opening))
	}
	if s.err == nil {
		s.names, s.err = store.NamesIn(folder)
	}
	if s.err == nil {
		s.marks, s.err = store.ReadMarks(folder)
	}
	if s.err != nil {
		return s
	}
	if store.NameManifest(folder, s.names) {
		s.wiring.Log.Warn("CURRENT was damaged or missing; it names the only manifest again")
	}
	return s
}

// refuseVoid refuses a store that is marked so. Error: ErrUnreadable.
func refuseVoid(s starting) starting {
	why, err := os.ReadFile(filepath.Join(s.wiring.Config.Data, store.VoidName))
	switch {
	case err == nil:
		s.err = fmt.Errorf("%w: %s", store.ErrUnreadable, why)
	case !errors.Is(err, fs.ErrNotExist):
		s.err = err
	}
	return s
}
