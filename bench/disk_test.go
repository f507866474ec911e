package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tandem/shard"
)

// smallDisk is the size of the file system that the node fills.
const smallDisk = "size=48m"

// startOnSmallDisk starts a cluster in which db-1 has its data on a small file system of its own, seen by that process alone.
func startOnSmallDisk(t *testing.T) *testCluster {
	t.Helper()
	if out, err := exec.Command("unshare", "-rm", "true").CombinedOutput(); err != nil {
		t.Skipf("no mount namespace can be had here: %v: %s", err, out)
	}
	plan := planTest(t, 3)
	processes := []process{}
	ready := make(chan error, 3)
	for i, argv := range commands(plan) {
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
		p, err := launch(plan.Dir, name, argv)
		if err != nil {
			stopProcesses(processes, 0)
			t.Fatal(err)
		}
		processes = append(processes, p)
		if i < plan.Nodes {
			go awaitNode(p, plan.Addrs[i], ready)
		}
	}
	c := adopt(t, plan, processes, errors.Join(<-ready, <-ready, <-ready))
	c.await(plan.Nodes)
	return c
}

// fillDisk writes a file until the file system is full and returns its path.
func fillDisk(t *testing.T, c *testCluster) string {
	t.Helper()
	path := fmt.Sprintf("/proc/%d/root%s/ballast", c.processes[1].cmd.Process.Pid, filepath.Join(c.plan.Dir, "db-1"))
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

// holds tells whether db-1 keeps a replica of a user's shard.
func holds(c *testCluster, id string) bool {
	l := shard.Layout{Nodes: c.plan.Nodes, Shards: c.plan.Shards}
	s, _ := shard.Place(l, id)
	first, second := shard.Pair(l, s)
	return first == 1 || second == 1
}

func TestFullDisk(t *testing.T) {
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
	refused := regexp.MustCompile(`(?i)db-1.*(disk|no space)|(disk|no space).*db-1`)
	next := 0
	for ; next < 200; next++ { // a busy machine may miss a deadline now and then
		if got := create(next); got.status != 201 && (got.status != 503 || refused.MatchString(got.body)) {
			t.Fatalf("a create on an empty disk: %d %s", got.status, got.body)
		}
	}
	written := slices.DeleteFunc(slices.Clone(records), func(r record) bool { return len(r.maybe) > 1 })
	ballast := fillDisk(t, c)
	full := 0 // the log may have room set aside: write until it is used up
	for end := time.Now().Add(patience); full < 20; next++ {
		got := create(next)
		if got.status == 503 && refused.MatchString(got.body) && got.header.Get("Retry-After") != "" {
			full++
		} else if time.Now().After(end) {
			t.Fatalf("after %d writes to a full disk the answer is %d %s", next, got.status, got.body)
		}
	}
	for _, r := range written {
		c.eventually(200, "GET", "/api/user/"+r.id, "")
	}
	for tried := 0; tried < 10; next++ {
		if !holds(c, fmt.Sprintf("u%d", next)) {
			tried++
			if got := create(next); got.status != 201 && (got.status != 503 || refused.MatchString(got.body)) {
				t.Errorf("a write to shards that db-1 has no part in: %d %s", got.status, got.body)
			}
		}
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	well := 0
	for end := time.Now().Add(patience); well < 50; next++ {
		if got := create(next); got.status == 201 {
			well++
			continue
		} else if time.Now().After(end) {
			t.Fatalf("with room on the disk again the answer is %d %s", got.status, got.body)
		}
		well = 0
		time.Sleep(100 * time.Millisecond)
	}
	c.verify(t, records)
}
