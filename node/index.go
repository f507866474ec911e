package main

import "sort"

// indexStep is how many LSNs of a shard lie at least between two marks of the index.
const indexStep = 256

// indexMost is how many marks of a shard are kept.
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

// place is a mark of the index: all entries of the shard with a greater LSN stand behind the sequence.
type place struct{ lsn, sequence uint64 }

// runIndex is the loop that knows where in the WAL the entries of each shard stand, roughly: searching the log from its
// beginning for every repair would cost more than the repair. places are by shard, in order, as they were found at the
// start.
func runIndex(room *Room, places [][]place) {
	for {
		select {
		case note := <-room.Index:
			places = addPlaces(places, note)
		case ask := <-room.Lookups:
			list := places[ask.shard]
			at := sort.Search(len(list), func(i int) bool { return list[i].lsn >= ask.lsn })
			if at == 0 {
				ask.reply <- 0
				continue
			}
			ask.reply <- list[at-1].sequence
		}
	}
}

// addPlaces notes where some shards are. A shard that begins anew at a lower LSN forgets its places.
func addPlaces(places [][]place, note indexNote) [][]place {
	for _, m := range note.Positions {
		list := places[m.Shard]
		last := place{}
		if len(list) > 0 {
			last = list[len(list)-1]
		}
		switch {
		case m.Wiped || m.LSN < last.lsn:
			places[m.Shard] = nil
		case m.LSN >= last.lsn+indexStep:
			if len(list) >= indexMost { // the WAL does not reach back for ever
				list = append([]place(nil), list[len(list)/2:]...)
			}
			places[m.Shard] = append(list, place{m.LSN, note.Sequence})
		}
	}
	return places
}
