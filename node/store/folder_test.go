package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

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
		names, err := NamesIn(dir)
		if err != nil {
			t.Fatal(err)
		}
		changed := NameManifest(dir, names)
		text, _ := os.ReadFile(filepath.Join(dir, "CURRENT"))
		if changed != (c.want != "") || changed && string(text) != c.want {
			t.Errorf("%+v: %v, %q", c, changed, text)
		}
	}
}

// A store that cannot be used is moved aside whole, and nothing that was set aside is ever deleted: when there are
// many, a person must look.
func TestStoresAreSetAside(t *testing.T) {
	dir := t.TempDir()
	for round := range mostAside + 1 {
		for _, name := range []string{"CURRENT", "000001.log", MarksName} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(fmt.Sprint(round)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		aside, err := SetAside(dir, time.Date(2026, 1, 2, 3, 4, 5+round, 0, time.UTC))
		if round == mostAside {
			if !errors.Is(err, ErrUnreadable) || !strings.Contains(err.Error(), "set aside") {
				t.Errorf("the store after %d: %v", mostAside, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		names, err := NamesIn(dir)
		if err != nil || len(names) != round+1 || HoldsStore(names) {
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
		c := Options{Data: t.TempDir(), Shards: 3, CacheMB: 1}
		if err := os.WriteFile(filepath.Join(c.Data, name), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
		names, err := NamesIn(c.Data)
		if err != nil || !HoldsStore(names) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := Open(c, false, true, !HoldsStore(names)); err == nil {
			t.Errorf("a folder with %s was opened as if it were whole", name)
		}
	}
	if HoldsStore([]string{MarksName, syncNoteName, asidePrefix + "x", "lost+found"}) {
		t.Error("a folder without a database is taken for one")
	}
}
