package store

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"reflect"
	"syscall"
	"testing"

	"tandem/shard"
	"tandem/shard/views"
)

// RocksDB reserves disk ahead of what it writes. A store with little in it may reserve little: what a few users take is
// not to be a multiple of their JSON.
func TestAStoreReservesLittle(t *testing.T) {
	c := Options{Data: t.TempDir(), Shards: 3, CacheMB: 8}
	db, err := openForTest(c)
	if err != nil {
		t.Fatal(err)
	}
	if db, err = AddFamilies(db, []int{0, 2}); err != nil {
		t.Fatal(err)
	}
	if err := PutLocal(db, "some", []byte("thing")); err != nil {
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

// BenchmarkWriteBatch stores group commits of 16 creates, each in a shard of its own, without the write log: what
// RocksDB itself costs.
func BenchmarkWriteBatch(b *testing.B) {
	c := Options{Data: b.TempDir(), Shards: 16, CacheMB: 8}
	db, err := openForTest(c)
	if err != nil {
		b.Fatal(err)
	}
	held := make([]int, c.Shards)
	for s := range held {
		held[s] = s
	}
	if db, err = AddFamilies(db, held); err != nil {
		b.Fatal(err)
	}
	layout, counts := shard.Layout{Nodes: 3, Shards: c.Shards}, make([]Buckets, c.Shards)
	group, batch := make([]Part, c.Shards), []byte(nil)
	for lsn := uint64(1); b.Loop(); lsn++ {
		for s := range group {
			n := shard.Entry{Result: shard.Created, ID: fmt.Sprintf("user-%d-%d", s, lsn*7919%1000003),
				Name: "Ada Lovelace", Email: "ada@example.org", Epoch: 1, LSN: lsn}
			group[s] = EntriesPart(layout, s, FamilyID(db, s), []shard.Entry{n}, lsn == 1, &counts[s], 1)
		}
		batch = JoinParts(batch, group)
		if err := WriteBatch(db, batch); err != nil {
			b.Fatal(err)
		}
	}
}

func TestSavedEntriesAreReadBackInOrder(t *testing.T) {
	db, err := openForTest(Options{Data: t.TempDir(), Shards: testLayout.Shards, CacheMB: 1})
	if err == nil {
		db, err = AddFamilies(db, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	write := func(saved ...views.SavedEntry) {
		if err := WriteBatch(db, JoinParts(nil, []Part{SavedPart(RaftFamilyID(db), saved, nil)})); err != nil {
			t.Fatal(err)
		}
	}
	write(views.SavedEntry{Key: "s", Value: []byte("1")}, views.SavedEntry{Key: "e2", Value: []byte("2")},
		views.SavedEntry{Key: "e1", Value: []byte{}})
	write(views.SavedEntry{Key: "e3", Value: []byte("3")}, views.SavedEntry{Key: "e3", Delete: true},
		views.SavedEntry{Key: "e2", Delete: true}, views.SavedEntry{Key: "e2", Value: []byte("4")})
	got, err := ReadSaved(db)
	want := []views.SavedEntry{{Key: "e1", Value: []byte{}}, {Key: "e2", Value: []byte("4")}, {Key: "s",
		Value: []byte("1")}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\n got %+v\nwant %+v", err, got, want)
	}
}
