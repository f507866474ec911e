package cluster

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
	case <-time.After(longest):
		t.Fatalf("%s is not answered", fmt.Sprintf(format, a...))
		return ""
	}
}

func (p trier) send(format string, a ...any) { fmt.Fprintf(p.in, format+"\n", a...) }

// rule sets a rule.
func (p trier) rule(t *testing.T, r Rule) {
	t.Helper()
	if err := SetRule(p.control, r); err != nil {
		t.Fatal(err)
	}
}

// state reads what the shim has counted.
func (p trier) state(t *testing.T) ShimState {
	t.Helper()
	s, err := ReadShim(p.control)
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
	names := []string{"000004.wal", "000007.sst", "MANIFEST-000005", "CURRENT", "OPTIONS-000006", "LOCK"}
	kinds := []uint64{FilesLog, FilesTable, FilesManifest, FilesCurrent, filesOptions, filesOther}
	for i, name := range names {
		if got := p.ask(t, "open %s", filepath.Join(p.folder, name)); got != fmt.Sprintf("%d -", i) {
			t.Fatal(got)
		}
		p.ask(t, "write %d 4096", i)
	}
	outside := len(names)
	p.ask(t, "open %s", p.folder+"-other.wal")
	if s := p.state(t); s.Loads != 1 || s.Hits != 0 {
		t.Fatalf("%d loads, %d hits before any rule", s.Loads, s.Hits)
	}
	for _, c := range []struct {
		ops  uint64
		call string
		well string
	}{
		{OpsRead, "pread %d 10", "10 -"}, {OpsWrite, "write %d 10", "10 -"}, {OpsWrite, "pwrite %d 10", "10 -"},
		{OpsSync, "fsync %d 0", "0 -"}, {OpsSync, "fdatasync %d 0", "0 -"}, {OpsSync, "range %d 10", "0 -"},
		{OpsAllocate, "fallocate %d 4096", "0 -"},
	} {
		for i := range names {
			p.rule(t, Rule{Ops: c.ops, Files: kinds[i], Action: ActFail, Error: syscall.EIO})
			for k := range outside + 1 {
				want := c.well
				if k == i {
					want = "-1 EIO"
				}
				if k == outside && c.ops == OpsRead { // it is empty
					want = "0 -"
				}
				if got := p.ask(t, c.call, k); got != want && !(k == outside && strings.HasSuffix(got, " -")) {
					t.Errorf("a rule for %s: "+c.call+" is %s, expected %s", names[i], k, got, want)
				}
			}
			if s := p.state(t); s.Hits != 1 {
				t.Errorf(c.call+": %d hits", i, s.Hits)
			}
			p.rule(t, Rule{})
			if got := p.ask(t, c.call, i); got != c.well {
				t.Errorf("without a rule "+c.call+" is %s", i, got)
			}
		}
	}
	p.rule(t, Rule{Ops: opsRename, Files: FilesCurrent, Action: ActFail, Error: syscall.ENOSPC})
	lock, current := filepath.Join(p.folder, "LOCK"), filepath.Join(p.folder, "CURRENT")
	if got := p.ask(t, "rename %s %s", lock, current); got != "-1 ENOSPC" {
		t.Error(got)
	}
	p.rule(t, Rule{Ops: OpsAllocate, Files: FilesAll, Action: ActFail, Error: syscall.ENOSPC})
	if got := p.ask(t, "open %s", filepath.Join(p.folder, "000009.sst")); got != "-1 ENOSPC" {
		t.Error(got)
	}
	p.rule(t, Rule{Ops: OpsRead, Files: FilesAll, Action: ActFail, Error: syscall.EIO})
	p.ask(t, "open %s", current)
	if got := p.ask(t, "fread %d 16", outside+1); got != "0 EIO" {
		t.Errorf("a read of a stream: %s", got)
	}
	p.rule(t, Rule{})
	if got := p.ask(t, "fread %d 16", outside+1); got != "16 -" {
		t.Errorf("a read of a stream, well again: %s", got)
	}
}

// Some of the calls, so many in all, halves, waits.
func TestShimSometimes(t *testing.T) {
	p := startTrier(t)
	p.ask(t, "open %s", filepath.Join(p.folder, "000004.wal"))
	p.rule(t, Rule{Ops: OpsWrite, Files: FilesLog, Action: ActFail, Error: syscall.EIO, Every: 3, Most: 2})
	got := []string{}
	for range 12 {
		got = append(got, p.ask(t, "write 0 8"))
	}
	if want := "8 -,8 -,-1 EIO,8 -,8 -,-1 EIO,8 -,8 -,8 -,8 -,8 -,8 -"; strings.Join(got, ",") != want {
		t.Errorf("one in three, two at most: %v", got)
	}
	p.rule(t, Rule{Ops: OpsWrite, Files: FilesLog, Action: ActShort, Error: syscall.ENOSPC, Most: 1})
	got = []string{p.ask(t, "write 0 100"), p.ask(t, "write 0 50"), p.ask(t, "write 0 50")}
	if strings.Join(got, ",") != "50 -,-1 ENOSPC,50 -" {
		t.Errorf("a write that is cut short: %v", got)
	}
	p.rule(t, Rule{Ops: OpsSync, Files: FilesLog, Action: ActSlow, Slow: time.Millisecond})
	if got := p.ask(t, "fdatasync 0 0"); got != "0 -" || p.state(t).Hits != 1 {
		t.Errorf("a slow sync: %s, %d hits", got, p.state(t).Hits)
	}
	p.rule(t, Rule{Ops: OpsSync, Files: FilesLog, Action: ActHang})
	p.send("fdatasync 0 0")
	for end := time.Now().Add(longest); p.state(t).Hits == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the sync does not come to the shim")
		}
	}
	select {
	case got := <-p.out:
		t.Errorf("a sync that was to hang is answered %s", got)
	default:
	}
	p.rule(t, Rule{})
	if got := <-p.out; got != "0 -" {
		t.Errorf("a sync that has hung: %s", got)
	}
}

