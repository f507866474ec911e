package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tandem/bench/cluster"
)

// started is a bench under way.
type started struct {
	cmd   *exec.Cmd
	lines *bufio.Reader // what it says
	far   *os.File      // the end of the pipe where that is read
	root  string        // folder of all that it makes
}

// startBench starts bench with its output in a pipe.
func startBench(t *testing.T, root string, command ...string) started {
	t.Helper()
	return startSaying(t, root, nil, command...)
}

// startSaying starts bench with its standard error in a file, or in the pipe of its output if there is none.
func startSaying(t *testing.T, root string, errors *os.File, command ...string) started {
	t.Helper()
	if err := buildAll(); err != nil {
		t.Fatal(err)
	}
	far, near, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	s := started{exec.Command(command[0], command[1:]...), bufio.NewReader(far), far, root}
	s.cmd.Stdout, s.cmd.Stderr = near, cmp.Or(errors, near)
	s.cmd.Env = append(os.Environ(), "TMPDIR="+root)
	if err = s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		_ = far.Close()
		for _, pid := range s.children() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	return s
}

// children are the processes that log into a folder of this bench.
func (s started) children() []int {
	all := []int{}
	_ = filepath.WalkDir(s.root, func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			all = append(all, cluster.LoggingInto(path)...)
		}
		return nil
	})
	return all
}

// until reads what is said up to a line with a word in it.
func (s started) until(t *testing.T, word string) {
	t.Helper()
	said := ""
	for !strings.Contains(said, word) {
		line, err := s.lines.ReadString('\n')
		if said += line; err != nil {
			t.Fatalf("%q was not said: %v: %s", word, err, said)
		}
	}
}

// end waits for the end of bench and returns its exit code, that of a signal being -1, and what else it said.
func (s started) end(t *testing.T) (int, string) {
	t.Helper()
	rest := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(s.lines)
		rest <- string(text)
	}()
	ended := make(chan struct{})
	go func() {
		_ = s.cmd.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
	return s.cmd.ProcessState.ExitCode(), <-rest
}

// alone waits until none of the children is left.
func (s started) alone(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(patience); len(s.children()) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("left behind: %v", s.children())
		}
	}
}

// kept checks that there is a report, and that it says that the run was ended early.
func (s started) kept(t *testing.T, early bool) {
	t.Helper()
	var r report
	text, err := os.ReadFile(filepath.Join(s.root, "report.json"))
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil || strings.Contains(r.Verdict.Word, "ended early") != early {
		t.Errorf("the report: %v, %+v", err, r.Verdict)
	}
}

// ownRun is the command line of a run with a cluster of its own that goes on until it is ended.
func ownRun(root string, more ...string) []string {
	return append([]string{filepath.Join(binaries, "bench"), "run", "--cluster", "--bin", binaries, "--out", root,
		"--rate", "50", "--duration", "10m", "--records", "50"}, more...)
}

func TestARunEndsInOrder(t *testing.T) {
	t.Parallel()
	hangUp := func(s started) error { return s.cmd.Process.Signal(syscall.SIGHUP) }
	for name, c := range map[string]struct {
		more []string
		when string // said by then
		end  func(s started) error
	}{
		"hangup":                {nil, " run ", hangUp},
		"hangup while it loads": {[]string{"--records", "3000000"}, " load ", hangUp},
		"SIGTERM":               {nil, " run ", func(s started) error { return s.cmd.Process.Signal(syscall.SIGTERM) }},
		"nobody reads":          {nil, " run ", func(s started) error { return s.far.Close() }},
		"few operations":        {[]string{"--rate", "0.01", "--duration", "1h"}, " load ", hangUp},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := startBench(t, dir, ownRun(dir, c.more...)...)
			s.until(t, c.when)
			if err := c.end(s); err != nil {
				t.Fatal(err)
			}
			if code, text := s.end(t); code != exitUsage {
				t.Errorf("code %d: %s", code, text)
			}
			if left := s.children(); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
			s.kept(t, true)
		})
	}
}

