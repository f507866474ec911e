package store

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem/shard"
)

// A file of marks that cannot be read marks all shards: any of them may be a damaged one, and none is served unseen.
func TestMarksThatCannotBeRead(t *testing.T) {
	dir, mark := t.TempDir(), shard.Mark{Store: 9, Copy: 2, Reason: "a test", Accepting: true}
	if err := WriteMarks(dir, map[int]shard.Mark{3: mark, shard.RaftPart: mark}); err != nil {
		t.Fatal(err)
	}
	whole, err := ReadMarks(dir)
	if err != nil || len(whole) != 2 || whole[3] != mark || whole[shard.RaftPart] != mark {
		t.Fatalf("%v, %v", whole, err)
	}
	text, err := os.ReadFile(filepath.Join(dir, MarksName))
	if err != nil {
		t.Fatal(err)
	}
	bad := map[string]string{"empty": "", "garbage": "garbage", "a list": "[1,2]", "null": "null", "no marks": "{}",
		"another copy":  strings.Replace(string(text), `"copy":2`, `"copy":3`, 1),
		"another shard": strings.Replace(string(text), `"3":`, `"4":`, 1), "half of it": string(text[:len(text)/2])}
	for name, text := range bad {
		if err := os.WriteFile(filepath.Join(dir, MarksName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if marks, err := ReadMarks(dir); err != nil || len(marks) != shard.RaftPart+1 || marks[3].Accepting ||
			!strings.Contains(marks[0].Reason, MarksName) {
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
	got := SettleMarks(marks, bad, 1<<16, copies)
	if len(got) != 3 || got[0] != (shard.Mark{Store: 1 << 16, Copy: 5, Reason: "a file"}) || got[2].Copy != 7 ||
		!got[2].Accepting || got[shard.RaftPart].Store != 1<<16 {
		t.Errorf("%v", got)
	}
}

// Marks that were made before the store was open speak of what is there; one of another store or of a copy that is gone
// says nothing.
func TestMarksAreSettled(t *testing.T) {
	member := shard.MemberID(0, [16]byte{7})
	other := shard.MemberID(0, [16]byte{8})
	marks := map[int]shard.Mark{0: {Reason: "the log"}, 1: {Store: member, Copy: 9, Reason: "block"},
		2: {Store: member, Copy: 4, Reason: "an older copy"},
		3: {Store: other, Copy: 6, Reason: "another store"}, shard.RaftPart: {Reason: "the log"}}
	got := SettleMarks(marks, map[int]string{4: "a file"}, member, []uint32{3, 9, 5, 6, 8})
	want := map[int]shard.Mark{0: {Store: member, Copy: 3, Reason: "the log"}, 1: marks[1],
		4: {Store: member, Copy: 8, Reason: "a file"}, shard.RaftPart: {Store: member, Reason: "the log"}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%+v, expected %+v", got, want)
	}
}
