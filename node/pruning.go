package main

import (
	"time"

	"tandem/node/store"
	"tandem/shard"
	"tandem/shard/views"
	"tandem/wire/proc"
)

const (
	pruneEvery = time.Second
	spareFor   = 10 * time.Second // a pruned segment waits so long after the last one was begun, to be written over
)

// segmentNote is a segment of the write log that is no longer written to, and what the header of the next one says.
type segmentNote struct {
	Number  uint64
	Last    uint64 // sequence of its last batch
	Bytes   int64
	Closed  int64  // when the next one was begun, in ns on the node's clock
	Flushed uint64 // the tables have all batches up to it
}

// runPruning is the loop that removes segments of the write log that nobody can need (shard.PruneLog), the oldest
// first. One of them is left to be written over while segments are begun often. segments are those that were there at
// the start.
func runPruning(node *Node, storage *Storage, segments []segmentNote, states <-chan views.State) {
	held, inSync := heldBy(node.Layout, node.Self), false
	flushed, begun, ticks := uint64(0), int64(0), time.NewTicker(pruneEvery)
	for {
		select {
		case state := <-states:
			inSync = true
			for _, s := range held {
				inSync = inSync && state.Views[s].InSync
			}
		case note := <-storage.Closed:
			flushed, begun = note.Flushed, note.Closed
			if note.Bytes > 0 { // else this process had begun none before: those that were there are known
				segments = append(segments, note)
			}
		case <-ticks.C:
			segments = prune(node, segments, flushed, inSync, proc.Clock()-begun < int64(spareFor))
		}
	}
}

// prune removes segments, and returns those that are left.
func prune(node *Node, segments []segmentNote, flushed uint64, inSync, spare bool) []segmentNote {
	list := make([]shard.LogSegment, len(segments))
	for i, s := range segments {
		list[i] = shard.LogSegment{Last: s.Last, Bytes: s.Bytes, Closed: s.Closed}
	}
	var err error
	if !spare {
		err = store.DropSpare(node.Config.Data)
	}
	n := shard.PruneLog(list, flushed, proc.Clock(), inSync, int64(node.Config.WalKeepMB)<<20)
	for ; n > 0 && err == nil; n-- { // what cannot be removed is tried again
		if err = store.PruneSegment(store.SegmentPath(node.Config.Data, segments[0].Number), spare && n == 1); err == nil {
			segments = segments[1:]
		}
	}
	if err != nil {
		node.Log.Warn("old segments of the write log cannot be removed", "error", err)
	}
	return segments
}
