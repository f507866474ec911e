package main

import (
	"errors"
	"io/fs"
	"time"

	"tandem/node/store"
	"tandem/shard"
)

// noteEvery is how often it is noted how far the log is synced.
const noteEvery = time.Second

// judgeLog reads the log of the data folder and says how it ends. Error: of the file system.
func judgeLog(s starting) starting {
	folder := s.wiring.Config.Data
	found, err := store.RecoverLog(folder)
	p := store.SyncNote{}
	if err == nil {
		p, err = store.ReadSyncNote(folder)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.err = err
		return s
	}
	if p.Sequence <= found.Flushed { // and the log may have been pruned up to there
		p.Head = shard.BatchHead{}
	}
	boot := store.ThisBoot()
	s.recovery, s.verdict = found, shard.JudgeLog(store.LogPieces(found.Pieces), s.held,
		shard.LogKnown{Synced: p.Head, SameBoot: p.Boot == boot && boot != 0})
	return s
}

// runSyncNotes is the loop that notes once a second how far the log has been synced, so that a log that has lost its
// end is known for what it is. A note that cannot be written is no harm by itself, and comes again.
func runSyncNotes(node *Node, storage *Storage) {
	ticks := time.NewTicker(noteEvery)
	turn := int64(0)
	for range ticks.C {
		select {
		case note := <-storage.Synced:
			if store.WriteSyncNote(node.Config.Data, note, turn) == nil {
				turn = 1 - turn
			}
		default: // nothing was written since
		}
	}
}
