package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tandem/shard"
)

// createMany creates users through REST, each until it is acknowledged.
func createMany(t *testing.T, c *testCluster, first, n int) []user {
	t.Helper()
	users := make([]user, n)
	for i := range users {
		users[i] = user{fmt.Sprintf("u%d", first+i), fmt.Sprint("name ", first+i), "e", int64(i)}
		got, err := c.ask("POST", "/api/user/", userJSON(users[i]))
		for end := time.Now().Add(patience); err != nil || got.status == 503; got, err = c.ask("POST", "/api/user/", userJSON(users[i])) {
			if time.Now().After(end) {
				t.Fatalf("create: %v %d %s", err, got.status, got.body)
			}
		}
		if got.status != 201 && got.status != 409 { // 409: the first try had done it
			t.Fatalf("create: %d %s", got.status, got.body)
		}
	}
	return users
}

// allThere holds that every user is read as it was written, and that both replicas of every shard are equal.
func (c *testCluster) allThere(t *testing.T, users []user) {
	t.Helper()
	for _, u := range users {
		if got := c.eventually(200, "GET", "/api/user/"+u.ID, "").user(t); got != u {
			t.Fatalf("%+v is read as %+v", u, got)
		}
	}
	if n := c.count(); n != uint64(len(users)) {
		t.Errorf("COUNT says %d of %d users", n, len(users))
	}
	for s := range c.plan.Shards {
		first, second := shard.Pair(shard.Layout{Nodes: c.plan.Nodes, Shards: c.plan.Shards}, s)
		a, b := digestOf(t, c, first, s), digestOf(t, c, second, s)
		if a != b {
			t.Errorf("shard %d: %s on %s, %s on %s", s, a, c.plan.Names[first], b, c.plan.Names[second])
		}
	}
}

func digestOf(t *testing.T, c *testCluster, node, s int) string {
	t.Helper()
	line, err := askLine(c.plan.Addrs[node], fmt.Sprint("DIGEST ", s))
	_, after, found := strings.Cut(line, `"digest":"`)
	if err != nil || !found {
		t.Fatalf("DIGEST %d of %s: %v %s", s, c.plan.Names[node], err, line)
	}
	digest, _, _ := strings.Cut(after, `"`)
	return digest
}

// A node whose folder is lost comes back under its name with an empty one, takes the place of the lost store, and is filled again.
func TestAWipedNodeIsFilledAgain(t *testing.T) {
	c := startTest(t, 3)
	users := createMany(t, c, 0, 300)
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
	c.allReadable(t, users)
	c.start(0)
	c.settle()
	c.allThere(t, users)
}

// stop ends process i as an operator does.
func (c *testCluster) stop(i int) {
	c.t.Helper()
	if err := c.processes[i].cmd.Process.Signal(syscall.SIGTERM); err != nil {
		c.t.Fatal(err)
	}
	<-c.processes[i].gone
}

// allReadable holds that every user is read as it was written, by whoever leads now.
func (c *testCluster) allReadable(t *testing.T, users []user) {
	t.Helper()
	for _, u := range users {
		if got := c.eventually(200, "GET", "/api/user/"+u.ID, "").user(t); got != u {
			t.Fatalf("%+v is read as %+v", u, got)
		}
	}
}

// damageFiles changes some bytes in every file of a shard's data, at a place that depends on the file's size.
func damageFiles(t *testing.T, dir string, place func(size int64) int64) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(files) == 0 {
		t.Fatal("no files of data", err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(text, []byte("shard-")) { // of the column families, shards' only
			continue
		}
		at := place(int64(len(text)))
		for i := range text[at : at+16] {
			text[at+int64(i)] ^= 0x55
		}
		if err = os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// awaitLog waits until a node's log has a text.
func (c *testCluster) awaitLog(t *testing.T, name, text string) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		log, err := os.ReadFile(filepath.Join(c.plan.Dir, name+".log"))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(log), text) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s has not said %q", name, text)
		}
	}
}

// Data that fails its checksum is never served: the other replica serves, and the damaged one is filled again from it.
func TestDamagedDataIsFilledAgain(t *testing.T) {
	c := startTest(t, 3)
	users := createMany(t, c, 0, 300)
	c.stop(1)
	c.start(1) // which makes files of what was in the write log
	c.settle()
	c.stop(1)
	damageFiles(t, filepath.Join(c.plan.Dir, "db-1"), func(int64) int64 { return 20 })
	c.relaunch(1)
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		c.allReadable(t, users[:20])
		log, err := os.ReadFile(filepath.Join(c.plan.Dir, "db-1.log"))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(log), "is damaged; the node starts anew without it") {
			break
		}
		if time.Now().After(end) {
			t.Fatal("db-1 has not noticed that its data is damaged")
		}
	}
	c.await(1)
	c.settle()
	c.allThere(t, users)
}

// Damage that is met when files are merged, long before anybody reads there, stops RocksDB's writes. The node says which shards it is, merges nothing more, and
// is filled again.
func TestDamageThatAMergeMeets(t *testing.T) {
	c := startTest(t, 3)
	chance, users := rand.New(rand.NewPCG(1, 2)), []user{}
	for round := range 4 { // as many files of a shard as begin a merge
		for i := range 150 {
			name := make([]byte, 6000) // so that a file has several blocks
			for k := range name {
				name[k] = 'a' + byte(chance.IntN(26))
			}
			u := user{fmt.Sprintf("u%d-%d", round, i), string(name), "e", 1}
			users = append(users, u)
			if got := c.eventually(201, "POST", "/api/user/", userJSON(u)); got.status != 201 {
				t.Fatal(got.status)
			}
		}
		c.stop(1)
		if round < 3 {
			c.start(1) // which makes files of what was in the write log
			c.settle()
		}
	}
	damageFiles(t, filepath.Join(c.plan.Dir, "db-1"), func(size int64) int64 { return size / 2 })
	c.relaunch(1)
	c.awaitLog(t, "db-1", "the data of shards is damaged; they are filled again")
	c.awaitLog(t, "db-1", "is damaged; the node starts anew without it")
	c.await(1)
	c.settle()
	c.allThere(t, users)
	if _, err := os.Stat(filepath.Join(c.plan.Dir, "db-1", "damaged.json")); !os.IsNotExist(err) {
		t.Errorf("the marks stay: %v", err)
	}
}
