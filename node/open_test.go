package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

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
	return openStore(c, shard.OpenTry{}, true, !holdsStore(names), openToWrite)
}

// unwritten is what a start has written that has written nothing.
func unwritten(held []int) written {
	return written{start: 1, held: held, totals: make([]uint64, shard.RaftPart+1)}
}

// The number of a start is out of the write log before anything else is written: a folder that has lost its log still
// knows it, and the nonces.
func TestTheCountOfStartsOutlivesTheLog(t *testing.T) {
	dir, lost := t.TempDir(), t.TempDir()
	st, err := openForTest(Config{Data: dir, Shards: 1, CacheMB: 1})
	if err != nil {
		t.Fatal(err)
	}
	for nonce := range uint64(3) {
		if start, _, err := countStart(st, 100+nonce); err != nil || start.Number != nonce+1 {
			t.Fatalf("%+v, %v", start, err)
		}
	}
	names, err := namesIn(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if filepath.Ext(name) == ".log" || name == "archive" {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(lost, name), text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if st, err = openStore(Config{Data: lost, Shards: 1, CacheMB: 1},
		shard.OpenTry{Log: shard.DamagedEnd, Lenient: true}, false, false, openToWrite); err != nil {
		t.Fatal(err)
	}
	start, former, err := countStart(st, 200)
	if err != nil || start.Number != 4 || !slices.Equal(former, []uint64{102, 101, 100}) {
		t.Errorf("start %d, former nonces %d, %v", start.Number, former, err)
	}
}
