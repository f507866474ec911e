package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"tandem/shard"
	"tandem/wire/proc"
)

// damageName is the file of the data folder that notes which copies of shards are damaged. It lies beside RocksDB, which takes no write any more once it
// has met damage while merging files; while it is there nothing is merged.
const damageName = "damaged.json"

// salvage lets a start that met damage begin anew, without merges and knowing of it. It is done if that is not what went wrong.
func salvage(room *Room, cause error, done chan<- struct{}) {
	defer func() { done <- struct{}{} }()
	found := suspects(room.Store, room.Member, cause)
	marks, err := readMarks(room.Config.Data)
	maps.Copy(marks, found)
	if len(found) == 0 || err != nil || writeMarks(room.Config.Data, marks) != nil {
		return
	}
	room.Log.Error("the data of shards is damaged; they are filled again", "shards", slices.Sorted(maps.Keys(found)), "error", cause)
	proc.StopIf(room.Output, proc.StartAnew(room.Output))
}

// readMarks returns the marks by shard; shard.RaftPart stands for Raft's saved state. Error: ErrFolder, or of the file system.
func readMarks(folder string) (map[int]shard.Mark, error) {
	marks := map[int]shard.Mark{}
	text, err := os.ReadFile(filepath.Join(folder, damageName))
	if errors.Is(err, fs.ErrNotExist) {
		return marks, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &marks)
	}
	if err != nil {
		err = fmt.Errorf("%w: %s: %w", ErrFolder, damageName, err)
	}
	return marks, err
}

// writeMarks puts the file in its place as a whole, synced, and the folder with it; without marks there is none. Error: of the file system.
func writeMarks(folder string, marks map[int]shard.Mark) error {
	path := filepath.Join(folder, damageName)
	if len(marks) == 0 {
		err := os.Remove(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return errors.Join(err, syncFolder(folder))
	}
	text, err := json.MarshalIndent(marks, "", "  ")
	if err != nil {
		return err
	}
	return errors.Join(writeWhole(path, text), syncFolder(folder))
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
			err = writeMarks(room.Config.Data, marks)
		}
		for ; err != nil; err = writeMarks(room.Config.Data, marks) {
			room.Log.Error("the damage of a shard cannot be noted; trying again", "shard", note.shard, "error", err)
			time.Sleep(retryDisk)
		}
		if note.done != nil {
			note.done <- len(marks)
		}
	}
}

// renew drops a shard's copy with its files and makes an empty one in its place, in order with what the disk's loop writes; the mark of the former copy goes with
// it. Nothing is filled in before this is done, so that no mark outlives its reason. With the last mark merges begin again. Error: ErrStore.
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
