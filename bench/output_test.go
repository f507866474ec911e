package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tandem/bench/cluster"
)

// pipeSize is that of the pipes that these tests read no more: the smallest there is.
const pipeSize = 4096

// fullPipe returns the ends of a pipe that takes nothing more until it is read.
func fullPipe(t *testing.T) (reader, writer *os.File) {
	t.Helper()
	ends := [2]int{}
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	size, err := unix.FcntlInt(uintptr(ends[1]), unix.F_SETPIPE_SZ, pipeSize)
	if err == nil {
		_, err = unix.Write(ends[1], bytes.Repeat([]byte("\n"), size))
	}
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(ends[0]), "reader"), os.NewFile(uintptr(ends[1]), "writer")
}

// startInto starts process i of the cluster again, with its output going to a file of the test.
func (c *testCluster) startInto(i int, output *os.File) {
	c.t.Helper()
	argv := cluster.Commands(c.plan)[i]
	p := c.processes[i]
	p.Cmd, p.Gone = exec.Command(argv[0], argv[1:]...), make(chan struct{})
	p.Cmd.Stdout, p.Cmd.Stderr = output, output
	if err := p.Cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	output.Close()
	go func() {
		_ = p.Cmd.Wait() // ProcessState has the outcome
		close(p.Gone)
	}()
	c.processes[i] = p
}

// leave ends process i as an operator does, and holds that it ends well.
func (c *testCluster) leave(i int) {
	c.t.Helper()
	p := c.processes[i]
	if err := p.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		c.t.Fatal(err)
	}
	select {
	case <-p.Gone:
	case <-time.After(patience):
		c.t.Fatalf("%s does not end", p.Name)
	}
	if !p.Cmd.ProcessState.Success() {
		c.t.Errorf("%s: %v", p.Name, p.Cmd.ProcessState)
	}
}

// fillUsers creates some users of every shard, and returns a look at all of them.
func (c *testCluster) fillUsers(n int) func() {
	c.t.Helper()
	for i := range n {
		c.eventually(http.StatusCreated, "POST", "/api/user/", userJSON(user{ID: fmt.Sprint("u", i), Name: "n"}))
	}
	return func() {
		c.t.Helper()
		for i := range n {
			c.eventually(http.StatusOK, "GET", fmt.Sprint("/api/user/u", i), "")
		}
	}
}

// TestALogThatNobodyReads: the pipe to which a node and the gateway write their log is full from the start. They start,
// serve all users and stop in order all the same, and what they have said is there for who reads it later.
func TestALogThatNobodyReads(t *testing.T) {
	t.Parallel()
	c := startTest(t, 3)
	look := c.fillUsers(50)
	readers := []*os.File{}
	for _, i := range []int{0, c.plan.Nodes} {
		c.kill(i)
		reader, writer := fullPipe(t)
		defer reader.Close()
		c.startInto(i, writer)
		c.await(i)
		readers = append(readers, reader)
	}
	c.settle()
	look()
	for i, reader := range readers {
		said := make(chan string, 1)
		go func() {
			text, _ := io.ReadAll(reader)
			said <- string(text)
		}()
		c.leave([]int{0, c.plan.Nodes}[i])
		text := <-said
		for _, want := range []string{"msg=serving", "msg=\"serving REST\"", "msg=stopping"} {
			if (i == 0) == strings.Contains(want, "REST") {
				continue
			}
			if !strings.Contains(text, want) {
				t.Errorf("%s is missing in %.2000q", want, strings.TrimLeft(text, "\n"))
			}
		}
	}
}

// TestALogThatNobodyReadsHoldsUpNoStop: the last words get a moment, not for ever.
func TestALogThatNobodyReadsHoldsUpNoStop(t *testing.T) {
	t.Parallel()
	c := startTest(t, 3)
	for _, i := range []int{c.plan.Nodes, 0} {
		c.kill(i)
		reader, writer := fullPipe(t)
		defer reader.Close()
		c.startInto(i, writer)
		c.await(i)
		c.leave(i)
	}
}

