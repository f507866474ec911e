package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tandem/bench/cluster"
	"tandem/shard"
)

// createMany creates users through REST, each until it is acknowledged.
func createMany(t *testing.T, c *testCluster, first, n int) []user {
	t.Helper()
	users := make([]user, n)
	for i := range users {
		users[i] = user{fmt.Sprintf("u%d", first+i), fmt.Sprint("name ", first+i), "e", int64(i)}
	}
	c.createAll(t, users)
	return users
}

// allThere holds that every user is read as it was written, and that both replicas of every shard are equal.
func (c *testCluster) allThere(t *testing.T, users []user) {
	t.Helper()
	c.readAll(t, users)
	if n := c.count(); n != uint64(len(users)) {
		t.Errorf("COUNT says %d of %d users", n, len(users))
	}
	forEach(t, c.plan.Shards, func(s int) error {
		first, second := shard.Pair(shard.Layout{Nodes: c.plan.Nodes, Shards: c.plan.Shards}, s)
		a, err := digestOf(c, first, s)
		b, bad := digestOf(c, second, s)
		if err = errors.Join(err, bad); err == nil && a != b {
			err = fmt.Errorf("shard %d: %s on %s, %s on %s", s, a, c.plan.Names[first], b, c.plan.Names[second])
		}
		return err
	})
}

func digestOf(c *testCluster, node, s int) (string, error) {
	line, err := cluster.AskLine(c.plan.Addrs[node], fmt.Sprint("DIGEST ", s))
	_, after, found := strings.Cut(line, `"digest":"`)
	if err != nil || !found {
		return "", fmt.Errorf("DIGEST %d of %s: %v %s", s, c.plan.Names[node], err, line)
	}
	digest, _, _ := strings.Cut(after, `"`)
	return digest, nil
}

// A node whose folder is lost comes back under its name with an empty one, takes the place of the lost store, and is
// filled again.
func TestAWipedNodeIsFilledAgain(t *testing.T) {
	t.Parallel()
	c := startTest(t, 3)
	users := createMany(t, c, 0, 300)
	c.settle() // on a machine that is busy a backup may have been lost meanwhile
	c.kill(1)
	if err := os.RemoveAll(filepath.Join(c.plan.Dir, "db-1")); err != nil {
		t.Fatal(err)
	}
	users = append(users, createMany(t, c, 300, 100)...)
	c.start(1)
	users = append(users, createMany(t, c, 400, 100)...)
	c.settle()
	c.allThere(t, users)
	c.kill(0) // what it was filled with is as good as the first copy
	c.readAll(t, users)
	c.start(0)
	c.settle()
	c.allThere(t, users)
}

// stop ends process i as an operator does.
func (c *testCluster) stop(i int) {
	c.t.Helper()
	if err := c.processes[i].Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		c.t.Fatal(err)
	}
	<-c.processes[i].Gone
}

// awaitLog waits until a node's log has a text.
func (c *testCluster) awaitLog(t *testing.T, name, text string) {
	t.Helper()
	for end := time.Now().Add(patience); !c.hasLogged(t, name, text); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s has not said %q", name, text)
		}
	}
}

func (c *testCluster) hasLogged(t *testing.T, name, text string) bool {
	t.Helper()
	log, err := os.ReadFile(filepath.Join(c.plan.Dir, name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(log), text)
}
