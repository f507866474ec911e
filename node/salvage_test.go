package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tandem/node/store"
	"tandem/shard"
)

// accept-loss reads a shard of which a file cannot be opened from a copy without that file: the users of the other
// files are left.
func TestAShardIsReadPastAFileThatCannotBeOpened(t *testing.T) {
	c := config{Data: t.TempDir(), Shards: testLayout.Shards, CacheMB: 1}
	db, err := openForTest(storeOptions(c))
	if err == nil {
		db, err = store.AddFamilies(db, []int{2})
	}
	if err == nil {
		_, err = store.Claim(db, store.Identity{Format: store.Format, Node: "db-0", Ring: "db-0,db-1,db-2",
			Shards: c.Shards})
	}
	for _, first := range []uint64{1, 101} {
		entries := []shard.Entry{}
		for lsn := first; lsn < first+100; lsn++ {
			entries = append(entries, loggedEntry(2, lsn, 1))
		}
		part := store.EntriesPart(testLayout, 2, store.FamilyID(db, 2), entries, first == 1, &store.Buckets{}, 1)
		if err == nil {
			err = store.WriteBatch(db, store.JoinParts(nil, []store.Part{part}))
		}
		if err == nil {
			err = store.FlushShard(db, 2)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	from := c.Data
	if c.Data = filepath.Join(t.TempDir(), "copy"); os.CopyFS(c.Data, os.DirFS(from)) != nil {
		t.Fatal("the folder cannot be copied")
	}
	files, err := filepath.Glob(filepath.Join(c.Data, "*.sst"))
	if err != nil || len(files) != 3 { // two of the shard, and one that says whose folder it is
		t.Fatalf("%v, %v", files, err)
	}
	newest := slices.Max(files)
	text, err := os.ReadFile(newest)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)-53-20] ^= 4 // of the block before the footer, which says where the index is
	if err = os.WriteFile(newest, text, 0o600); err != nil {
		t.Fatal(err)
	}
	told := acceptLossFlags{Data: c.Data}
	a := openToAccept(accepting{told: told, out: &bytes.Buffer{}})
	if a.err != nil || !strings.Contains(a.bad[2], "Corruption") {
		t.Fatalf("%v, %v", a.bad, a.err)
	}
	a.shards, a.shard, a.marks = []int{2}, 2, map[int]shard.Mark{2: {Reason: "r"}}
	if a = salvageFiles(a); a.err == nil {
		a = readShard(a)
	}
	if a.err != nil {
		t.Fatal(a.err)
	}
	if len(a.left.Users) != 100 || a.left.Last != 100 || a.folder == "" {
		t.Errorf("%d users up to LSN %d are left, from a copy in %q", len(a.left.Users), a.left.Last, a.folder)
	}
}