// TestALogWhoseReaderIsGone: node and gateway go on, and say how many lines could not be written.
func TestALogWhoseReaderIsGone(t *testing.T) {
	t.Parallel()
	c := startTest(t, 3)
	look := c.fillUsers(50)
	for _, i := range []int{0, c.plan.Nodes} {
		c.kill(i)
		reader, writer, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		reader.Close()
		c.startInto(i, writer)
		c.await(i)
	}
	c.settle()
	look()
	line, err := cluster.AskLine(c.plan.Addrs[0], "STATUS")
	var status struct{ LogDropped uint64 }
	if err == nil {
		err = json.Unmarshal([]byte(line), &status)
	}
	if err != nil || status.LogDropped == 0 {
		t.Errorf("the node has dropped %d lines: %v in %q", status.LogDropped, err, line)
	}
	metrics, name := c.must(http.StatusOK, "GET", "/metrics", "").body, "\ntandem_log_lines_dropped_total "
	if !strings.Contains(metrics, name) || strings.Contains(metrics, name+"0\n") {
		t.Error("the gateway has dropped no line")
	}
	c.leave(c.plan.Nodes)
	c.leave(0)
}

// TestLastWords: what ends a process at its start is said before it ends.
func TestLastWords(t *testing.T) {
	t.Parallel()
	if err := buildAll(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		program string
		args    []string
		want    string
	}{
		{"node", []string{"--bogus"}, "unknown flag --bogus"},
		{"gateway", []string{"--bogus"}, "unknown flag --bogus"},
		{"node", []string{"--name", "db-0", "--nodes", "db-0"}, "node: bad settings: --nodes"},
		{"gateway", []string{"--nodes", "db-0"}, "gateway: bad settings: --nodes"},
	} {
		out, err := exec.Command(filepath.Join(binaries, c.program), c.args...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), c.want) {
			t.Errorf("%s %v: %v; it says %q, expected %q", c.program, c.args, err, out, c.want)
		}
	}
}

// TestALogOnATerminal: a process in the background of a terminal that stops whoever writes to it from there is not
// stopped.
func TestALogOnATerminal(t *testing.T) {
	t.Parallel()
	if err := buildAll(); err != nil {
		t.Fatal(err)
	}
	master, terminal := openTerminal(t)
	defer master.Close()
	go func() { _, _ = io.Copy(io.Discard, master) }()
	address := fmt.Sprint("127.0.0.1:", freePorts(t, 1))
	// The shell with job control puts the gateway into the background, and stays until its own input ends.
	shell := exec.Command("sh", "-c", `set -m; "$0" "$@" & cat >/dev/null; kill -9 $!`,
		filepath.Join(binaries, "gateway"), "--listen", address,
		"--nodes", "db-0=127.0.0.1:1,db-1=127.0.0.1:2,db-2=127.0.0.1:3")
	shell.Stdout, shell.Stderr = terminal, terminal
	shell.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 1}
	alive, err := shell.StdinPipe()
	if err == nil {
		err = shell.Start()
	}
	terminal.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		alive.Close()
		_ = shell.Wait()
	}()
	client := http.Client{Timeout: time.Second}
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		answer, err := client.Get("http://" + address + "/healthz")
		if err == nil {
			answer.Body.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// openTerminal makes a terminal that stops those in the background who write to it, and returns its ends.
func openTerminal(t *testing.T) (master, terminal *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd, number := int(master.Fd()), 0
	if err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err == nil {
		number, err = unix.IoctlGetInt(fd, unix.TIOCGPTN)
	}
	if err == nil {
		terminal, err = os.OpenFile(fmt.Sprint("/dev/pts/", number), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	var settings *unix.Termios
	if err == nil {
		settings, err = unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	}
	if err == nil {
		settings.Lflag |= unix.TOSTOP
		err = unix.IoctlSetTermios(int(terminal.Fd()), unix.TCSETS, settings)
	}
	if err != nil {
		t.Fatal(err)
	}
	return master, terminal
}
