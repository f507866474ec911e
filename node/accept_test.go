package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem/node/store"
	"tandem/shard"
)

// A file of marks that is gone although the store notes that there is one marks all that is there. Once nothing is
// marked the store notes none.
func TestMarksThatAreGone(t *testing.T) {
	wiring := serviceWiring(t, t.TempDir(), testLayout, 0)
	var err error
	if wiring.DB, err = store.AddFamilies(wiring.DB, []int{2, 5}); err != nil {
		t.Fatal(err)
	}
	wiring.Member = 1 << 16
	path := filepath.Join(wiring.Config.Data, store.MarksName)
	settle := func(names []string, marks map[int]shard.Mark) map[int]shard.Mark {
		s := settleDamage(starting{wiring: wiring, names: names, marks: marks})
		if s.err != nil {
			t.Fatal(s.err)
		}
		return wiring.Marks
	}
	if marks := settle(nil, nil); len(marks) != 0 {
		t.Errorf("a store that never had marks: %v", marks)
	}
	if marks := settle(nil, map[int]shard.Mark{2: {Reason: "a test"}}); len(marks) != 1 {
		t.Errorf("one is marked, and yet: %v", marks)
	}
	if err = os.Remove(path); err != nil {
		t.Fatal(err)
	}
	// the two shards and Raft's state
	if marks := settle(nil, nil); len(marks) != 3 || !strings.Contains(marks[5].Reason, "is gone") {
		t.Errorf("the file is gone, and yet: %v", marks)
	}
	if marks, err := store.ReadMarks(wiring.Config.Data); err != nil || len(marks) != 3 {
		t.Errorf("the file is not there again: %v, %v", marks, err)
	}
	settle([]string{store.MarksName}, nil)
	if _, err = os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing is marked, and there is a file: %v", err)
	}
	if marks := settle(nil, nil); len(marks) != 0 {
		t.Errorf("the store still notes a file: %v", marks)
	}
}
