package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tandem/node/store"
	"tandem/shard"
	"tandem/shard/replica"
)

// keptPath is where what is left of a shard lies while its copy is replaced.
func keptPath(folder string, s int) string {
	return filepath.Join(folder, fmt.Sprintf("left-of-%02d.json", s))
}

// readShard reads bucket by bucket what can be read of a shard; or the file with what was left of it, if an earlier run
// of the command has begun to replace the copy: the mark says so, or, where the marks were lost meanwhile, a copy that
// has no history yet. Any other file is of an earlier damage.
func readShard(a accepting) accepting {
	a.left = store.Leftover{}
	kept, found, err := readKept(keptPath(a.told.Data, a.shard))
	if accepting := a.marks[a.shard].Accepting; accepting || !store.HoldsShard(a.db, a.shard) {
		if a.left = kept; err != nil || !found && accepting {
			a.err = fmt.Errorf("%w: what was left of shard %d, which an earlier run has begun to replace: %w",
				store.ErrFolder, a.shard, cmp.Or(err, fs.ErrNotExist))
		}
		return a
	}
	db := a.db
	if a.bad[a.shard] != "" {
		db = a.salvaged
	}
	if !store.HoldsShard(db, a.shard) { // none of its files can be opened
		a.left.Unread = 256
		return a
	}
	left, begun, failed := store.ReadLeft(db, a.shard)
	if a.left = left; found && failed == nil && !begun {
		if a.left = kept; err != nil {
			a.err = fmt.Errorf("%w: what was left of shard %d, which an earlier run has begun to replace: %w",
				store.ErrFolder, a.shard, err)
		}
	}
	return a
}

// readKept reads the file with what was left of a shard; found is false where there is none. Errors: of the file
// system, or of what is in it.
func readKept(path string) (left store.Leftover, found bool, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return left, false, nil
	}
	if err == nil {
		err = store.Unseal(text, &left)
	}
	left.Kept = true
	return left, true, err
}

// keepShard writes what is left of a shard to a file of the folder, synced, and says so in the shard's mark, which from
// then on holds for any copy: if the command ends in the middle, a start serves nothing of the shard, and another run
// of the command goes on with the file.
func keepShard(a accepting) accepting {
	m := a.marks[a.shard]
	if m.Accepting {
		return a
	}
	if !a.left.Kept { // a file of an earlier damage is nobody's to delete unread
		path := keptPath(a.told.Data, a.shard)
		aside := path + "." + time.Now().UTC().Format("20060102T150405.000Z")
		if err := os.Rename(path, aside); err == nil {
			fmt.Fprintln(a.out, "a file of an earlier run, which is not about this damage, is kept as", aside)
		}
	}
	text, err := store.Seal(a.left)
	a.err = errors.Join(err, store.WriteWhole(keptPath(a.told.Data, a.shard), text), store.SyncFolder(a.told.Data))
	if a.err == nil {
		m.Accepting = true
		a.marks[a.shard] = m
		a.err = store.WriteMarks(a.told.Data, a.marks)
	}
	return a
}

// renewShard makes an empty copy of the shard in place of the damaged one.
func renewShard(a accepting) accepting {
	if !store.HoldsShard(a.db, a.shard) { // an earlier run ended between the two
		a.db, a.err = store.AddFamilies(a.db, []int{a.shard})
		return a
	}
	renewed, err := store.RenewFamily(a.db, a.shard)
	if a.err = err; err == nil {
		a.db = store.TakeFamily(a.db, renewed, a.shard)
	}
	return a
}

// storeShard fills the new copy with what is left. Its history begins with the log's new end, which no other replica's
// log fits.
func storeShard(a accepting) accepting {
	layout, family, counts := shard.Layout{Nodes: len(strings.Split(a.identity.Ring, ",")), Shards: a.identity.Shards},
		store.FamilyID(a.db, a.shard), store.Buckets{}
	for rest := a.left.Users; len(rest) > 0 && a.err == nil; {
		n := min(len(rest), 1000)
		part := store.RecordsPart(layout, a.shard, family, rest[:n], &counts)
		a.err = store.WriteBatch(a.db, store.JoinParts(nil, []store.Part{part}))
		rest = rest[n:]
	}
	last := a.left.Last + acceptedJump
	end := replica.Effect{LSN: last, History: []shard.Position{{Epoch: max(a.left.Epoch, 1), LSN: last}}}
	if a.err == nil {
		a.err = store.WriteBatch(a.db, store.JoinParts(nil, []store.Part{store.WholePart(a.shard, family, &end,
			counts)}))
	}
	if a.err == nil {
		a.err = store.FlushShard(a.db, a.shard)
	}
	return a
}

// unmarkShard takes the shard's mark away, and the file with what was left.
func unmarkShard(a accepting) accepting {
	delete(a.marks, a.shard)
	if a.err = store.SaveMarks(a.db, a.told.Data, a.marks); a.err == nil {
		a.err = os.Remove(keptPath(a.told.Data, a.shard))
	}
	return a
}

// salvageFiles opens, if one of the chosen shards has a file that cannot be opened, a copy of the store that lacks such
// files: RocksDB makes a new manifest of all that it can read. One file that spans a whole shard would else hide all
// others, and what was deleted as a whole would show. The copy is of links to the files, and goes when the command
// ends.
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
	if a.err = store.Salvage(a.data, a.folder); a.err != nil {
		return a
	}
	o := store.Options{Data: a.folder, Shards: shard.MaxShards, CacheMB: 64}
	a.salvaged, a.err = store.Open(o, false, false, false)
	return a
}
