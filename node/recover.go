package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tandem/shard"
)

// ErrUnreadable is the class of a data folder of which nothing can be read.
var ErrUnreadable = errors.New("nothing in the data folder can be read")

// asidePrefix begins the name of the folder, within the data folder, to which what cannot be used any more is moved.
const asidePrefix = "set-aside-"

// storeFiles are the beginnings and ends of the names of a database's own files. Where one of them is there, no new
// database is made.
var storeFiles = [...]string{"CURRENT", "MANIFEST-", "IDENTITY", "OPTIONS-", ".sst", ".log"}

// holdsStore tells from the names in a folder whether there is, or was, a database in it.
func holdsStore(names []string) bool {
	for _, name := range names {
		for _, mark := range storeFiles {
			if strings.HasPrefix(name, mark) || strings.HasSuffix(name, mark) {
				return true
			}
		}
	}
	return false
}

// namesIn returns the names in a folder. Error: of the file system.
func namesIn(folder string) ([]string, error) {
	files, err := os.ReadDir(folder)
	names := []string{}
	for _, f := range files {
		names = append(names, f.Name())
	}
	return names, err
}

// openFolder opens the store of a data folder in the ways that shard.NextOpen names, one after another. What is damaged
// is noted in the folder before the opening, which moves the log into files, can make it unseen. Errors: ErrUnreadable
// if a new store must take the place of this one, ErrStore, ErrFolder, or of the file system.
func openFolder(s starting) starting {
	c, failed := s.room.Config, []shard.OpenFailure{}
	for {
		try, then, ok := shard.NextOpen(s.verdict, s.held, failed)
		if s.verdict = then; !ok {
			s.err = fmt.Errorf("%w: %w", ErrUnreadable, s.err)
			return s
		}
		if len(s.verdict.Missing) > 0 {
			s.room.Log.Error("the write-ahead log is damaged: writes that were stored cannot be read", "shards",
				s.verdict.Missing)
			for _, lost := range s.verdict.Missing {
				s.marks = addMark(s.marks, lost, shard.Mark{Reason: "the write-ahead log is damaged"})
			}
			if s.err = writeMarks(c.Data, s.marks); s.err != nil {
				return s
			}
		}
		s.lenient = try.Lenient
		s.room.Store, s.err = openStore(c, try, len(s.marks) == 0 && !try.Lenient, !holdsStore(s.names),
			openToWrite)
		if !isDamage(s.err) {
			return s
		}
		s.room.Log.Error("the store cannot be opened as it is", "try", len(failed)+1, "error", s.err)
		failure := shard.OpenDamaged
		if strings.Contains(s.err.Error(), "Missing WAL") || strings.Contains(s.err.Error(), "WAL size") {
			failure = shard.OpenLogGone
		}
		failed = append(failed, failure)
	}
}

// nameManifest writes CURRENT anew if it names no manifest that is there, and there is only one. It tells whether it
// has done so.
func nameManifest(folder string, names []string) bool {
	path := filepath.Join(folder, "CURRENT")
	text, err := os.ReadFile(path)
	isOther := func(n string) bool { return !strings.HasPrefix(n, "MANIFEST-") }
	manifests := slices.DeleteFunc(slices.Clone(names), isOther)
	unread := err != nil && !errors.Is(err, os.ErrNotExist)
	if len(manifests) != 1 || unread || err == nil && string(text) == manifests[0]+"\n" {
		return false
	}
	err = writeWhole(path, []byte(manifests[0]+"\n"))
	return err == nil && syncFolder(folder) == nil
}

// readFolder makes the data folder if it is missing, and notes which names and marks it holds.
func readFolder(s starting) starting {
	folder := s.room.Config.Data
	if s.err = os.MkdirAll(folder, 0o755); s.err == nil {
		s.err = errors.Join(inUse(folder), spare(folder, opening))
	}
	if s.err == nil {
		s.names, s.err = namesIn(folder)
	}
	if s.err == nil {
		s.marks, s.err = readMarks(folder)
	}
	if s.err != nil {
		return s
	}
	if nameManifest(folder, s.names) {
		s.room.Log.Warn("CURRENT was damaged or missing; it names the only manifest again")
	}
	return s
}

// settleMarks returns the marks that speak of what is there, each with its store and copy, and adds those of shards of
// which a file cannot be read. Marks that were made before the store was open name neither.
func settleMarks(marks map[int]shard.Mark, bad map[int]string, member uint64, copies []uint32) map[int]shard.Mark {
	settled := map[int]shard.Mark{}
	for s, m := range marks {
		copied := uint32(0)
		if s < len(copies) {
			copied = copies[s]
		}
		if m.Store == 0 && m.Copy == 0 {
			m.Store, m.Copy = member, copied
		}
		if m.Accepting {
			m.Copy = copied
		}
		if shard.MarkHolds(m, member, copied) && (copied > 0 || s == shard.RaftPart) {
			settled[s] = m
		}
	}
	for s, reason := range bad {
		settled = addMark(settled, s, shard.Mark{Store: member, Copy: copies[s], Reason: reason})
	}
	return settled
}

// mostAside is how many stores that could not be used are kept. With so many of them it is the disk that should be
// looked at.
const mostAside = 3

// setAside moves all that is in a data folder into a folder within it, so that a new store can begin there, and returns
// that folder's name. Nothing is deleted: it may be the only copy of something. Errors: ErrUnreadable when too many are
// there already, or of the file system.
func setAside(folder string, now time.Time) (string, error) {
	names, err := namesIn(folder)
	if err != nil {
		return "", err
	}
	isAside := func(name string) bool { return strings.HasPrefix(name, asidePrefix) }
	rest := slices.DeleteFunc(slices.Clone(names), isAside)
	if len(names)-len(rest) >= mostAside {
		return "", fmt.Errorf("%w, and %d stores were set aside in it before (%s…): look at the disk, keep what you "+
			"need of them elsewhere, and remove them",
			ErrUnreadable, mostAside, asidePrefix)
	}
	aside := filepath.Join(folder, asidePrefix+now.UTC().Format("20060102T150405.000Z"))
	if err = os.Mkdir(aside, 0o755); err != nil {
		return "", err
	}
	for _, name := range rest {
		if name == "lost+found" { // the file system's own
			continue
		}
		if err = os.Rename(filepath.Join(folder, name), filepath.Join(aside, name)); err != nil {
			return "", err
		}
	}
	return aside, syncFolder(folder)
}
