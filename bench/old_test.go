package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"tandem/bench/cluster"
)

// copyFolder copies the data folder of process i as it is, and returns where to.
func (c *testCluster) copyFolder(i int) string {
	c.t.Helper()
	to := filepath.Join(c.t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(filepath.Join(c.plan.Dir, c.plan.Names[i]))); err != nil {
		c.t.Fatal(err)
	}
	return to
}

// putFolderBack puts a copy in the place of the data folder of process i.
func (c *testCluster) putFolderBack(i int, from string) {
	c.t.Helper()
	folder := filepath.Join(c.plan.Dir, c.plan.Names[i])
	if err := os.RemoveAll(folder); err != nil {
		c.t.Fatal(err)
	}
	if err := os.CopyFS(folder, os.DirFS(from)); err != nil {
		c.t.Fatal(err)
	}
}

// A folder that is put back to what it was before its last start is known for that, and set aside: nothing that was
// acknowledged since is lost, in a start of all nodes after a power cut either.
func TestAnOldCopyOfAFolderIsSetAside(t *testing.T) {
	t.Parallel()
	c := startTest(t, 3)
	users := createMany(t, c, 0, 200)
	c.stop(0)
	old := c.copyFolder(0)
	c.start(0)
	c.settle()
	users = append(users, createMany(t, c, 200, 200)...)
	for i := range 3 {
		c.kill(i)
	}
	c.putFolderBack(0, old)
	for i := range 3 {
		c.relaunch(i)
	}
	for i := range 3 {
		c.await(i)
	}
	c.awaitLog(t, "db-0", "the store is an old copy of itself")
	c.settle()
	c.allThere(t, users)
	if aside, err := filepath.Glob(filepath.Join(c.plan.Dir, "db-0", cluster.AsideMark+"*")); err != nil ||
		len(aside) != 1 {
		t.Errorf("the old copy is not kept: %v, %v", aside, err)
	}
}

// A copy that was made while its process ran has the number of the newest start. It is found out by what it lacks, of
// Raft's log or of a shard, by the nodes that are there to be asked.
func TestACopyOfARunningFolderIsFoundOut(t *testing.T) {
	t.Parallel()
	c := startTest(t, 3)
	users := createMany(t, c, 0, 200)
	node := c.processes[0].Cmd.Process
	if err := node.Signal(syscall.SIGSTOP); err != nil { // so that the copy is of one moment
		t.Fatal(err)
	}
	old := c.copyFolder(0)
	if err := node.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	users = append(users, createMany(t, c, 200, 200)...)
	c.settle()
	c.kill(1) // and all are killed, with views decided since the copy was made
	c.start(1)
	c.settle()
	for i := range 3 {
		c.kill(i)
	}
	c.putFolderBack(0, old)
	for _, i := range []int{1, 2} { // they are there to be asked
		c.relaunch(i)
	}
	c.await(1)
	c.await(2)
	c.start(0)
	c.settle()
	c.allThere(t, users)
}
