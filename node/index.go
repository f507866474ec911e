package main

import "sort"

// indexStep is how many LSNs of a shard lie at least between two points of the index.
const indexStep = 256

// indexMost is how many points of a shard are kept.
const indexMost = 1 << 14

// indexNote is how far some shards' logs had come when the WAL had reached a sequence.
type indexNote struct {
	Sequence  uint64
	Positions []storedPosition
}

// indexAsk asks from which WAL sequence on the log of a shard must be read to find an LSN; 0 is its beginning.
type indexAsk struct {
	shard int
	lsn   uint64
	reply chan<- uint64
}

// indexPoint is a point of the sparse index: all entries of the shard with a greater LSN stand behind the sequence.
type indexPoint struct{ lsn, sequence uint64 }

// runIndex is the loop that knows where in the WAL the entries of each shard stand, roughly: searching the log from its
// beginning for every repair would cost more than the repair. points are by shard, in order, as they were found at the
// start.
func runIndex(storage *Storage, points [][]indexPoint) {
	for {
		select {
		case note := <-storage.Index:
			points = addPoints(points, note)
		case ask := <-storage.Lookups:
			list := points[ask.shard]
			at := sort.Search(len(list), func(i int) bool { return list[i].lsn >= ask.lsn })
			if at == 0 {
				ask.reply <- 0
				continue
			}
			ask.reply <- list[at-1].sequence
		}
	}
}

// addPoints notes where some shards are. A shard that begins anew at a lower LSN forgets its points.
func addPoints(points [][]indexPoint, note indexNote) [][]indexPoint {
	for _, m := range note.Positions {
		list := points[m.Shard]
		last := indexPoint{}
		if len(list) > 0 {
			last = list[len(list)-1]
		}
		switch {
		case m.Wiped || m.LSN < last.lsn:
			points[m.Shard] = nil
		case m.LSN >= last.lsn+indexStep:
			if len(list) >= indexMost { // the WAL does not reach back for ever
				list = append([]indexPoint(nil), list[len(list)/2:]...)
			}
			points[m.Shard] = append(list, indexPoint{m.LSN, note.Sequence})
		}
	}
	return points
}
