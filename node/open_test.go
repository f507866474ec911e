package main

import (
	"os"

	"tandem/shard"
)

// openForTest opens the store in a folder as it is, or makes one.
func openForTest(c Config) (Store, error) {
	if err := os.MkdirAll(c.Data, 0o755); err != nil {
		return Store{}, err
	}
	names, err := namesIn(c.Data)
	if err != nil {
		return Store{}, err
	}
	return openStore(c, shard.OpenTry{}, true, !holdsStore(names))
}

// unwritten is what a start has written that has written nothing.
func unwritten(held []int) written {
	return written{start: 1, held: held, totals: make([]uint64, shard.RaftPart+1)}
}
