package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"tandem/bench/cluster"
)

// A node whose disk does not let it start goes on trying, in one process, and serves when the disk is well; told to
// stop meanwhile it stops.
func TestAStartWaitsForItsDisk(t *testing.T) {
	t.Parallel()
	c, control := startOverShims(t)
	for i, r := range []cluster.Rule{
		{Ops: cluster.OpsRead, Files: cluster.FilesLog, Action: cluster.ActFail, Error: syscall.EIO},
		{Ops: cluster.OpsRead, Files: cluster.FilesManifest | cluster.FilesCurrent, Action: cluster.ActFail,
			Error: syscall.EIO},
		{Ops: cluster.OpsWrite, Files: cluster.FilesTable, Action: cluster.ActFail, Error: syscall.EIO},
		{Ops: cluster.OpsSync, Files: cluster.FilesAll, Action: cluster.ActFail, Error: syscall.EIO},
		{Ops: cluster.OpsWrite | cluster.OpsAllocate, Files: cluster.FilesAll, Action: cluster.ActFail,
			Error: syscall.ENOSPC},
	} {
		c.must(201, "POST", "/api/user/", userJSON(user{fmt.Sprint("u", i), "n", "e", 1}))
		c.kill(0)
		state, err := cluster.ReadShim(control)
		if err == nil {
			err = cluster.SetRule(control, r)
		}
		if err != nil {
			t.Fatal(err)
		}
		c.relaunch(0)
		end := time.Now().Add(patience)
		began := state.Loads // each start loads the shim
		for ; state.Loads < began+3; time.Sleep(10 * time.Millisecond) {
			if state, err = cluster.ReadShim(control); err != nil {
				t.Fatal(err)
			}
			select {
			case <-c.processes[0].Gone:
				t.Fatalf("%s: it ended: %s", cluster.RuleText(r), cluster.DescribeEnd(c.processes[0]))
			default:
			}
			if time.Now().After(end) {
				t.Fatalf("%s: it does not try again", cluster.RuleText(r))
			}
		}
		if r.Error == syscall.ENOSPC {
			break
		}
		if err = cluster.SetRule(control, cluster.Rule{}); err != nil {
			t.Fatal(err)
		}
		c.await(0)
		c.settle()
	}
	if err := c.processes[0].Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-c.processes[0].Gone:
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

// A write of the log that finds no space may have been done in part. The node waits for space and starts anew, and
// takes what lies there for no damage, though the machine has not gone down.
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
	note := awaitChange(t, filepath.Join(folder, "synced-to"), nil)
	create(20)
	note = awaitChange(t, filepath.Join(folder, "synced-to"), note)
	create(20)                    // which the next note is about
	err := os.Mkdir(probe, 0o755) // so that the node finds that its disk takes no files
	if err == nil {
		err = cluster.SetRule(control, cluster.Rule{Ops: cluster.OpsWrite, Files: cluster.FilesLog,
			Action: cluster.ActFail, Error: syscall.ENOSPC, Most: 1})
	}
	if err != nil {
		t.Fatal(err)
	}
	for state, end := (cluster.ShimState{}), time.Now().Add(patience); state.Hits == 0; create(1) {
		if state, err = cluster.ReadShim(control); err != nil || time.Now().After(end) {
			t.Fatalf("no write failed: %v", err)
		}
	}
	awaitChange(t, filepath.Join(folder, "synced-to"), note)
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

// startOverShims starts a cluster whose disks can fail, and returns it and what rules the disk of its first node.
func startOverShims(t *testing.T) (c *testCluster, control string) {
	t.Helper()
	plan := planTest(t, 3)
	wraps, err := cluster.Shims(plan)
	if err != nil {
		t.Fatal(err)
	}
	plan.Wraps = wraps
	return startPlan(t, plan), cluster.ControlFile(plan, plan.Names[0])
}

// RocksDB's own calls go through the shim: in a node that starts and writes, every kind of operation meets its rule,
// and what it has synced is known.
func TestShimMeetsRocksDB(t *testing.T) {
	t.Parallel()
	c, control := startOverShims(t)
	if err := cluster.CheckShims(c.plan); err != nil {
		t.Fatal(err)
	}
	for _, ops := range []uint64{cluster.OpsWrite, cluster.OpsSync} { // a slow call is one that the rule has met
		late := cluster.Rule{Ops: ops, Files: cluster.FilesLog, Action: cluster.ActSlow, Slow: time.Microsecond}
		if err := cluster.SetRule(control, late); err != nil {
			t.Fatal(err)
		}
		for i, end := 0, time.Now().Add(patience); ; i++ {
			// whatever comes of it
			_, _ = c.ask("POST", "/api/user/", userJSON(user{fmt.Sprintf("u%d-%d", ops, i), "n", "e", 1}))
			s, err := cluster.ReadShim(control)
			if err != nil || time.Now().After(end) {
				t.Fatalf("no call of kind %d met the shim: %v", ops, err)
			}
			if s.Hits > 0 {
				break
			}
		}
	}
	state, err := cluster.ReadShim(control)
	logs := 0
	folder := filepath.Join(c.plan.Dir, c.plan.Names[0])
	for _, f := range cluster.FilesIn(folder) {
		inode, gone := cluster.InodeOf(filepath.Join(folder, f.Name))
		at := state.Synced[inode]
		if err == nil && gone == nil && cluster.FileKind(f.Name) == cluster.FileLog && at.Known && at.Bytes > 0 {
			logs++
		}
	}
	if logs == 0 {
		t.Errorf("no log of a node is known to be synced: %v", err)
	}
}
