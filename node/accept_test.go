package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem/shard"
)

// A file of marks that cannot be read marks all shards: any of them may be a damaged one, and none is served unseen.
func TestMarksThatCannotBeRead(t *testing.T) {
	dir, mark := t.TempDir(), shard.Mark{Store: 9, Copy: 2, Reason: "a test", Accepting: true}
	if err := writeMarks(dir, map[int]shard.Mark{3: mark, shard.RaftPart: mark}); err != nil {
		t.Fatal(err)
	}
	whole, err := readMarks(dir)
	if err != nil || len(whole) != 2 || whole[3] != mark || whole[shard.RaftPart] != mark {
		t.Fatalf("%v, %v", whole, err)
	}
	text, err := os.ReadFile(filepath.Join(dir, damageName))
	if err != nil {
		t.Fatal(err)
	}
	bad := map[string]string{"empty": "", "garbage": "garbage", "a list": "[1,2]", "null": "null", "no marks": "{}",
		"another copy":  strings.Replace(string(text), `"copy":2`, `"copy":3`, 1),
		"another shard": strings.Replace(string(text), `"3":`, `"4":`, 1), "half of it": string(text[:len(text)/2])}
	for name, text := range bad {
		if err := os.WriteFile(filepath.Join(dir, damageName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if marks, err := readMarks(dir); err != nil || len(marks) != shard.RaftPart+1 || marks[3].Accepting ||
			!strings.Contains(marks[0].Reason, damageName) {
			t.Errorf("%s: %d marks, %v", name, len(marks), err)
		}
	}
}

// Of the marks those hold that speak of a copy that is there; the one of a copy that is being replaced holds for any
// (an end in the middle of accept-loss).
func TestMarksOfWhatIsReplacedAreSettled(t *testing.T) {
	copies := []uint32{5, 6, 7, 0}
	marks := map[int]shard.Mark{0: {Store: 1 << 16, Copy: 5, Reason: "r"}, 1: {Store: 1 << 16, Copy: 4, Reason: "r"},
		2: {Store: 1 << 16, Copy: 4, Reason: "r", Accepting: true}, 3: {Reason: "no such shard here"},
		shard.RaftPart: {Reason: "r"}}
	bad := map[int]string{0: "a file", 2: "a file of the new copy"}
	got := settleMarks(marks, bad, 1<<16, copies)
	if len(got) != 3 || got[0] != (shard.Mark{Store: 1 << 16, Copy: 5, Reason: "a file"}) || got[2].Copy != 7 ||
		!got[2].Accepting || got[shard.RaftPart].Store != 1<<16 {
		t.Errorf("%v", got)
	}
}

// A file of marks that is gone although the store notes that there is one marks all that is there. Once nothing is
// marked the store notes none.
func TestMarksThatAreGone(t *testing.T) {
	room := councilRoom(t, t.TempDir(), testLayout, 0)
	var err error
	if room.Store, err = addFamilies(room.Store, []int{2, 5}); err != nil {
		t.Fatal(err)
	}
	room.Member = 1 << 16
	path := filepath.Join(room.Config.Data, damageName)
	settle := func(names []string, marks map[int]shard.Mark) map[int]shard.Mark {
		s := settleDamage(starting{room: room, names: names, marks: marks})
		if s.err != nil {
			t.Fatal(s.err)
		}
		return room.Marks
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
	if marks, err := readMarks(room.Config.Data); err != nil || len(marks) != 3 {
		t.Errorf("the file is not there again: %v, %v", marks, err)
	}
	settle([]string{damageName}, nil)
	if _, err = os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing is marked, and there is a file: %v", err)
	}
	if marks := settle(nil, nil); len(marks) != 0 {
		t.Errorf("the store still notes a file: %v", marks)
	}
}
