package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/bench/cluster"
	"tandem/node/wal"
	"tandem/shard"
)

// dropped is what a node says when it gives up a damaged copy of a shard.
const dropped = "it is dropped, and filled again from the other node"

// damageFiles changes some bytes in every file of a shard's data, at a place that depends on the file's size.
func damageFiles(t *testing.T, dir string, place func(size int64) int64) {
	t.Helper()
	for _, path := range shardTables(t, dir) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
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

// Data that fails its checksum is never served: the other replica serves, and the damaged one is filled again from it.
func TestDamagedDataIsFilledAgain(t *testing.T) {
	t.Parallel()
	c := startTest(t, 3)
	users := createMany(t, c, 0, 300)
	c.stop(1)
	c.start(1) // which makes files of what was in the write log
	c.settle()
	c.stop(1)
	damageFiles(t, filepath.Join(c.plan.Dir, "db-1"), func(int64) int64 { return 20 })
	c.relaunch(1)
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		c.readAll(t, users[:20])
		log, err := os.ReadFile(filepath.Join(c.plan.Dir, "db-1.log"))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(log), dropped) {
			break
		}
		if time.Now().After(end) {
			t.Fatal("db-1 has not noticed that its data is damaged")
		}
	}
	c.settle()
	c.allThere(t, users)
	log, err := os.ReadFile(filepath.Join(c.plan.Dir, "db-1.log"))
	if err != nil || strings.Count(string(log), "msg=serving") != 3 {
		t.Errorf("expected three starts of db-1, and none of its own: %v", err)
	}
	if _, err := os.Stat(filepath.Join(c.plan.Dir, "db-1", "damaged.json")); !os.IsNotExist(err) {
		t.Errorf("the marks stay: %v", err)
	}
}

// Damage that is met when files are merged, long before anybody reads there, stops RocksDB's writes. The node says
// which shards it is, merges nothing more, and is filled again.
func TestDamageThatAMergeMeets(t *testing.T) {
	t.Parallel()
	c := startTest(t, 3)
	chance, users := rand.New(rand.NewPCG(1, 2)), []user{}
	create := func(round int) {
		more := make([]user, 150)
		for i := range more {
			name := make([]byte, 6000) // so that a file has several blocks
			for k := range name {
				name[k] = 'a' + byte(chance.IntN(26))
			}
			more[i] = user{fmt.Sprintf("u%d-%d", round, i), string(name), "e", 1}
		}
		c.createAll(t, more)
		users = append(users, more...)
	}
	create(0)
	c.stop(1)
	c.start(1) // which makes files of what was in the write log
	c.settle()
	c.stop(1)
	damageFiles(t, filepath.Join(c.plan.Dir, "db-1"), func(size int64) int64 { return size / 2 })
	c.start(1)
	// as many files of a shard as begin a merge
	for round := 1; round < 10 && !c.hasLogged(t, "db-1", dropped); round++ {
		create(round)
		c.stop(1)
		c.start(1)
	}
	c.awaitLog(t, "db-1", dropped)
	for s := range c.plan.Shards { // of the other shards a read meets it
		first, second := shard.Pair(shard.Layout{Nodes: c.plan.Nodes, Shards: c.plan.Shards}, s)
		for end := time.Now().Add(patience); first == 1 || second == 1; time.Sleep(50 * time.Millisecond) {
			line, err := cluster.AskLine(c.plan.Addrs[1], fmt.Sprint("DIGEST ", s))
			if err == nil && strings.Contains(line, `"digest"`) {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("shard %d is not filled again: %v %s", s, err, line)
			}
		}
	}
	c.settle()
	c.allThere(t, users)
	if _, err := os.Stat(filepath.Join(c.plan.Dir, "db-1", "damaged.json")); !os.IsNotExist(err) {
		t.Errorf("the marks stay: %v", err)
	}
}

