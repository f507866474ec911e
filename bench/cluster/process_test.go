package cluster

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

func TestAStrangersPidIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	sleeper := exec.Command("sleep", "60")
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = sleeper.Process.Kill(), sleeper.Wait() }()
	if err := os.WriteFile(filepath.Join(dir, "db-0.pid"), []byte(strconv.Itoa(sleeper.Process.Pid)+"\n"),
		0o644); err != nil {
		t.Fatal(err)
	}
	if err := Stop(dir, 0); err != nil {
		t.Fatal(err)
	}
	if err := sleeper.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the stranger was ended: %v", err)
	}
}

// longest is how long a test polls for what must come about: far longer than it ever takes.
const longest = 60 * time.Second

func TestOnlyOwnFoldersAreEmptied(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cluster")
	file := filepath.Join(dir, "precious")
	for range 2 { // a new folder, and one of an earlier run
		if err := emptyOwn(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(dir, ownMark)); err != nil {
		t.Fatal(err)
	}
	if err := emptyOwn(dir); !errors.Is(err, ErrPlan) {
		t.Errorf("other people's folder: %v", err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}
