package main

import (
	"bufio"
	"io"
	"net"
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

// benchCluster returns the command line of bench cluster for a plan.
func benchCluster(p cluster.Plan, more ...string) *exec.Cmd {
	args := append([]string{"cluster", "--dir", p.Dir, "--nodes", strconv.Itoa(p.Nodes), "--http", p.HTTP, "--port",
		strconv.Itoa(p.Port)}, more...)
	return exec.Command(filepath.Join(binaries, "bench"), args...)
}

// gone waits until nothing of a plan is running.
func gone(t *testing.T, p cluster.Plan) {
	t.Helper()
	for end := time.Now().Add(patience); len(cluster.Running(p.Dir)) > 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("still running: %v", cluster.Running(p.Dir))
		}
	}
}

// coarse checks that the timers of a process may ring late, all of its threads': what the kernel shows of the slack is
// root's to read.
func coarse(t *testing.T, name string, pid int) {
	t.Helper()
	environ, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
	if err != nil || !strings.Contains(string(environ), "TANDEM_TIMER_SLACK_SET=1") {
		t.Errorf("%s has not set its timers' slack: %v", name, err)
	}
	threads, _ := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*"))
	for _, thread := range threads {
		slack, err := os.ReadFile(filepath.Join("/proc", filepath.Base(thread), "timerslack_ns"))
		if err == nil && strings.TrimSpace(string(slack)) != "1000000" {
			t.Errorf("thread %s of %s has timers with %s ns of slack", filepath.Base(thread), name,
				strings.TrimSpace(string(slack)))
		}
	}
}

func TestBenchCluster(t *testing.T) {
	t.Parallel()
	plan := planTest(t, 3)
	t.Cleanup(func() { _ = cluster.Stop(plan.Dir, 0) })
	t.Run("detached", func(t *testing.T) {
		out, err := benchCluster(plan, "--detach").CombinedOutput()
		for _, want := range append([]string{"http://" + plan.HTTP, "curl", "nc -N", "bench stop"}, plan.Addrs...) {
			if err != nil || !strings.Contains(string(out), want) {
				t.Fatalf("%v: %q is not in %s", err, want, out)
			}
		}
		if n := len(cluster.Running(plan.Dir)); n != 4 {
			t.Fatalf("%d processes are running, expected 4", n)
		}
		for _, f := range cluster.Running(plan.Dir) {
			coarse(t, f.Name, f.PID)
		}
		out, err = benchCluster(plan).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "still running") || len(cluster.Running(plan.Dir)) != 4 {
			t.Errorf("a second start: %v: %s", err, out)
		}
		if out, err = exec.Command(filepath.Join(binaries, "bench"), "stop", "--dir",
			plan.Dir).CombinedOutput(); err != nil || len(cluster.Running(plan.Dir)) != 0 {
			t.Errorf("stop: %v: %s, running: %v", err, out, cluster.Running(plan.Dir))
		}
	})
	t.Run("in the foreground", func(t *testing.T) {
		command := benchCluster(plan)
		complaints := filepath.Join(t.TempDir(), "stderr")
		stderr, err := os.Create(complaints)
		if err != nil {
			t.Fatal(err)
		}
		defer stderr.Close()
		said := func() string {
			text, _ := os.ReadFile(complaints) // it is there
			return string(text)
		}
		command.Stderr = stderr
		out, err := command.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err = command.Start(); err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReader(out)
		for line := ""; !strings.Contains(line, "Ctrl-C"); {
			if line, err = in.ReadString('\n'); err != nil {
				_ = command.Wait()
				t.Fatalf("%v: %s", err, said())
			}
		}
		for _, f := range cluster.Running(plan.Dir) {
			if f.Name == "db-1" {
				_ = syscall.Kill(f.PID, syscall.SIGKILL)
			}
		}
		for end := time.Now().Add(patience); !strings.Contains(said(), "died by itself: db-1"); {
			if time.Sleep(10 * time.Millisecond); time.Now().After(end) {
				t.Fatalf("the death of db-1 is not told: %s", said())
			}
		}
		if err = command.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, in)
		if err = command.Wait(); err != nil {
			t.Errorf("%v: %s", err, said())
		}
		gone(t, plan)
	})
	t.Run("port in use", func(t *testing.T) {
		taken, err := net.Listen("tcp", plan.Addrs[2])
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
		out, err := benchCluster(plan).CombinedOutput()
		if err == nil || !strings.Contains(string(out), plan.Addrs[2]) || !strings.Contains(string(out), "db-2") ||
			len(cluster.Running(plan.Dir)) != 0 {
			t.Errorf("%v: %s, running: %v", err, out, cluster.Running(plan.Dir))
		}
	})
	t.Run("another layout than the data's", func(t *testing.T) {
		out, err := benchCluster(plan, "--shards", "30").CombinedOutput()
		if err == nil || !strings.Contains(string(out), "24") || !strings.Contains(string(out), "30") ||
			len(cluster.Running(plan.Dir)) != 0 {
			t.Errorf("%v: %s, running: %v", err, out, cluster.Running(plan.Dir))
		}
	})
	t.Run("two nodes", func(t *testing.T) {
		plan := plan
		plan.Nodes = 2
		out, err := benchCluster(plan).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "at least 3") || len(cluster.Running(plan.Dir)) != 0 {
			t.Errorf("%v: %s", err, out)
		}
	})
}
