package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"tandem/node/store"
	"tandem/shard"
	"tandem/wire/proc"
)

// openFolder opens the store of a data folder in the ways that shard.NextOpen names, one after another. Errors:
// ErrUnreadable
// if a new store must take the place of this one, ErrStore, ErrFolder, or of the file system.
func openFolder(s starting) starting {
	c := s.wiring.Config
	for failed := 0; ; failed++ {
		lenient, ok := shard.NextOpen(failed)
		if !ok {
			s.err = fmt.Errorf("%w: %w", store.ErrUnreadable, s.err)
			return s
		}
		s.lenient = lenient
		s.wiring.DB, s.err = store.Open(storeOptions(c), lenient, len(s.marks) == 0 && !lenient,
			!store.HoldsStore(s.names))
		if !store.IsDamage(s.err) {
			return s
		}
		s.wiring.Log.Error("the store cannot be opened as it is", "try", failed+1, "error", s.err)
	}
}

// markMissing notes in the folder which shards the log has lost writes of. Error: of the file system.
func markMissing(s starting) starting {
	if len(s.verdict.Missing) == 0 {
		return s
	}
	s.wiring.Log.Error("the write-ahead log is damaged: writes that were stored cannot be read", "shards",
		s.verdict.Missing)
	for _, lost := range s.verdict.Missing {
		s.marks = store.AddMark(s.marks, lost, shard.Mark{Reason: "the write-ahead log is damaged"})
	}
	s.err = store.WriteMarks(s.wiring.Config.Data, s.marks)
	return s
}

// judgeEnd compares the log with the data that is there: a log that ends before that has lost its end. Error: ErrStore.
func judgeEnd(s starting) starting {
	reach, err := store.Applied(s.wiring.DB)
	furthest := uint64(0)
	for _, sequence := range reach {
		furthest = max(furthest, sequence)
	}
	s.verdict = shard.JudgeEnd(s.verdict, s.held, furthest, max(s.recovery.Last, s.recovery.Flushed))
	s.recovery.Last = max(s.recovery.Last, furthest) // what is written from now on lies behind all data
	s.err = err
	return s
}

// replayLog brings the data up to the log, and lets this start write behind it. Errors: ErrStore, or of the file
// system.
func replayLog(s starting) starting {
	if s.err = store.Replay(s.wiring.DB, s.recovery); s.err != nil {
		return s
	}
	s.log, s.err = store.BeginLog(s.wiring.Config.Data, s.recovery, s.wiring.Start.Number, s.held)
	for _, found := range s.recovery.Segments {
		note := segmentNote{Number: found.Number, Last: found.Last, Bytes: found.Bytes, Closed: proc.Clock()}
		if info, err := os.Stat(store.SegmentPath(s.wiring.Config.Data, found.Number)); err == nil {
			note.Closed -= max(0, int64(time.Since(info.ModTime()))) // a process that ends again and again keeps no more
		}
		s.segments = append(s.segments, note)
	}
	s.recovery.Pieces = nil // they may be many
	return s
}

// readFolder makes the data folder if it is missing, and notes which names and marks it holds.
func readFolder(s starting) starting {
	folder := s.wiring.Config.Data
	s.err = os.MkdirAll(folder, 0o755)
	if to, err := os.Readlink(folder); err == nil && s.err != nil { // it says no more than that a file exists
		s.err = fmt.Errorf("--data %s is a symbolic link to %s, which is no folder: %w", folder, to, s.err)
	}
	if s.err == nil {
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