func TestNothingStaysBehind(t *testing.T) {
	t.Parallel()
	bench := func(args ...string) func(string) []string {
		return func(root string) []string {
			command := []string{filepath.Join(binaries, "bench")}
			for _, arg := range args {
				command = append(command, strings.ReplaceAll(arg, "ROOT", root))
			}
			return command
		}
	}
	run := func(root string) []string { return ownRun(root) }
	chaos := bench("chaos", "--bin", binaries, "--out", "ROOT", "--records", "50")
	cluster := func(root string) []string {
		port := freePorts(t, 4)
		return bench("cluster", "--bin", binaries, "--dir", "ROOT/c", "--http",
			net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), "--port", strconv.Itoa(port+1))(root)
	}
	space := bench("space", "--bin", binaries, "--dir", "ROOT/s", "--users", "100000000")
	micro := bench("micro", "--bin", binaries, "--nodes", "3", "--operations", "100000")
	for name, c := range map[string]struct {
		command func(root string) []string
		sign    []syscall.Signal
		code    int
	}{
		"run, killed":       {run, []syscall.Signal{syscall.SIGKILL}, -1},
		"run, SIGQUIT":      {run, []syscall.Signal{syscall.SIGQUIT}, -1},
		"run, Ctrl-C twice": {run, []syscall.Signal{syscall.SIGINT, syscall.SIGINT}, exitUsage},
		"chaos, hangup":     {chaos, []syscall.Signal{syscall.SIGHUP, syscall.SIGHUP}, exitUsage},
		"chaos, killed":     {chaos, []syscall.Signal{syscall.SIGKILL}, -1},
		"cluster, hangup":   {cluster, []syscall.Signal{syscall.SIGHUP}, exitPass},
		"cluster, killed":   {cluster, []syscall.Signal{syscall.SIGKILL}, -1},
		"space, hangup":     {space, []syscall.Signal{syscall.SIGHUP}, exitUsage},
		"micro, hangup":     {micro, []syscall.Signal{syscall.SIGHUP}, exitUsage},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root, err := filepath.EvalSymlinks(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			if err = buildAll(); err != nil {
				t.Fatal(err)
			}
			s := startBench(t, root, c.command(root)...)
			for end := time.Now().Add(patience); len(s.children()) < 4; time.Sleep(5 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("no cluster was started")
				}
			}
			if c.code == exitPass { // which only a cluster that serves ends with
				s.until(t, "Ctrl-C stops all")
			}
			if len(c.sign) > 1 && c.sign[0] == syscall.SIGINT {
				for _, pid := range s.children() {
					_ = syscall.Kill(pid, syscall.SIGSTOP) // they do not end in order
				}
			}
			for i, sign := range c.sign {
				if err := s.cmd.Process.Signal(sign); err != nil {
					t.Fatal(err)
				}
				if len(c.sign) > 1 && sign == syscall.SIGINT && i == 0 {
					s.until(t, "once more") // two equal signals that are pending are one
				}
			}
			if code, text := s.end(t); code != c.code {
				t.Errorf("code %d, expected %d: %s", code, c.code, text)
			}
			s.alone(t)
			if left, _ := filepath.Glob(filepath.Join(root, "tandem-micro-*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// A reader of standard error that stands still holds up neither a run nor its end.
func TestAReaderThatStandsStill(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 1)
	store := &fakeStore{wait: func(n int) {
		if n == 30 {
			close(asked)
		}
	}}
	reader, writer := fullPipe(t)
	defer reader.Close()
	dir := t.TempDir()
	s := startSaying(t, dir, writer, filepath.Join(binaries, "bench"), "run", "--target", store.serve(t), "--out", dir,
		"--rate", "50", "--duration", "10m", "--records", "10")
	writer.Close()
	<-asked
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code, text := s.end(t); code != exitUsage || !strings.Contains(text, "ended early") {
		t.Errorf("code %d: %s", code, text)
	}
	s.kept(t, true)
}

// A hangup that was ignored at the start, as nohup does it, ends nothing.
func TestAnIgnoredHangupStaysIgnored(t *testing.T) {
	t.Parallel()
	target, dir := new(fakeStore).serve(t), t.TempDir()
	s := startBench(t, dir, "sh", "-c", `trap "" HUP; exec "$@"`, "sh", filepath.Join(binaries, "bench"), "run",
		"--target", target, "--out", dir, "--rate", "50", "--duration", "2s", "--records", "10")
	s.until(t, " run ")
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if code, text := s.end(t); code == exitUsage {
		t.Errorf("code %d: %s", code, text)
	}
	s.kept(t, false)
}

// Commands without a cluster end early, too, whatever they wait for.
func TestSmallCommandsEndEarly(t *testing.T) {
	t.Parallel()
	asked, release := make(chan string, 1<<16), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- strings.Split(r.URL.Path, "/")[1]
		if r.Method == "GET" {
			w.Header().Set("X-Total-Count", "1000")
			w.Header().Set("Link", `</api/user?after=x&limit=1>; rel="next"`)
			_, _ = io.WriteString(w, "[]")
			time.Sleep(10 * time.Millisecond)
			return
		}
		<-release
	}))
	defer server.Close()
	defer close(release)
	node := emptyNode(t, func() { asked <- "verify" })
	data := t.TempDir()
	if err := os.MkdirAll(filepath.Join(data, "db-0"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "db-0", "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{ // each has a path of its own
		"fill":   {"fill", "--target", server.URL + "/fill", "--users", "100"},
		"pages":  {"pages", "--target", server.URL + "/pages", "--samples", "1000000"},
		"space":  {"space", "--target", server.URL + "/space", "--dir", data},
		"verify": {"verify", "--nodes", "a=" + node + ",b=" + node, "--wait", "1h"},
	} {
		t.Run(name, func(t *testing.T) {
			s := startBench(t, t.TempDir(), append([]string{filepath.Join(binaries, "bench")}, args...)...)
			for <-asked != name {
			}
			if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			if code, text := s.end(t); code != exitUsage || !strings.Contains(text, "ended early") {
				t.Errorf("code %d: %s", code, text)
			}
		})
	}
}
