package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"tandem/node/store"
	"tandem/shard"
)

// noteEvery is how often it is noted how far the log is synced.
const noteEvery = time.Second

// judgeLog reads the log files of the data folder and says how the log ends. Error: of the file system.
func judgeLog(s starting) starting {
	folder := s.wiring.Config.Data
	numbers, err := store.LogFiles(folder)
	pieces, file := []shard.LogPiece{}, []byte(nil)
	for _, n := range numbers {
		if err == nil {
			file, err = os.ReadFile(filepath.Join(folder, store.LogName(n)))
		}
		records := store.ScanLog(file)
		pieces = append(pieces, store.PiecesOf(records)...)
	}
	p := store.SyncNote{}
	if err == nil {
		p, err = store.ReadSyncNote(folder)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.err = err
		return s
	}
	boot := store.ThisBoot()
	s.verdict = shard.JudgeLog(pieces, s.held, shard.LogKnown{Synced: p.Head, SameBoot: p.Boot == boot && boot != 0})
	return s
}

// dropSyncNotes removes the note of how far the log was synced: the opening has moved all of the log into files. Error:
// of the file system.
func dropSyncNotes(s starting) starting {
	s.err = store.DropSyncNotes(s.wiring.Config.Data)
	return s
}

// runSyncNotes is the loop that notes once a second how far the log has been synced, so that a log that has lost its
// end is known for what it is. A note that cannot be written is no harm by itself, and comes again.
func runSyncNotes(node *Node, storage *Storage) {
	ticks := time.NewTicker(noteEvery)
	noted, turn, boot := shard.BatchHead{}, int64(0), store.ThisBoot()
	before, _ := store.LogFiles(node.Config.Data) // else the first tick notes nothing
	for range ticks.C {
		// What was synced since the tick before lies in what was the newest file then, or in a later one. The newest now may
		// be empty: RocksDB begins one by itself when there was no space for the one before, and has brought that to tables.
		now, err := store.LogFiles(node.Config.Data)
		numbers := before
		before = now
		head := shard.BatchHead{}
		select {
		case head = <-storage.Synced:
		default:
		}
		same := head.Start == noted.Start && head.Number == noted.Number
		if err != nil || head.Number == 0 || len(numbers) == 0 || same {
			continue
		}
		note := store.SyncNote{Head: head, File: numbers[len(numbers)-1], Boot: boot}
		if err = store.WriteSyncNote(node.Config.Data, note, turn); err == nil {
			noted, turn = head, 1-turn
		}
	}
}
