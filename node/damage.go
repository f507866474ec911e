package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"tandem/shard"
	"tandem/wire/proc"
)

// damageName is the file of the data folder that notes which copies of shards are damaged. It lies beside RocksDB,
// which takes no write any more once it has met damage while merging files; while it is there nothing is merged.
const damageName = "damaged.json"

// salvage lets a start that met damage begin anew, without merges and knowing of it. It is done if that is not what
// went wrong.
func salvage(room *Room, cause error, done chan<- struct{}) {
	defer func() { done <- struct{}{} }()
	found := suspects(room.Store, room.Member, cause)
	marks, err := readMarks(room.Config.Data)
	for s, m := range found {
		marks = addMark(marks, s, m)
	}
	if len(found) == 0 || err != nil || writeMarks(room.Config.Data, marks) != nil {
		return
	}
	room.Log.Error("the data of shards is damaged; the node starts anew, and they are filled again from whole copies",
		"shards", slices.Sorted(maps.Keys(found)), "error", cause)
	proc.StopIf(room.Output, proc.StartAnew(room.Output))
}

// sealed is what a file beside the store holds: a value as JSON, and its checksum.
type sealed struct {
	Data json.RawMessage `json:"data"`
	CRC  uint32          `json:"crc"` // CRC-32C of Data
}

// seal is the text of such a file.
func seal(value any) ([]byte, error) {
	inner, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return json.Marshal(sealed{inner, crc32.Checksum(inner, castagnoli)})
}

// unseal reads the text of such a file. Error: what is wrong with it.
func unseal(text []byte, value any) error {
	file := sealed{}
	if err := json.Unmarshal(text, &file); err != nil {
		return err
	}
	if crc := crc32.Checksum(file.Data, castagnoli); crc != file.CRC {
		return fmt.Errorf("expected CRC32C %d, found %d", crc, file.CRC)
	}
	return json.Unmarshal(file.Data, value)
}

// readMarks returns the marks by shard; shard.RaftPart stands for Raft's saved state. If the file of them cannot be
// read, any shard may be a damaged one, so all are marked. Error: of the file system.
func readMarks(folder string) (map[int]shard.Mark, error) {
	marks := map[int]shard.Mark{}
	text, err := os.ReadFile(filepath.Join(folder, damageName))
	if errors.Is(err, fs.ErrNotExist) {
		return marks, nil
	}
	if err != nil && isTrouble(err) {
		return marks, err
	}
	whole := false
	if err == nil {
		whole = unseal(text, &marks) == nil && marks != nil
	}
	for s := range marks {
		whole = whole && s >= 0 && s <= shard.RaftPart
	}
	if !whole {
		marks = markAll("cannot be read")
	}
	return marks, nil
}

// markAll marks whatever may be damaged, if the file of marks has come to harm.
func markAll(harm string) map[int]shard.Mark {
	marks := map[int]shard.Mark{}
	for s := range shard.RaftPart + 1 {
		marks[s] = shard.Mark{Reason: damageName + " " + harm + ", which names the damaged shards: this may be one"}
	}
	return marks
}

// addMark marks a shard, unless its copy is being replaced: that mark says where what was left of the shard lies.
func addMark(marks map[int]shard.Mark, s int, m shard.Mark) map[int]shard.Mark {
	if !marks[s].Accepting {
		marks[s] = m
	}
	return marks
}

// writeMarks puts the file in its place as a whole, synced, and the folder with it. Error: of the file system.
func writeMarks(folder string, marks map[int]shard.Mark) error {
	text, err := seal(marks)
	if err != nil {
		return err
	}
	return errors.Join(writeWhole(filepath.Join(folder, damageName), text), syncFolder(folder))
}

// marksKey is the key that says that there is a file of marks.
const marksKey = "marks"

// saveMarks writes the marks to their file, and to the store that there is one: it is written after the file, and
// deleted before it, so that a store that says so and has no file has lost it. A store that takes no write keeps a file
// without marks. Error: of the file system.
func saveMarks(st Store, folder string, marks map[int]shard.Mark) error {
	path := filepath.Join(folder, damageName)
	if len(marks) == 0 && dropFact(st, marksKey) == nil {
		err := os.Remove(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return errors.Join(err, syncFolder(folder))
	}
	text, err := seal(marks)
	if err == nil {
		err = errors.Join(writeWhole(path, text), syncFolder(folder))
	}
	if err == nil && len(marks) > 0 {
		_ = putFact(st, marksKey, []byte{1}) // of a store that has failed the next start writes it
	}
	return err
}

// writeWhole puts a file in its place as a whole, synced; the names in its folder are not. Error: of the file system.
func writeWhole(path string, text []byte) error {
	file, err := os.OpenFile(path+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(path+".new", path)
	}
	return err
}

// syncFolder makes the names in a folder durable.
func syncFolder(folder string) error {
	dir, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// damageNote tells the loop of the marks that a copy of a shard is damaged, or that it is gone with its files.
type damageNote struct {
	shard int
	mark  shard.Mark
	gone  bool
	done  chan<- int // told how many marks are left, when the file says so; nil if nobody waits
}

// runDamage is the loop that owns the marks and their file, so that a restart knows what is damaged.
func runDamage(room *Room) {
	marks := maps.Clone(room.Marks)
	for note := range room.Damage {
		known := marks[note.shard].Copy == note.mark.Copy && marks[note.shard].Reason != ""
		switch {
		case note.gone:
			delete(marks, note.shard)
		case !known:
			marks[note.shard] = note.mark
		}
		err := error(nil)
		if note.gone || !known {
			err = saveMarks(room.Store, room.Config.Data, marks)
		}
		for ; err != nil; err = saveMarks(room.Store, room.Config.Data, marks) {
			room.Log.Error("the damage of a shard cannot be noted; trying again", "shard", note.shard, "error", err)
			time.Sleep(retryDisk)
		}
		if note.done != nil {
			note.done <- len(marks)
		}
	}
}

// renew drops a shard's copy with its files and makes an empty one in its place, in order with what the disk's loop
// writes; the mark of the former copy goes with it. Nothing is filled in before this is done, so that no mark outlives
// its reason. With the last mark merges begin again. Error: ErrStore.
func renew(room *Room, st Store, s int) (Store, error) {
	room.Log.Warn("the data of a shard is damaged; it is dropped, and filled again from the other node", "shard", s)
	st, err := renewFamily(st, s)
	if err != nil {
		return st, err
	}
	left := make(chan int, 1)
	room.Damage <- damageNote{shard: s, gone: true, done: left}
	if <-left > 0 {
		return st, nil
	}
	if room.Lenient {
		select {
		case room.Again <- "what could not be read is gone; the store is opened anew with all checks":
		default:
		}
	}
	return st, startMerges(st)
}
