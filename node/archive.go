package main

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"tandem/shard/views"
)

const (
	pruneEvery = 5 * time.Second
	// a file of the write log is kept for so long in any case: the request ids in it are read at a start
	pruneAfter = 30 * time.Second
)

// runArchive is the loop that removes files of the write log that nobody can need: those that are no longer written to,
// while every backup of a shard held here is in sync. While one is not, they are kept up to --wal-keep-mb, for its
// repair (rule R17). Who reads one at that moment has it open.
func runArchive(node *Node, states <-chan views.State) {
	held := heldBy(node.Layout, node.Self)
	level := false // every backup is in sync
	ticks := time.NewTicker(pruneEvery)
	for {
		select {
		case state := <-states:
			level = true
			for _, s := range held {
				level = level && state.Views[s].InSync
			}
		case <-ticks.C:
			if !level {
				continue
			}
			if err := prune(filepath.Join(node.Config.Data, "archive"), time.Now()); err != nil {
				node.Log.Warn("old files of the write log cannot be removed", "error", err)
			}
		}
	}
}

// prune removes the files of the write log in a folder that were last written long before now.
func prune(dir string, now time.Time) error {
	files, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return nil
	}
	for _, f := range files {
		info, absent := f.Info()
		if absent == nil && strings.HasSuffix(f.Name(), ".log") && now.Sub(info.ModTime()) > pruneAfter {
			err = os.Remove(filepath.Join(dir, f.Name()))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
