package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The number of a start is out of the write log before anything else is written: a folder that has lost its log still
// knows it, and the nonces.
func TestTheCountOfStartsOutlivesTheLog(t *testing.T) {
	dir, lost := t.TempDir(), t.TempDir()
	db, err := openForTest(Options{Data: dir, Shards: 1, CacheMB: 1})
	if err != nil {
		t.Fatal(err)
	}
	for nonce := range uint64(3) {
		if start, _, err := CountStart(db, 100+nonce); err != nil || start.Number != nonce+1 {
			t.Fatalf("%+v, %v", start, err)
		}
	}
	names, err := NamesIn(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if filepath.Ext(name) == ".log" || name == "archive" {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(lost, name), text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if db, err = Open(Options{Data: lost, Shards: 1, CacheMB: 1},
		true, false, false); err != nil {
		t.Fatal(err)
	}
	start, former, err := CountStart(db, 200)
	if err != nil || start.Number != 4 || !slices.Equal(former, []uint64{102, 101, 100}) {
		t.Errorf("start %d, former nonces %d, %v", start.Number, former, err)
	}
}

func TestFolderOfAnotherNodeIsRefused(t *testing.T) {
	db, err := openForTest(Options{Data: t.TempDir(), Shards: 24, CacheMB: 8})
	if err != nil {
		t.Fatal(err)
	}
	mine := Identity{Format: Format, Cluster: "test", Node: "db-0", Ring: "db-0,db-1,db-2", Shards: 24}
	first, err := Claim(db, mine)
	if err != nil || first.Store == "" {
		t.Fatal(first, err)
	}
	if again, err := Claim(db, mine); err != nil || again != first {
		t.Errorf("claimed again: %+v, %v", again, err)
	}
	// it stays as it is
	for format, says := range map[int]string{Format - 1: "no longer reads", Format + 1: "too old to read"} {
		other := first
		other.Format = format
		value, err := json.Marshal(other)
		if err = errors.Join(err, PutLocal(db, identityKey, value)); err != nil {
			t.Fatal(err)
		}
		if _, err = Claim(db, mine); !errors.Is(err, ErrFolder) || !strings.Contains(err.Error(), says) {
			t.Errorf("a folder of format %d: %v", format, err)
		}
		if kept, err := GetLocal(db, identityKey); err != nil || !bytes.Equal(kept, value) {
			t.Errorf("a folder of format %d was changed: %s, %v", format, kept, err)
		}
	}
	value, err := json.Marshal(first)
	if err = errors.Join(err, PutLocal(db, identityKey, value)); err != nil {
		t.Fatal(err)
	}
	for _, other := range []Identity{{Format, "else", "db-0", "db-0,db-1,db-2", 24, "", 0, 0},
		{Format, "test", "db-1", "db-0,db-1,db-2", 24, "", 0, 0},
		{Format, "test", "db-0", "db-0,db-1,db-2,db-3", 24, "", 0, 0},
		{Format, "test", "db-0", "db-1,db-0,db-2", 24, "", 0, 0},
		{Format, "test", "db-0", "db-0,db-1,db-2", 48, "", 0, 0}} {
		if _, err := Claim(db, other); err == nil || !strings.Contains(err.Error(),
			"was made as node db-0 of the nodes db-0,db-1,db-2 in this order") {
			t.Errorf("%+v: %v", other, err)
		}
	}
}
