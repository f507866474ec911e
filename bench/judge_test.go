package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"tandem/bench/cluster"
)

// runBench runs the binary and returns its exit code and what it says.
func runBench(t *testing.T, args ...string) (int, string) {
	t.Helper()
	if err := buildAll(); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(filepath.Join(binaries, "bench"), args...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if exit != nil {
		return exit.ExitCode(), string(out)
	}
	return 0, string(out)
}

func TestProgramsSayWhichTheyAre(t *testing.T) {
	if err := buildAll(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"node", "gateway", "bench"} {
		out, err := exec.Command(filepath.Join(binaries, name), "--version").Output()
		if err != nil || !strings.HasPrefix(string(out), name+" v") || !strings.Contains(string(out), runtime.Version()) {
			t.Errorf("%s: %q, %v", name, out, err)
		}
	}
}

func TestExitCodesOfUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"run", "--rate", "often"}, {"run", "--mix", "z"}, {"dance"},
		{"run", "--fault", "kill db-1 at 1s"}, {"verify", "--nodes", "x"},
		{"run", "--target", "http://127.0.0.1:1", "--settle", "1ms", "--out", t.TempDir()}} {
		if code, out := runBench(t, args...); code != exitUsage || out == "" {
			t.Errorf("%v: code %d: %s", args, code, out)
		}
	}
}

// TestARunOnAClusterOfItsOwn judges answers, not times: those hang on how busy the machine is.
func TestARunOnAClusterOfItsOwn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	code, out := runBench(t, "run", "--cluster", "--bin", binaries, "--out", dir, "--duration", "3s", "--rate", "200",
		"--records", "300", "--timeout", "20s", "--budget", "15s",
		"--most-stall", "15s", "--fault", "pause db-1 at 1s for 30ms; cut db-0 to db-1 at 1.5s for 30ms")
	if code != exitPass && code != exitBudget || !strings.Contains(out, "0 not linearizable") ||
		!strings.Contains(out, "each is listed once") {
		t.Errorf("code %d: %s", code, out)
	}
	for _, name := range []string{"report.html", "report.json", "latency.hgrm"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() < 1000 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if left := cluster.Running(filepath.Join(dir, "cluster")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestChaosInShort(t *testing.T) {
	code, out := runBench(t, "chaos", "--bin", binaries, "--out", t.TempDir(), "--each", "1", "--records", "200",
		"--rate", "150", "--quiet")
	if code != exitPass || !strings.Contains(out, "PASS") || !strings.Contains(out, "both replicas of each are equal") {
		t.Errorf("code %d: %s", code, out)
	}
}

// Wrong answers, and the death of a process that nobody has ended, come out as the code that is theirs.
func TestExitCodeOfWhatIsWrong(t *testing.T) {
	t.Parallel()
	t.Run("a server that forgets", func(t *testing.T) {
		store, forget := &fakeStore{}, map[string]string{"PUT": "lost"}
		store.spoil = func(_ *fakeStore, _ int, r *http.Request) string { return forget[r.Method] }
		code, out := runBench(t, "run", "--target", store.serve(t), "--out", t.TempDir(),
			"--rate", "100", "--duration", "1s", "--records", "20", "--quiet")
		if code != exitWrong || !strings.Contains(out, "FAIL: ") {
			t.Errorf("code %d: %s", code, out)
		}
	})
	t.Run("a node that dies", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		s := startBench(t, dir, ownRun(dir, "--duration", "2s")...)
		s.until(t, " run ")
		for _, f := range cluster.Running(filepath.Join(dir, "cluster")) {
			if f.Name == "db-1" {
				_ = syscall.Kill(f.PID, syscall.SIGKILL)
			}
		}
		if code, out := s.end(t); code != exitWrong || !strings.Contains(out, "died by itself") {
			t.Errorf("code %d: %s", code, out)
		}
	})
}

// fakeNode answers lines of text from a table.
func fakeNode(t *testing.T, answers map[string]string) string {
	t.Helper()
	return listenNode(t, func(line string) string { return answers[line] })
}

// emptyNode answers lines of text with empty ones, and tells of each.
func emptyNode(t *testing.T, told func()) string {
	t.Helper()
	return listenNode(t, func(string) string { told(); return "" })
}

// listenNode answers lines of text.
func listenNode(t *testing.T, answer func(line string) string) string {
	t.Helper()
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listen.Close() })
	go func() {
		for {
			conn, err := listen.Accept()
			if err != nil {
				return
			}
			line, _ := bufio.NewReader(conn).ReadString('\n')
			fmt.Fprintln(conn, answer(strings.TrimSpace(line)))
			conn.Close()
		}
	}()
	return listen.Addr().String()
}

func TestReplicasThatDifferAreFound(t *testing.T) {
	t.Parallel()
	view := `[{"shard":0,"epoch":7,"leader":"db-0","backup":"db-1","inSync":true}]`
	good := `{"shard":0,"role":"leader","users":5,"epoch":7,"lsn":9,"digest":"abc"}`
	backup, zero, three := strings.Replace(good, "leader", "backup", 1), `[{"shard":0}]`, `[{"shard":0},{"shard":3}]`
	for _, c := range []struct {
		name, other, view, shards string
		equal, synced             bool
	}{
		{"equal", backup, view, zero, true, true},
		{"another digest", strings.Replace(backup, "abc", "abd", 1), view, zero, false, true},
		{"another position", strings.Replace(backup, `"lsn":9`, `"lsn":8`, 1),
			strings.Replace(view, "true", "false", 1), zero, false, false},
		{"another view", `{"error":"x"}`, strings.Replace(view, "7", "8", 1), zero, false, false},
		{"two leaders", good, view, zero, false, true},
		{"shards that nobody holds", backup, view, three, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			addrs := []string{fakeNode(t, map[string]string{"SHARDS": c.shards, "DIGEST 0": good, "DIGEST 3": good,
				"VIEW": view}), fakeNode(t, map[string]string{"SHARDS": c.shards, "DIGEST 0": c.other,
				"DIGEST 3": backup, "VIEW": c.view})}
			if d := compareDigests(addrs, 50*time.Millisecond); d.Err != nil || (len(d.Unequal) == 0) != c.equal ||
				!strings.Contains(digestText(d), map[bool]string{true: "are equal", false: "DIFFER"}[c.equal]) {
				t.Errorf("%+v", d)
			}
			if err := cluster.AwaitSync(addrs, 50*time.Millisecond); (err == nil) != c.synced {
				t.Error(err)
			}
			code, text := runBench(t, "verify", "--wait", "50ms", "--nodes", "a="+addrs[0]+",b="+addrs[1])
			if want := map[bool]int{true: exitPass, false: exitWrong}[c.equal]; code != want {
				t.Errorf("verify ends with %d: %s", code, text)
			}
		})
	}
}
