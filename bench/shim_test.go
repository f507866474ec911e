package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// trier is a program under the shim that does one call a line.
type trier struct {
	folder, control string
	in              io.Writer
	out             chan string
}

// ask lets the program do a call and returns what came of it.
func (p trier) ask(t *testing.T, format string, a ...any) string {
	t.Helper()
	p.send(format, a...)
	select {
	case line := <-p.out:
		return line
	case <-time.After(patience):
		t.Fatalf("%s is not answered", fmt.Sprintf(format, a...))
		return ""
	}
}

func (p trier) send(format string, a ...any) { fmt.Fprintf(p.in, format+"\n", a...) }

// rule sets a rule.
func (p trier) rule(t *testing.T, r rule) {
	t.Helper()
	if err := setRule(p.control, r); err != nil {
		t.Fatal(err)
	}
}

// state reads what the shim has counted.
func (p trier) state(t *testing.T) shimState {
	t.Helper()
	s, err := readShim(p.control)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func startTrier(t *testing.T) trier {
	t.Helper()
	dir := t.TempDir()
	library, err := buildShim(dir)
	if err != nil {
		t.Fatal(err)
	}
	p := trier{folder: filepath.Join(dir, "data"), control: filepath.Join(dir, "data.disk"), out: make(chan string)}
	if err = os.Mkdir(p.folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err = makeControl(p.control); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "try")
	out, err := exec.Command("cc", "-O1", "-o", program, filepath.Join("shim", "try.c")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), "LD_PRELOAD="+library, "SHIM_CONTROL="+p.control, "SHIM_FOLDER="+p.folder)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	said, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err = cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.in = in
	go func() {
		for lines := bufio.NewScanner(said); lines.Scan(); {
			p.out <- lines.Text()
		}
	}()
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// Each operation fails as its rule says, in the files that it names, and nowhere else.
func TestShimFails(t *testing.T) {
	p := startTrier(t)
	names := []string{"000004.log", "000007.sst", "MANIFEST-000005", "CURRENT", "OPTIONS-000006", "LOCK"}
	kinds := []uint64{filesLog, filesTable, filesManifest, filesCurrent, filesOptions, filesOther}
	for i, name := range names {
		if got := p.ask(t, "open %s", filepath.Join(p.folder, name)); got != fmt.Sprintf("%d -", i) {
			t.Fatal(got)
		}
		p.ask(t, "write %d 4096", i)
	}
	outside := len(names)
	p.ask(t, "open %s", p.folder+"-other.log")
	if s := p.state(t); s.Loads != 1 || s.Hits != 0 {
		t.Fatalf("%d loads, %d hits before any rule", s.Loads, s.Hits)
	}
	for _, c := range []struct {
		ops  uint64
		call string
		well string
	}{
		{opsRead, "pread %d 10", "10 -"}, {opsWrite, "write %d 10", "10 -"}, {opsWrite, "pwrite %d 10", "10 -"},
		{opsSync, "fsync %d 0", "0 -"}, {opsSync, "fdatasync %d 0", "0 -"}, {opsSync, "range %d 10", "0 -"},
		{opsAllocate, "fallocate %d 4096", "0 -"},
	} {
		for i := range names {
			p.rule(t, rule{Ops: c.ops, Files: kinds[i], Action: actFail, Error: syscall.EIO})
			for k := range outside + 1 {
				want := c.well
				if k == i {
					want = "-1 EIO"
				}
				if k == outside && c.ops == opsRead { // it is empty
					want = "0 -"
				}
				if got := p.ask(t, c.call, k); got != want && !(k == outside && strings.HasSuffix(got, " -")) {
					t.Errorf("a rule for %s: "+c.call+" is %s, expected %s", names[i], k, got, want)
				}
			}
			if s := p.state(t); s.Hits != 1 {
				t.Errorf(c.call+": %d hits", i, s.Hits)
			}
			p.rule(t, rule{})
			if got := p.ask(t, c.call, i); got != c.well {
				t.Errorf("without a rule "+c.call+" is %s", i, got)
			}
		}
	}
	p.rule(t, rule{Ops: opsRename, Files: filesCurrent, Action: actFail, Error: syscall.ENOSPC})
	lock, current := filepath.Join(p.folder, "LOCK"), filepath.Join(p.folder, "CURRENT")
	if got := p.ask(t, "rename %s %s", lock, current); got != "-1 ENOSPC" {
		t.Error(got)
	}
	p.rule(t, rule{Ops: opsAllocate, Files: filesAll, Action: actFail, Error: syscall.ENOSPC})
	if got := p.ask(t, "open %s", filepath.Join(p.folder, "000009.sst")); got != "-1 ENOSPC" {
		t.Error(got)
	}
	p.rule(t, rule{Ops: opsRead, Files: filesAll, Action: actFail, Error: syscall.EIO})
	p.ask(t, "open %s", current)
	if got := p.ask(t, "fread %d 16", outside+1); got != "0 EIO" {
		t.Errorf("a read of a stream: %s", got)
	}
	p.rule(t, rule{})
	if got := p.ask(t, "fread %d 16", outside+1); got != "16 -" {
		t.Errorf("a read of a stream, well again: %s", got)
	}
}

// Some of the calls, so many in all, halves, waits.
func TestShimSometimes(t *testing.T) {
	p := startTrier(t)
	p.ask(t, "open %s", filepath.Join(p.folder, "000004.log"))
	p.rule(t, rule{Ops: opsWrite, Files: filesLog, Action: actFail, Error: syscall.EIO, Every: 3, Most: 2})
	got := []string{}
	for range 12 {
		got = append(got, p.ask(t, "write 0 8"))
	}
	if want := "8 -,8 -,-1 EIO,8 -,8 -,-1 EIO,8 -,8 -,8 -,8 -,8 -,8 -"; strings.Join(got, ",") != want {
		t.Errorf("one in three, two at most: %v", got)
	}
	p.rule(t, rule{Ops: opsWrite, Files: filesLog, Action: actShort, Error: syscall.ENOSPC, Most: 1})
	got = []string{p.ask(t, "write 0 100"), p.ask(t, "write 0 50"), p.ask(t, "write 0 50")}
	if strings.Join(got, ",") != "50 -,-1 ENOSPC,50 -" {
		t.Errorf("a write that is cut short: %v", got)
	}
	p.rule(t, rule{Ops: opsSync, Files: filesLog, Action: actSlow, Slow: time.Millisecond})
	if got := p.ask(t, "fdatasync 0 0"); got != "0 -" || p.state(t).Hits != 1 {
		t.Errorf("a slow sync: %s, %d hits", got, p.state(t).Hits)
	}
	p.rule(t, rule{Ops: opsSync, Files: filesLog, Action: actHang})
	p.send("fdatasync 0 0")
	for end := time.Now().Add(patience); p.state(t).Hits == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the sync does not come to the shim")
		}
	}
	select {
	case got := <-p.out:
		t.Errorf("a sync that was to hang is answered %s", got)
	default:
	}
	p.rule(t, rule{})
	if got := <-p.out; got != "0 -" {
		t.Errorf("a sync that has hung: %s", got)
	}
}

