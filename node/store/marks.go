package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"tandem/shard"
)

// MarksName is the file of the data folder that notes which copies of shards are damaged. It lies beside RocksDB,
// which takes no write any more once a compaction has met damage; while the file is there nothing is compacted.
const MarksName = "damaged.json"

// ReadMarks returns the marks by shard; shard.RaftPart stands for Raft's saved state. If the file of them cannot be
// read, any shard may be a damaged one, so all are marked. Error: of the file system.
func ReadMarks(folder string) (map[int]shard.Mark, error) {
	marks := map[int]shard.Mark{}
	text, err := os.ReadFile(filepath.Join(folder, MarksName))
	if errors.Is(err, fs.ErrNotExist) {
		return marks, nil
	}
	if err != nil && IsDiskError(err) {
		return marks, err
	}
	whole := false
	if err == nil {
		whole = Unseal(text, &marks) == nil && marks != nil
	}
	for s := range marks {
		whole = whole && s >= 0 && s <= shard.RaftPart
	}
	if !whole {
		marks = MarkAll("cannot be read")
	}
	return marks, nil
}

// MarkAll marks whatever may be damaged, if the file of marks has come to harm.
func MarkAll(harm string) map[int]shard.Mark {
	marks := map[int]shard.Mark{}
	for s := range shard.RaftPart + 1 {
		marks[s] = shard.Mark{Reason: MarksName + " " + harm + ", which names the damaged shards: this may be one"}
	}
	return marks
}

// AddMark marks a shard, unless its copy is being replaced: that mark says where what was left of the shard lies.
func AddMark(marks map[int]shard.Mark, s int, m shard.Mark) map[int]shard.Mark {
	if !marks[s].Accepting {
		marks[s] = m
	}
	return marks
}

// WriteMarks puts the file in its place as a whole, synced, and the folder with it. Error: of the file system.
func WriteMarks(folder string, marks map[int]shard.Mark) error {
	text, err := Seal(marks)
	if err != nil {
		return err
	}
	return errors.Join(WriteWhole(filepath.Join(folder, MarksName), text), SyncFolder(folder))
}

// SettleMarks returns the marks that speak of what is there, each with its store and copy, and adds those of shards of
// which a file cannot be read. Marks that were made before the store was open name neither.
func SettleMarks(marks map[int]shard.Mark, bad map[int]string, member uint64, copies []uint32) map[int]shard.Mark {
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
		settled = AddMark(settled, s, shard.Mark{Store: member, Copy: copies[s], Reason: reason})
	}
	return settled
}

// MarksKey is the key that says that there is a file of marks.
const MarksKey = "marks"

// SaveMarks writes the marks to their file, and to the store that there is one: it is written after the file, and
// deleted before it, so that a store that says so and has no file has lost it. A store that takes no write keeps a file
// without marks. Error: of the file system.
func SaveMarks(db DB, folder string, marks map[int]shard.Mark) error {
	path := filepath.Join(folder, MarksName)
	if len(marks) == 0 && dropLocal(db, MarksKey) == nil {
		err := os.Remove(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return errors.Join(err, SyncFolder(folder))
	}
	text, err := Seal(marks)
	if err == nil {
		err = errors.Join(WriteWhole(path, text), SyncFolder(folder))
	}
	if err == nil && len(marks) > 0 {
		_ = PutLocal(db, MarksKey, []byte{1}) // of a store that has failed the next start writes it
	}
	return err
}
