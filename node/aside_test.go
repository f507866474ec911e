package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// namesIn lists what is in a folder.
func namesIn(t *testing.T, folder string) []string {
	t.Helper()
	list, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, entry := range list {
		names = append(names, entry.Name())
	}
	return names
}

// What is set aside is kept, the last one only, and a moving that was broken off is done by the next start.
func TestOutdatedStoresAreSetAside(t *testing.T) {
	folder := t.TempDir()
	fill := func(names ...string) {
		for _, name := range names {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(name), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	move := func() string {
		why, into, err := moveAside(folder)
		if err != nil || (why == "") != (into == "") {
			t.Fatal(why, into, err)
		}
		return why
	}
	fill("CURRENT", "000004.sst")
	if why := move(); why != "" {
		t.Errorf("moved without a mark: %s", why)
	}
	first := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	if err := markOutdated(folder, "start 7 is known", first); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(folder, "set-aside-20260301-120000"), 0o755); err != nil { // broken off
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(folder, "CURRENT"), filepath.Join(folder, "set-aside-20260301-120000", "CURRENT")); err != nil {
		t.Fatal(err)
	}
	if why := move(); why != "start 7 is known" {
		t.Errorf("why: %s", why)
	}
	if names := namesIn(t, folder); !slices.Equal(names, []string{"set-aside-20260301-120000"}) {
		t.Errorf("left: %s", names)
	}
	if names := namesIn(t, filepath.Join(folder, "set-aside-20260301-120000")); !slices.Equal(names, []string{"000004.sst", "CURRENT"}) {
		t.Errorf("set aside: %s", names)
	}
	fill("CURRENT")
	if err := markOutdated(folder, "again", first.Add(time.Hour)); err != nil || move() != "again" {
		t.Fatal(err)
	}
	if names := namesIn(t, folder); !slices.Equal(names, []string{"set-aside-20260301-130000"}) {
		t.Errorf("left the second time: %s", names)
	}
	for _, text := range []string{"", "{}", `{"into":"../x"}`, `{"into":"set-aside-/../../x"}`} {
		if err := os.WriteFile(filepath.Join(folder, outdatedName), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, _, err := moveAside(folder); !errors.Is(err, ErrFolder) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