// A power loss takes what was not synced, and nothing else; what was written before a failed sync never counts as
// synced.
func TestShimKnowsWhatIsSynced(t *testing.T) {
	p := startTrier(t)
	for i, name := range []string{"000004.log", "MANIFEST-000005"} {
		p.ask(t, "open %s", filepath.Join(p.folder, name))
		p.ask(t, "write %d 1000", i)
		p.ask(t, "fdatasync %d 0", i)
		p.ask(t, "write %d 500", i)
	}
	p.rule(t, rule{Ops: opsSync, Files: filesManifest, Action: actFail, Error: syscall.EIO})
	if got := []string{p.ask(t, "fsync 0 0"), p.ask(t, "fsync 1 0")}; strings.Join(got, ",") != "0 -,-1 EIO" {
		t.Error(got)
	}
	p.rule(t, rule{})
	p.ask(t, "fsync 1 0")
	p.ask(t, "range 0 0")
	p.ask(t, "write 0 300")
	lengths := map[int64]bool{}
	for chance := range uint64(40) {
		left := map[string]int64{}
		for _, f := range filesIn(p.folder) {
			inode, err := inodeOf(filepath.Join(p.folder, f.Name))
			if err != nil {
				t.Fatal(err)
			}
			left[f.Name] = cutTo(f.Size, p.state(t).Synced[inode], chance*37)
		}
		if left["000004.log"] < 1500 || left["000004.log"] > 1800 || left["MANIFEST-000005"] < 1000 ||
			left["MANIFEST-000005"] > 1500 {
			t.Fatalf("a power loss leaves %v", left)
		}
		lengths[left["000004.log"]] = true
	}
	if len(lengths) < 20 {
		t.Errorf("40 power losses leave %d lengths", len(lengths))
	}
	done := make(chan noted, 1)
	go loseUnsynced(p.folder, p.control, 7, done)
	if n := <-done; n.Err != nil || !strings.Contains(n.Text, "MANIFEST-000005 from 1500 to 1") {
		t.Errorf("%+v", n)
	}
	go loseUnsynced(p.folder, p.control, 8, done)
	if n := <-done; n.Err != nil || !strings.Contains(n.Text, "cut: []") {
		t.Errorf("what has survived a loss of power is lost by the next one: %+v", n)
	}
	if err := os.Remove(filepath.Join(p.folder, "000004.log")); err != nil {
		t.Fatal(err)
	}
	p.ask(t, "close 0 0") // its inode may be that of the next new file
	p.ask(t, "open %s", filepath.Join(p.folder, "000008.log"))
	inode, err := inodeOf(filepath.Join(p.folder, "000008.log"))
	if s := p.state(t).Synced[inode]; err != nil || s.Bytes != 0 || !s.Known {
		t.Errorf("a new file: %+v, %v", s, err)
	}
}

