package main

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"tandem/node/store"
	"tandem/shard"
)

// What an earlier run has kept of a shard is used where that run has begun to replace the copy, whether the marks still
// say so or were lost, and is never deleted unread.
func TestWhatAnEarlierRunHasKept(t *testing.T) {
	saved := store.Leftover{Users: []shard.Record{{ID: "a", Name: "Ada", Email: "a@x", Epoch: 3, LSN: 9}}, Epoch: 3,
		Last: 9}
	text, err := store.Seal(saved)
	if err != nil {
		t.Fatal(err)
	}
	entries := []shard.Entry{loggedEntry(2, 1, 1), loggedEntry(2, 2, 1)}
	for _, c := range []struct {
		name      string
		text      string // of the file, "" for none
		accepting bool   // the mark says that the copy is being replaced
		begun     bool   // the copy has a history
		users     int    // that are left, -1 for an error
		aside     bool   // the file is kept beside the new one
	}{
		{"a first run", "", false, true, 2, false},
		{"a file of an earlier damage", string(text), false, true, 2, true},
		{"broken off, and the mark says so", string(text), true, true, 1, false},
		{"broken off, and the marks are lost", string(text), false, false, 1, false},
		{"the mark speaks of a file that is gone", "", true, true, -1, false},
		{"the marks are lost, and the file is no file", "x", false, false, -1, false},
		{"a bit of the file is another one", strings.Replace(string(text), `Ada`, `Adb`, 1), true, true, -1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			wiring := serviceWiring(t, t.TempDir(), testLayout, 0)
			db, err := store.AddFamilies(wiring.DB, []int{2})
			if err != nil {
				t.Fatal(err)
			}
			if c.begun {
				part := store.EntriesPart(testLayout, 2, store.FamilyID(db, 2), entries, true, &store.Buckets{}, 1)
				if err = store.WriteBatch(db, store.JoinParts(nil, []store.Part{part})); err != nil {
					t.Fatal(err)
				}
			}
			path := keptPath(wiring.Config.Data, 2)
			if c.text != "" && os.WriteFile(path, []byte(c.text), 0o600) != nil {
				t.Fatal("cannot write")
			}
			a := accepting{told: acceptLossFlags{Data: wiring.Config.Data}, out: &bytes.Buffer{}, db: db, shard: 2,
				marks: map[int]shard.Mark{2: {Store: 1 << 16, Copy: 1, Reason: "r", Accepting: c.accepting}}}
			a = readShard(a)
			if (a.err != nil) != (c.users < 0) || a.err == nil && len(a.left.Users) != c.users {
				t.Fatalf("%d users, %v", len(a.left.Users), a.err)
			}
			if a.err != nil {
				if now, err := os.ReadFile(path); c.text != "" && (err != nil || string(now) != c.text) {
					t.Error("the file was touched")
				}
				return
			}
			if a = keepShard(a); a.err != nil || !a.marks[2].Accepting {
				t.Fatalf("%+v, %v", a.marks, a.err)
			}
			names, _ := store.NamesIn(wiring.Config.Data)
			aside := 0
			for _, name := range names {
				if strings.HasPrefix(name, "left-of-02.json.") {
					aside++
				}
			}
			if kept, found, err := readKept(path); err != nil || !found || len(kept.Users) != c.users ||
				(aside == 1) != c.aside {
				t.Errorf("kept %d, %v, %v; %d beside it", len(kept.Users), found, err, aside)
			}
		})
	}
}

// A folder whose store another process has open is refused by name.
func TestAFolderInUse(t *testing.T) {
	dir := t.TempDir()
	if err := store.InUse(dir); err != nil {
		t.Error(err)
	}
	a := openToAccept(accepting{told: acceptLossFlags{Data: dir, DryRun: true}, out: &bytes.Buffer{}})
	if !errors.Is(a.err, store.ErrFolder) || !strings.Contains(a.err.Error(), "data folder of a node") {
		t.Error(a.err)
	}
}
