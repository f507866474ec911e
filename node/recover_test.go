package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/shard"
)

// Of two notes how far the log was synced the newest that is whole counts, whatever became of the other one.
func TestTheNoteOfTheLogSurvivesATornWrite(t *testing.T) {
	older := promise{shard.BatchHead{Start: 3, Number: 70}, 12, 99}
	newer := promise{shard.BatchHead{Start: 3, Number: 71}, 13, 99}
	file := appendPromise(appendPromise(nil, newer), older)
	if got := readPromise(file); fmt.Sprint(got) != fmt.Sprint(newer) {
		t.Errorf("%+v", got)
	}
	for at := range promiseBytes {
		torn := slices.Clone(file)
		torn[at] ^= 1
		if got := readPromise(torn); fmt.Sprint(got) != fmt.Sprint(older) {
			t.Errorf("byte %d is torn: %+v", at, got)
		}
	}
	if got := readPromise(file[:20]); got.head.Number != 0 {
		t.Errorf("a short file: %+v", got)
	}
	if got := readPromise(nil); got.head.Number != 0 {
		t.Errorf("no file: %+v", got)
	}
}

func TestCurrentIsWrittenAnewForTheOnlyManifest(t *testing.T) {
	for _, c := range []struct {
		current   string
		manifests []string
		want      string
	}{
		{"MANIFEST-000005\n", []string{"MANIFEST-000005"}, ""},
		{"MANIGEST-000005\n", []string{"MANIFEST-000005"}, "MANIFEST-000005\n"},
		{"-", []string{"MANIFEST-000005"}, "MANIFEST-000005\n"},
		{"garbage", []string{"MANIFEST-000005", "MANIFEST-000009"}, ""},
		{"garbage", nil, ""},
	} {
		dir := t.TempDir()
		for _, name := range c.manifests {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("m"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if c.current != "-" {
			if err := os.WriteFile(filepath.Join(dir, "CURRENT"), []byte(c.current), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		names, err := namesIn(dir)
		if err != nil {
			t.Fatal(err)
		}
		changed := nameManifest(dir, names)
		text, _ := os.ReadFile(filepath.Join(dir, "CURRENT"))
		if changed != (c.want != "") || changed && string(text) != c.want {
			t.Errorf("%+v: %v, %q", c, changed, text)
		}
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
	got := settleMarks(marks, map[int]string{4: "a file"}, member, []uint32{3, 9, 5, 6, 8})
	want := map[int]shard.Mark{0: {Store: member, Copy: 3, Reason: "the log"}, 1: marks[1],
		4: {Store: member, Copy: 8, Reason: "a file"}, shard.RaftPart: {Store: member, Reason: "the log"}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%+v, expected %+v", got, want)
	}
}

// A store that cannot be used is moved aside whole, and nothing that was set aside is ever deleted: when there are
// many, a person must look.
func TestStoresAreSetAside(t *testing.T) {
	dir := t.TempDir()
	for round := range mostAside + 1 {
		for _, name := range []string{"CURRENT", "000001.log", damageName} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(fmt.Sprint(round)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		aside, err := setAside(dir, time.Date(2026, 1, 2, 3, 4, 5+round, 0, time.UTC))
		if round == mostAside {
			if !errors.Is(err, ErrUnreadable) || !strings.Contains(err.Error(), "set aside") {
				t.Errorf("the store after %d: %v", mostAside, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		names, err := namesIn(dir)
		if err != nil || len(names) != round+1 || holdsStore(names) {
			t.Errorf("left: %v, %v", names, err)
		}
		if text, err := os.ReadFile(filepath.Join(aside, "000001.log")); err != nil ||
			string(text) != fmt.Sprint(round) {
			t.Errorf("%s: %q, %v", aside, text, err)
		}
	}
}

// A folder that holds anything of a database is never taken for an empty one: a new database over an old one would hide
// all of it.
func TestAFolderThatHoldsSomethingIsNotNew(t *testing.T) {
	for _, name := range []string{"CURRENT", "MANIFEST-000004", "000012.sst", "000013.log", "IDENTITY",
		"OPTIONS-000007"} {
		c := Config{Data: t.TempDir(), Shards: 3, CacheMB: 1}
		if err := os.WriteFile(filepath.Join(c.Data, name), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
		names, err := namesIn(c.Data)
		if err != nil || !holdsStore(names) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := openStore(c, shard.OpenTry{}, true, !holdsStore(names), openToWrite); err == nil {
			t.Errorf("a folder with %s was opened as if it were whole", name)
		}
	}
	if holdsStore([]string{damageName, promiseName, asidePrefix + "x", "lost+found"}) {
		t.Error("a folder without a database is taken for one")
	}
}
