package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tandem/bench/cluster"
)

// smallDisk is the size of the file system that the node fills.
const smallDisk = "size=48m"

// startOnSmallDisk starts a cluster in which db-1 has its data on a small file system of its own, seen by that process
// alone.
func startOnSmallDisk(t *testing.T) *testCluster {
	t.Helper()
	if out, err := exec.Command("unshare", "-rm", "true").CombinedOutput(); err != nil {
		t.Skipf("no mount namespace can be had here: %v: %s", err, out)
	}
	plan := planTest(t, 3)
	processes := []cluster.Process{}
	ready := make(chan error, 3)
	for i, argv := range cluster.Commands(plan) {
		name := "gateway"
		if i < plan.Nodes {
			name = plan.Names[i]
		}
		if i == 1 {
			data := filepath.Join(plan.Dir, name)
			if err := os.Mkdir(data, 0o755); err != nil {
				t.Fatal(err)
			}
			mount := `mount -t tmpfs -o ` + smallDisk + ` tmpfs "$1" && shift && exec "$@"`
			argv = append([]string{"unshare", "-rm", "sh", "-c", mount, "sh", data}, argv...)
		}
		p, err := cluster.Launch(plan.Dir, name, argv)
		if err != nil {
			cluster.StopProcesses(processes, 0)
			t.Fatal(err)
		}
		processes = append(processes, p)
		if i < plan.Nodes {
			go cluster.AwaitNode(p, plan.Addrs[i], ready)
		}
	}
	c := adopt(t, plan, processes, errors.Join(<-ready, <-ready, <-ready))
	c.await(plan.Nodes)
	return c
}

// fillDisk writes a file until the file system is full and returns its path.
func fillDisk(t *testing.T, c *testCluster) string {
	t.Helper()
	path := fmt.Sprintf("/proc/%d/root%s/ballast", c.processes[1].Cmd.Process.Pid, filepath.Join(c.plan.Dir, "db-1"))
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	block := make([]byte, 64<<10)
	for err == nil {
		_, err = file.Write(block)
	}
	for block = block[:512]; len(block) > 0 && !errors.Is(err, syscall.ENOSPC); { // the rest of the last block
		_, err = file.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return path
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	c := startOnSmallDisk(t)
	name := strings.Repeat("n", 14_000)
	records := []record{}
	create := func(i int) reply {
		u := user{fmt.Sprintf("u%d", i), name + fmt.Sprint(i), "e", int64(i)}
		got, err := c.ask("POST", "/api/user/", userJSON(u))
		if err != nil {
			t.Fatal(err)
		}
		r := record{u.ID, []user{u}}
		if got.status != 201 {
			r.maybe = []user{u, {}}
		}
		records = append(records, r)
		return got
	}
	next := 0
	for ; next < 200; next++ { // a busy machine may miss a deadline now and then
		if got := create(next); got.status != 201 && got.status != 503 {
			t.Fatalf("a create on an empty disk: %d %s", got.status, got.body)
		}
	}
	written := slices.DeleteFunc(slices.Clone(records), func(r record) bool { return len(r.maybe) > 1 })
	ballast := fillDisk(t, c)
	silent := func() string {
		line, err := cluster.AskLine(c.plan.Addrs[1], "STATUS")
		if err != nil {
			t.Fatal(err)
		}
		status := struct{ Raft struct{ Silent string } }{}
		if err = json.Unmarshal([]byte(line), &status); err != nil {
			t.Fatal(err)
		}
		return status.Raft.Silent
	}
	// its log may have room set aside: write until it is used up
	for end := time.Now().Add(patience); silent() == ""; next++ {
		create(next)
		if time.Now().After(end) {
			t.Fatalf("after %d writes db-1 does not say that its disk is full", next)
		}
	}
	if why := silent(); !strings.Contains(why, "no space left") {
		t.Errorf("db-1 says why it is silent: %q", why)
	}
	well := 0 // the others have taken over, and write all shards without it
	for end := time.Now().Add(patience); well < 50; next++ {
		well++
		if got := create(next); got.status != 201 {
			well = 0
			if time.Now().After(end) {
				t.Fatalf("with a full disk on db-1 the answer is %d %s", got.status, got.body)
			}
		}
	}
	for _, r := range written {
		c.eventually(200, "GET", "/api/user/"+r.id, "")
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	c.settle() // it is fed what it missed, and leads again
	c.verify(t, records)
}
