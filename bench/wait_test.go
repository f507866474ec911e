package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A node whose disk does not let it start goes on trying, in one process, and serves when the disk is well; told to
// stop meanwhile it stops.
func TestAStartWaitsForItsDisk(t *testing.T) {
	t.Parallel()
	c, control := startOverShims(t)
	for i, r := range []rule{
		{Ops: opsRead, Files: filesLog, Action: actFail, Error: syscall.EIO},
		{Ops: opsRead, Files: filesManifest | filesCurrent, Action: actFail, Error: syscall.EIO},
		{Ops: opsWrite, Files: filesTable, Action: actFail, Error: syscall.EIO},
		{Ops: opsSync, Files: filesAll, Action: actFail, Error: syscall.EIO},
		{Ops: opsWrite | opsAllocate, Files: filesAll, Action: actFail, Error: syscall.ENOSPC},
	} {
		c.must(201, "POST", "/api/user/", userJSON(user{fmt.Sprint("u", i), "n", "e", 1}))
		c.kill(0)
		state, err := readShim(control)
		if err == nil {
			err = setRule(control, r)
		}
		if err != nil {
			t.Fatal(err)
		}
		c.relaunch(0)
		end := time.Now().Add(patience)
		began := state.Loads // each start loads the shim
		for ; state.Loads < began+3; time.Sleep(10 * time.Millisecond) {
			if state, err = readShim(control); err != nil {
				t.Fatal(err)
			}
			select {
			case <-c.processes[0].gone:
				t.Fatalf("%s: it ended: %s", ruleText(r), describeEnd(c.processes[0]))
			default:
			}
			if time.Now().After(end) {
				t.Fatalf("%s: it does not try again", ruleText(r))
			}
		}
		if r.Error == syscall.ENOSPC {
			break
		}
		if err = setRule(control, rule{}); err != nil {
			t.Fatal(err)
		}
		c.await(0)
		c.settle()
	}
	if err := c.processes[0].cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-c.processes[0].gone:
	case <-time.After(patience):
		t.Fatal("it waits for its disk although it was told to stop")
	}
}

// awaitChange waits until a file has other contents than before, and returns them.
func awaitChange(t *testing.T, path string, before []byte) []byte {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if now, err := os.ReadFile(path); err == nil && !bytes.Equal(now, before) {
			return now
		}
	}
	t.Fatalf("%s does not change", path)
	return nil
}

// When the write log has no space RocksDB brings all of it to tables by itself and begins an empty one, while the node
// waits. What was synced last lies in the log before that, so the empty one has lost nothing.
func TestALogWithoutSpaceIsNotDamaged(t *testing.T) {
	t.Parallel()
	c, control := startOverShims(t)
	folder := filepath.Join(c.plan.Dir, c.plan.Names[0])
	probe, log, number := filepath.Join(folder, "probe"), folder+".log", 0
	create := func(n int) {
		for range n {
			number++ // whatever comes of it
			_, _ = c.ask("POST", "/api/user/", userJSON(user{fmt.Sprint("u", number), "n", "e", 1}))
		}
	}
	create(20)
	note := awaitChange(t, filepath.Join(folder, "synced"), nil)
	create(20)
	note = awaitChange(t, filepath.Join(folder, "synced"), note)
	create(20)                    // which the next note is about
	err := os.Mkdir(probe, 0o755) // so that the node finds that its disk takes no files
	if err == nil {
		err = setRule(control, rule{Ops: opsWrite, Files: filesLog, Action: actFail, Error: syscall.ENOSPC, Most: 1})
	}
	if err != nil {
		t.Fatal(err)
	}
	for state, end := (shimState{}), time.Now().Add(patience); state.Hits == 0; create(1) {
		if state, err = readShim(control); err != nil || time.Now().After(end) {
			t.Fatalf("no write failed: %v", err)
		}
	}
	awaitChange(t, filepath.Join(folder, "synced"), note)
	if err = os.Remove(probe); err != nil {
		t.Fatal(err)
	}
	c.awaitLog(t, c.plan.Names[0], "starting anew")
	c.await(0)
	c.settle()
	text, err := os.ReadFile(log)
	if line := damageWords.Find(text); err != nil || line != nil {
		t.Errorf("nothing was damaged: %s %v", line, err)
	}
}