// A write that is synced when it returns is a sync, too, and is cut short at a block.
func TestShimOfSyncedWrites(t *testing.T) {
	p := startTrier(t)
	path := filepath.Join(p.folder, "000004.wal")
	p.ask(t, "opendsync %s", path)
	short := Rule{Ops: OpsWrite, Files: FilesLog, Action: ActShort, Error: syscall.EIO, Most: 1}
	p.rule(t, short)
	if got := []string{p.ask(t, "pwrite 0 16384"), p.ask(t, "pwrite 0 8192"), p.ask(t, "pwrite 0 8192")}; strings.Join(got,
		",") != "8192 -,-1 EIO,8192 -" {
		t.Errorf("four blocks, cut short: %v", got)
	}
	p.rule(t, short)
	if got := []string{p.ask(t, "pwrite 0 4096"), p.ask(t, "pwrite 0 4096")}; strings.Join(got, ",") != "-1 EIO,4096 -" {
		t.Errorf("one block, cut short: %v", got)
	}
	p.rule(t, Rule{Ops: OpsSync, Files: FilesLog, Action: ActFail, Error: syscall.EIO, Most: 1})
	if got := []string{p.ask(t, "pwrite 0 4096"), p.ask(t, "pwrite 0 4096")}; strings.Join(got, ",") != "-1 EIO,4096 -" {
		t.Errorf("its sync fails: %v", got)
	}
}

// A power loss takes what was not synced, and nothing else; what was written before a failed sync never counts as
// synced.
func TestShimKnowsWhatIsSynced(t *testing.T) {
	p := startTrier(t)
	for i, name := range []string{"000004.wal", "MANIFEST-000005"} {
		p.ask(t, "open %s", filepath.Join(p.folder, name))
		p.ask(t, "write %d 1000", i)
		p.ask(t, "fdatasync %d 0", i)
		p.ask(t, "write %d 500", i)
	}
	p.rule(t, Rule{Ops: OpsSync, Files: FilesManifest, Action: ActFail, Error: syscall.EIO})
	if got := []string{p.ask(t, "fsync 0 0"), p.ask(t, "fsync 1 0")}; strings.Join(got, ",") != "0 -,-1 EIO" {
		t.Error(got)
	}
	p.rule(t, Rule{})
	p.ask(t, "fsync 1 0")
	p.ask(t, "range 0 0")
	p.ask(t, "write 0 300")
	lengths := map[int64]bool{}
	for chance := range uint64(40) {
		left := map[string]int64{}
		for _, f := range FilesIn(p.folder) {
			inode, err := InodeOf(filepath.Join(p.folder, f.Name))
			if err != nil {
				t.Fatal(err)
			}
			left[f.Name] = cutTo(f.Size, p.state(t).Synced[inode], chance*37)
		}
		if left["000004.wal"] < 1500 || left["000004.wal"] > 1800 || left["MANIFEST-000005"] < 1000 ||
			left["MANIFEST-000005"] > 1500 {
			t.Fatalf("a power loss leaves %v", left)
		}
		lengths[left["000004.wal"]] = true
	}
	if len(lengths) < 20 {
		t.Errorf("40 power losses leave %d lengths", len(lengths))
	}
	done := make(chan Note, 1)
	go loseUnsynced(p.folder, p.control, 7, done)
	if n := <-done; n.Err != nil || !strings.Contains(n.Text, "MANIFEST-000005 from 1500 to 1") {
		t.Errorf("%+v", n)
	}
	go loseUnsynced(p.folder, p.control, 8, done)
	if n := <-done; n.Err != nil || !strings.Contains(n.Text, "cut: []") {
		t.Errorf("what has survived a loss of power is lost by the next one: %+v", n)
	}
	if err := os.Remove(filepath.Join(p.folder, "000004.wal")); err != nil {
		t.Fatal(err)
	}
	p.ask(t, "close 0 0") // its inode may be that of the next new file
	p.ask(t, "open %s", filepath.Join(p.folder, "000008.wal"))
	inode, err := InodeOf(filepath.Join(p.folder, "000008.wal"))
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
