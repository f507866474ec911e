package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"tandem/node/store"
	"tandem/shard"
)

var testLayout = shard.Layout{Nodes: 3, Shards: 24}

func someEntries() []shard.Entry {
	return []shard.Entry{
		{Request: shard.RequestID{1}, Result: shard.Created, ID: "13AE742", Name: "Ada", Email: "ada@example.org",
			Group: -5, Epoch: 3, LSN: 7, Wall: 1790000000123},
		{Request: shard.RequestID{2}, Result: shard.Updated, ID: "13AE742", Name: "Ada L.", Email: "", Group: 1 << 60,
			Epoch: 3, LSN: 8},
		{Request: shard.RequestID{3}, Result: shard.Created, ID: "0b3c1a52-8a4e-4c5e-9d6f-0123456789ab", Name: "é",
			Email: "x", Epoch: 3, LSN: 9},
		{Request: shard.RequestID{4}, Result: shard.Deleted, ID: "13AE742", Epoch: 3, LSN: 10, Wall: -1},
	}
}

func loggedEntry(s int, lsn, epoch uint64) shard.Entry {
	return shard.Entry{Request: [16]byte{byte(s), byte(lsn)}, Result: shard.Created, ID: fmt.Sprintf("%d-%d", s, lsn),
		Name: strings.Repeat("n", 1000), Email: "e", Epoch: epoch, LSN: lsn}
}

// logFor begins the write log behind what is there.
func logFor(t *testing.T, wiring *wiring) store.Log {
	t.Helper()
	found, err := store.RecoverLog(wiring.Config.Data)
	l, bad := store.BeginLog(wiring.Config.Data, found, 1, nil)
	if err = errors.Join(err, bad); err != nil {
		t.Fatal(err)
	}
	return l
}

// storeForTest writes parts as the loop of the disk does.
func storeForTest(t *testing.T, wiring *wiring, l store.Log, parts ...store.Part) store.Log {
	t.Helper()
	stored := store.Store(store.Storing{DB: wiring.DB, Log: l, Parts: parts})
	if stored.Err != nil {
		t.Fatal(stored.Err)
	}
	return stored.Log
}

// openForTest opens the store in a folder as it is, or makes one.
func openForTest(c store.Options) (store.DB, error) {
	if err := os.MkdirAll(c.Data, 0o755); err != nil {
		return store.DB{}, err
	}
	names, err := store.NamesIn(c.Data)
	if err != nil {
		return store.DB{}, err
	}
	return store.Open(c, false, true, !store.HoldsStore(names))
}
