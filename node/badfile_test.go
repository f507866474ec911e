package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/linxGnu/grocksdb"

	"tandem/shard"
)

// A file of a lower level that cannot be opened, behind one that can, is named, and the look that has met it does not
// end the process.
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
	// and accept-loss says how much of it it cannot read
	for range 20 {
		a := readShard(accepting{told: AcceptLoss{Data: c.Data}, out: &bytes.Buffer{}, store: st, shard: 2,
			bad: map[int]string{2: "Corruption"}, marks: map[int]shard.Mark{2: {Reason: "r"}}})
		if n := len(a.left.Users); a.err != nil || a.left.Unread == 0 || n == 0 || n >= 1500 {
			t.Errorf("%d users are left, %d buckets cannot be read, %v", n, a.left.Unread, a.err)
		}
	}
}