// Without a compiler the error says what is needed.
func TestShimNeedsACompiler(t *testing.T) {
	t.Setenv("CC", "/nowhere/cc")
	if _, err := buildShim(t.TempDir()); err == nil || !strings.Contains(err.Error(), "need a C compiler") {
		t.Errorf("%v", err)
	}
}

// startOverShims starts a cluster whose disks can fail, and returns it and what rules the disk of its first node.
func startOverShims(t *testing.T) (c *testCluster, control string) {
	t.Helper()
	plan := planTest(t, 3)
	wraps, err := shims(plan)
	if err != nil {
		t.Fatal(err)
	}
	plan.Wraps = wraps
	return startPlan(t, plan), controlOf(plan, plan.Names[0])
}

// RocksDB's own calls go through the shim: in a node that starts and writes, every kind of operation meets its rule,
// and what it has synced is known.
func TestShimMeetsRocksDB(t *testing.T) {
	t.Parallel()
	c, control := startOverShims(t)
	if err := checkShims(c.plan); err != nil {
		t.Fatal(err)
	}
	for _, ops := range []uint64{opsWrite, opsSync} { // a slow call is one that the rule has met
		late := rule{Ops: ops, Files: filesLog, Action: actSlow, Slow: time.Microsecond}
		if err := setRule(control, late); err != nil {
			t.Fatal(err)
		}
		for i, end := 0, time.Now().Add(patience); ; i++ {
			// whatever comes of it
			_, _ = c.ask("POST", "/api/user/", userJSON(user{fmt.Sprintf("u%d-%d", ops, i), "n", "e", 1}))
			s, err := readShim(control)
			if err != nil || time.Now().After(end) {
				t.Fatalf("no call of kind %d met the shim: %v", ops, err)
			}
			if s.Hits > 0 {
				break
			}
		}
	}
	state, err := readShim(control)
	logs := 0
	folder := filepath.Join(c.plan.Dir, c.plan.Names[0])
	for _, f := range filesIn(folder) {
		inode, gone := inodeOf(filepath.Join(folder, f.Name))
		at := state.Synced[inode]
		if err == nil && gone == nil && fileKind(f.Name) == fileLog && at.Known && at.Bytes > 0 {
			logs++
		}
	}
	if logs == 0 {
		t.Errorf("no log of a node is known to be synced: %v", err)
	}
}