// flip changes one bit of a file, at a place that depends on its size.
func flip(t *testing.T, path string, place func(size int) int) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil && len(text) == 0 {
		err = fmt.Errorf("%s is empty", path)
	}
	if err == nil {
		text[place(len(text))] ^= 1
		err = os.WriteFile(path, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// segments are the files of a node's write log.
const segments = "wal/0*.wal"

// inTheLog returns a place in the newest segment of a node's log, within a batch that has others behind it.
func inTheLog(t *testing.T, dir string) int {
	t.Helper()
	segment, err := os.ReadFile(theFile(t, dir, segments))
	h, ok := wal.ReadHeader(segment)
	batches, _ := wal.Scan(segment, wal.Classify(segment, h.LogID, h.Segment, 0))
	if err != nil || !ok || len(batches) < 3 {
		t.Fatal("a segment without batches: ", err, ok, len(batches))
	}
	return batches[len(batches)/2].Block*wal.BlockSize + 100
}

// theFile returns the newest file of a folder with such a name.
func theFile(t *testing.T, dir, pattern string) string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(paths) == 0 {
		t.Fatal("no file ", pattern, err)
	}
	return paths[len(paths)-1]
}

// Whatever file of a node is damaged while it is down, it starts again: what can be read stays, the rest is filled
// again, and the log says what was found. A store of which nothing can be read is set aside, and a new one begins.
func TestEveryFileMayBeDamaged(t *testing.T) {
	t.Parallel()
	c := startTest(t, 3)
	users, dir := createMany(t, c, 0, 300), filepath.Join(c.plan.Dir, "db-1")
	middle := func(size int) int { return size / 2 }
	end := func(k int) func(int) int { return func(size int) int { return size - k } }
	tables := func(place func(int) int) func(*testing.T) {
		return func(t *testing.T) {
			damageFiles(t, dir, func(size int64) int64 { return min(int64(place(int(size))), size-16) })
		}
	}
	for _, hit := range []struct {
		name, says string
		tables     bool // they are damaged, so what is in the log is brought to tables before
		damage     func(*testing.T)
	}{
		{"footers of tables", dropped, true, tables(end(20))},
		{"indexes of tables", dropped, true, tables(end(700))},
		{"a table is missing", dropped, true, func(t *testing.T) {
			for _, path := range shardTables(t, dir)[:1] {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			}
		}},
		{"the log", "the write-ahead log is damaged", false, func(t *testing.T) {
			flip(t, theFile(t, dir, segments), func(int) int { return inTheLog(t, dir) })
		}},
		{"the end of the log is missing", "the write-ahead log is damaged", false, func(t *testing.T) {
			if err := os.Remove(theFile(t, dir, segments)); err != nil {
				t.Fatal(err)
			}
		}},
		{"the log is missing", "the write-ahead log is damaged", false, func(t *testing.T) {
			if err := os.RemoveAll(filepath.Join(dir, "wal")); err != nil {
				t.Fatal(err)
			}
		}},
		{"CURRENT", "it names the only manifest again", false, func(t *testing.T) {
			flip(t, filepath.Join(dir, "CURRENT"), middle)
		}},
		{"CURRENT is missing", "it names the only manifest again", false, func(t *testing.T) {
			if err := os.Remove(filepath.Join(dir, "CURRENT")); err != nil {
				t.Fatal(err)
			}
		}},
		{"MANIFEST", "it is set aside, and a new one begins", false, func(t *testing.T) {
			flip(t, theFile(t, dir, "MANIFEST-*"), middle)
		}},
		{"OPTIONS", "", false, func(t *testing.T) { flip(t, theFile(t, dir, "OPTIONS-*"), middle) }},
	} {
		t.Run(hit.name, func(t *testing.T) {
			if hit.tables {
				c.stop(1)
				c.start(1) // which makes tables of what was in the log
			}
			users = append(users, createMany(t, c, len(users), 30)...)
			note, _ := os.ReadFile(filepath.Join(dir, "synced-to")) // none yet is as good
			users = append(users, createMany(t, c, len(users), 10)...)
			awaitChange(t, filepath.Join(dir, "synced-to"), note) // it is noted that the log was synced so far
			c.stop(1)
			before, err := os.ReadFile(filepath.Join(c.plan.Dir, "db-1.log"))
			if err != nil {
				t.Fatal(err)
			}
			hit.damage(t)
			users = append(users, createMany(t, c, len(users), 40)...)
			c.start(1)
			c.settle()
			c.allThere(t, users)
			after, err := os.ReadFile(filepath.Join(c.plan.Dir, "db-1.log"))
			if err != nil || !strings.Contains(string(after[len(before):]), hit.says) {
				t.Errorf("db-1 does not say %q: %v", hit.says, err)
			}
		})
	}
}

// shardTables returns the table files of shards.
func shardTables(t *testing.T, dir string) []string {
	t.Helper()
	tables := []string{}
	paths, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	for _, path := range paths {
		if text, bad := os.ReadFile(path); bad == nil && bytes.Contains(text, []byte("shard-")) {
			tables = append(tables, path)
		}
	}
	if err != nil || len(tables) == 0 {
		t.Fatal("no tables of shards", err)
	}
	return tables
}

// sort asks for users, and returns those that are served and what is answered, with another status, to the rest.
func (c *testCluster) sort(t *testing.T, users []user, other int) (served []user, rest []string) {
	t.Helper()
	answers := make([]reply, len(users))
	forEach(t, len(users), func(i int) (err error) {
		answers[i], err = c.ask("GET", "/api/user/"+users[i].ID, "")
		return err
	})
	for i, got := range answers {
		switch got.status {
		case 200:
			served = append(served, users[i])
		case other:
			rest = append(rest, got.body)
		default:
			t.Fatalf("%s: %d %s", users[i].ID, got.status, got.body)
		}
	}
	return served, rest
}

// A flipped bit in the log of a leader that is alone loses nothing in silence: the shards that lost writes by it are
// not served, and named, until an operator accepts the loss. Then what is left of them is their data, on both nodes.
func TestALoneLeadersLogIsDamaged(t *testing.T) {
	t.Parallel()
	c := startTest(t, 3)
	dir := filepath.Join(c.plan.Dir, "db-0")
	users := createMany(t, c, 0, 100)
	c.settle() // on a machine that is busy a backup may have been lost meanwhile
	c.kill(1)
	users = append(users, createMany(t, c, 100, 600)...)
	c.kill(0)
	log := theFile(t, dir, segments)
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(text, []byte("name 550"))
	if at < 0 {
		for i := 540; i < 600 && at < 0; i++ { // led by another node
			at = bytes.Index(text, []byte(fmt.Sprint("name ", i)))
		}
	}
	flip(t, log, func(int) int { return at })
	c.start(0)
	c.relaunch(1)
	c.awaitLog(t, "db-0", "the write-ahead log is damaged")
	lost := false
	for end := time.Now().Add(patience); !lost; time.Sleep(50 * time.Millisecond) {
		line, err := cluster.AskLine(c.plan.Addrs[0], "READY")
		var ready struct {
			Checks []struct{ Name, Reason string }
		}
		if err == nil {
			err = json.Unmarshal([]byte(line), &ready)
		}
		if err != nil {
			t.Fatal(err, line)
		}
		for _, check := range ready.Checks {
			lost = lost || check.Name == "copies" && strings.Contains(check.Reason, "node accept-loss")
		}
		if time.Now().After(end) {
			t.Fatal("db-0 does not name what only it had: ", line)
		}
	}
	served, refused := c.sort(t, users, 503)
	if len(served) == 0 || !strings.Contains(strings.Join(refused, ""), "is damaged") {
		t.Errorf("%d users are served, the others are refused so: %q", len(served), refused)
	}
	inUse, err := exec.Command(filepath.Join(c.plan.Bin, "node"), "accept-loss", "--dry-run", "--data",
		dir).CombinedOutput()
	if err == nil || !strings.Contains(string(inUse), "in use by process") {
		t.Errorf("accept-loss on the folder of a node that runs: %v: %s", err, inUse)
	}
	c.stop(0)
	accept := func(args ...string) string {
		args = append([]string{"accept-loss", "--data", dir}, args...)
		out, err := exec.Command(filepath.Join(c.plan.Bin, "node"), args...).CombinedOutput()
		if err != nil {
			t.Fatalf("accept-loss: %v: %s", err, out)
		}
		return string(out)
	}
	said := accept("--dry-run")
	for _, want := range []string{"dry run: nothing was changed", "the write-ahead log is damaged"} {
		if !strings.Contains(said, want) {
			t.Errorf("a dry run does not say that %s: %s", want, said)
		}
	}
	if said = accept(); !strings.Contains(said, "the loss is accepted") {
		t.Errorf("accept-loss says %s", said)
	}
	c.start(0)
	c.settle()
	left, _ := c.sort(t, users, 404)
	if len(left) < len(users)-100 {
		t.Errorf("%d users of %d are left", len(left), len(users))
	}
	c.allThere(t, left)
}
