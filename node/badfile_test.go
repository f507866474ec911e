package main

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/linxGnu/grocksdb"

	"tandem/shard"
)

// A file of a lower level that cannot be opened, behind one that can, is named, by a look into all files and by a read, and closing the
// iterator that has met it does not end the process.
func TestAMergedFileIsDamaged(t *testing.T) {
	c := Config{Data: t.TempDir(), Shards: 6, CacheMB: 1}
	st, err := openForTest(c)
	if err == nil {
		st, err = addFamilies(st, []int{2})
	}
	if err != nil {
		t.Fatal(err)
	}
	for first := uint64(1); first <= 1001; first += 500 {
		entries := []shard.Entry{}
		for lsn := first; lsn < first+500; lsn++ {
			n := loggedEntry(2, lsn, 1)
			n.Name = strings.Map(func(rune) rune { return 'a' + rand.Int32N(26) }, n.Name) // or they take hardly any room
			entries = append(entries, n)
		}
		part := buildPart(testLayout, 2, st.ids[2], entries, first == 1, &buckets{}, 1)
		if err = writeBatch(st, joinParts(nil, []Part{part})); err == nil {
			err = moveLog(st, 2)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err = st.db.SetOptionsCF(st.families[2], []string{"target_file_size_base"}, []string{"262144"}); err != nil {
		t.Fatal(err)
	}
	st.db.CompactRangeCF(st.families[2], grocksdb.Range{})
	merged := []string{}
	for _, f := range st.db.GetLiveFilesMetaData() {
		if f.ColumnFamilyName == familyName(2) && f.Level > 0 {
			merged = append(merged, f.Name)
		}
	}
	if len(merged) < 2 {
		t.Fatalf("merged files: %v", merged)
	}
	from := c.Data
	if c.Data = filepath.Join(t.TempDir(), "copy"); os.CopyFS(c.Data, os.DirFS(from)) != nil {
		t.Fatal("the folder cannot be copied")
	}
	path := filepath.Join(c.Data, strings.TrimPrefix(merged[1], "/"))
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)-53-20] ^= 4 // of the block before the footer, which says where the index is
	if err = os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	st, err = openStore(c, shard.OpenTry{Log: shard.DamagedEnd, Lenient: true}, false, false, openToWrite)
	if err != nil {
		t.Fatal(err)
	}
	if bad, err := badFiles(st); err != nil || !strings.Contains(bad[2], "Corruption") {
		t.Errorf("%v, %v", bad, err)
	}
	for range 20 {
		scan := openScan(st, 2)
		if err = walkScan(scan, []byte{shard.UserPrefix}, 0, func(_, _ []byte) bool { return true }); err == nil {
			t.Error("a damaged file is read")
		}
		closeScan(scan)
	}
	// nor does a merge leave out what it cannot read
	st.db.CompactRangeCF(st.families[2], grocksdb.Range{})
	scan, seen := openScan(st, 2), 0
	err = walkScan(scan, []byte{shard.UserPrefix}, 0, func(key, _ []byte) bool { seen++; return key[0] == shard.UserPrefix })
	closeScan(scan)
	if err == nil {
		t.Errorf("after a merge %d of 1500 users are read, and nothing is said", seen)
	}
}
