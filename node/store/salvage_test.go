package store

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/linxGnu/grocksdb"

	"tandem/shard"
)

// someUsers are users of shard 2 that take room: a part for its column family, with their counts.
func someUsers(db DB, first, last uint64, mark bool) Part {
	entries := []shard.Entry{}
	for lsn := first; lsn <= last; lsn++ {
		n := loggedEntry(2, lsn, 1)
		n.Name = strings.Map(func(rune) rune { return 'a' + rand.Int32N(26) }, n.Name) // or they take hardly any
		entries = append(entries, n)
	}
	return EntriesPart(testLayout, 2, FamilyID(db, 2), entries, mark, &Buckets{}, 1)
}

// filesOfShard lists the files of shard 2 on level 0, or on those below.
func filesOfShard(db DB, below bool) (names []string) {
	for _, f := range db.rocks.GetLiveFilesMetaData() {
		if f.ColumnFamilyName == familyName(2) && (f.Level > 0) == below {
			names = append(names, strings.TrimPrefix(f.Name, "/"))
		}
	}
	return names
}

// A file that cannot be opened, of any level, is named, and the look that has met it does not end the process. What
// accept-loss reads is what the other files hold: one that spans the whole shard does not hide them, and users that a
// wipe has deleted do not come back.
func TestFilesThatCannotBeOpened(t *testing.T) {
	for _, below := range []bool{false, true} {
		t.Run(fmt.Sprint("below level 0: ", below), func(t *testing.T) {
			c := Options{Data: t.TempDir(), Shards: 6, CacheMB: 1}
			db, err := openForTest(c)
			if err == nil {
				db, err = AddFamilies(db, []int{2})
			}
			if err == nil {
				err = db.rocks.SetOptionsCF(db.families[2], []string{"target_file_size_base"}, []string{"262144"})
			}
			write := func(parts ...Part) {
				t.Helper()
				if err == nil {
					err = WriteBatch(db, JoinParts(nil, parts))
				}
				if err == nil {
					err = FlushShard(db, 2)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			write(someUsers(db, 1, 1500, true)) // and these are wiped
			db.rocks.CompactRangeCF(db.families[2], grocksdb.Range{})
			write(WipePart(2, FamilyID(db, 2)))
			write(someUsers(db, 2001, 3500, true))
			if below {
				db.rocks.CompactRangeCF(db.families[2], grocksdb.Range{})
			}
			write(someUsers(db, 4001, 4010, false))
			files := filesOfShard(db, below)
			from := c.Data
			if c.Data = filepath.Join(t.TempDir(), "copy"); os.CopyFS(c.Data, os.DirFS(from)) != nil {
				t.Fatal("the folder cannot be copied")
			}
			path := filepath.Join(c.Data, files[min(1, len(files)-1)])
			if !below { // the one with the latest few, so that the wipe can be read
				path = filepath.Join(c.Data, files[0])
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			text[len(text)-53-20] ^= 4 // of the block before the footer, which says where the index is
			if err = os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
			db, err = Open(c, true, false, false)
			if err != nil {
				t.Fatal(err)
			}
			bad, err := BadFiles(db)
			if err != nil || !strings.Contains(bad[2], "Corruption") {
				t.Fatalf("%v, %v", bad, err)
			}
			without := t.TempDir()
			if err = Salvage(c.Data, without); err != nil {
				t.Fatal(err)
			}
			c.Data = without
			salvaged, err := Open(c, false, false, false)
			if err != nil {
				t.Fatal(err)
			}
			left, _, err := ReadLeft(salvaged, 2)
			if err != nil {
				t.Fatal(err)
			}
			least, most := 1500, 1500
			if below {
				least, most = 500, 1500
			}
			if n := len(left.Users); n < least || n > most || left.Unread == 0 && below {
				t.Errorf("%d users are left, %d buckets cannot be read", n, left.Unread)
			}
			for _, u := range left.Users {
				if u.LSN <= 1500 {
					t.Fatalf("%s, which was wiped, is back", u.ID)
				}
			}
		})
	}
}
