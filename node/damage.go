package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tandem/wire/proc"
)

// damageName is the file of the data folder that names the shards whose data is damaged. It lies beside RocksDB, which takes no write any more once it has
// met damage while merging files; while it is there nothing is merged.
const damageName = "damaged.json"

// damage is what is known of a shard's damage: why, and whether nothing rests on its data any more, so that the next start drops it.
type damage struct {
	Why  string `json:"why"`
	Drop bool   `json:"drop"`
}

// suspect marks the shards whose files a failed write or merge names, and returns them.
func suspect(st Store, folder string, cause error) ([]int, error) {
	if !isDamage(cause) || st.db == nil {
		return nil, nil
	}
	shards := []int{}
	marks, err := readMarks(folder)
	for family, files := range filesOf(st) {
		for _, file := range files {
			for s := range st.families {
				if family == familyName(s) && strings.Contains(cause.Error(), file) {
					shards, marks[s] = append(shards, s), damage{Why: cause.Error()}
				}
			}
		}
	}
	if err == nil && len(shards) > 0 {
		err = writeMarks(folder, marks)
	}
	return shards, err
}

// salvage lets a start that met damage begin anew, without merges and knowing of it. It is done if that is not what went wrong.
func salvage(room *Room, cause error, done chan<- struct{}) {
	defer close(done)
	shards, err := suspect(room.Store, room.Config.Data, cause)
	if len(shards) == 0 || err != nil {
		return
	}
	room.Log.Error("the data of shards is damaged; they are filled again", "shards", shards, "error", cause)
	proc.StopIf(room.Output, proc.StartAnew(room.Output))
}

// mergeAgain lets files be merged once what was damaged has been dropped.
func mergeAgain(room *Room) {
	if !room.Merge {
		return
	}
	if err := startMerges(room.Store); err != nil {
		room.Log.Error("files are not merged until the next start", "error", err)
	}
}

// readMarks returns the marks by shard.
func readMarks(folder string) (map[int]damage, error) {
	marks := map[int]damage{}
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

// writeMarks puts the file in its place as a whole, synced; without marks there is none.
func writeMarks(folder string, marks map[int]damage) error {
	path := filepath.Join(folder, damageName)
	if len(marks) == 0 {
		return os.Remove(path)
	}
	text, err := json.Marshal(marks)
	if err != nil {
		return err
	}
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

// dropDamaged drops the data of shards on which nothing rests any more; their replicas are filled again from the other node.
func dropDamaged(room *Room, out chan<- opened) {
	for s, m := range room.Damage {
		if !m.Drop {
			continue
		}
		var err error
		room.Store, err = dropFamily(room.Store, s)
		delete(room.Damage, s)
		if err == nil {
			err = writeMarks(room.Config.Data, room.Damage)
		}
		if err != nil {
			out <- opened{err: err}
			return
		}
	}
	out <- opened{}
}

// reseed has the data of a damaged shard dropped by the next start, which follows at once: nothing rests on it any more, and files that are damaged must
// not be merged with what comes. Then the shard is filled again from the other node.
func reseed(room *Room, s int) {
	room.Log.Error("the data of a shard is damaged; the node starts anew without it and is sent it again", "shard", s)
	marks, err := readMarks(room.Config.Data)
	marks[s] = damage{marks[s].Why, true}
	if err == nil {
		err = writeMarks(room.Config.Data, marks)
	}
	if err != nil {
		room.Log.Error("the damage cannot be noted", "shard", s, "error", err)
		return
	}
	select {
	case room.Again <- "the data of " + familyName(s) + " is damaged":
	default:
	}
}
