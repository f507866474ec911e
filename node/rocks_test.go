package main

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"
	"testing"

	"tandem/shard"
)

// RocksDB reserves disk ahead of what it writes. A store with little in it may reserve little: what a few users take is
// not to be a multiple of their JSON.
func TestAStoreReservesLittle(t *testing.T) {
	c := Config{Data: t.TempDir(), Shards: 3, CacheMB: 8}
	store, err := openForTest(c)
	if err != nil {
		t.Fatal(err)
	}
	if store, err = addFamilies(store, []int{0, 2}); err != nil {
		t.Fatal(err)
	}
	if err := putFact(store, "some", []byte("thing")); err != nil {
		t.Fatal(err)
	}
	taken := int64(0)
	err = filepath.WalkDir(c.Data, func(path string, _ fs.DirEntry, err error) error {
		var about syscall.Stat_t
		if err == nil {
			err = syscall.Stat(path, &about)
		}
		taken += about.Blocks * 512
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if most := int64(6 << 20); taken > most {
		t.Errorf("a store with next to nothing in it takes %d bytes of disk, expected at most %d", taken, most)
	}
}

// BenchmarkWriteBatch stores group commits of 16 creates, each in a shard of its own, without a sync: what RocksDB
// itself costs.
func BenchmarkWriteBatch(b *testing.B) {
	c := Config{Data: b.TempDir(), Shards: 16, CacheMB: 8}
	store, err := openForTest(c)
	if err != nil {
		b.Fatal(err)
	}
	held := make([]int, c.Shards)
	for s := range held {
		held[s] = s
	}
	if store, err = addFamilies(store, held); err != nil {
		b.Fatal(err)
	}
	store.sync.SetSync(false)
	layout, counts := shard.Layout{Nodes: 3, Shards: c.Shards}, make([]buckets, c.Shards)
	group, batch := make([]Part, c.Shards), []byte(nil)
	for lsn := uint64(1); b.Loop(); lsn++ {
		for s := range group {
			n := shard.Entry{Result: shard.Created, ID: fmt.Sprintf("user-%d-%d", s, lsn*7919%1000003),
				Name: "Ada Lovelace", Email: "ada@example.org", Epoch: 1, LSN: lsn}
			group[s] = buildPart(layout, s, store.ids[s], []shard.Entry{n}, lsn == 1, &counts[s], 1)
		}
		batch = joinParts(batch, group)
		if err := writeBatch(store, batch); err != nil {
			b.Fatal(err)
		}
	}
}
