package cluster

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// errLost is the class of a cluster that has lost processes.
var errLost = errors.New("the cluster is lost")

// errStop is the class of a local cluster that cannot be stopped as asked.
var errStop = errors.New("cannot stop the cluster")

// StopGrace is how long a process may take to stop before it is killed.
const StopGrace = 15 * time.Second

// Start starts the nodes and then the gateway of a settled plan and returns when all of them serve, or it is
// ended early. On an error the processes that were launched are still returned: the caller ends them.
func Start(p Plan) ([]Process, error) {
	if old := Running(p.Dir); len(old) > 0 {
		return nil, fmt.Errorf("%w: %s of an earlier start is still running (bench stop --dir %s ends it)", ErrPlan,
			old[0].Name, p.Dir)
	}
	names := append(slices.Clone(p.Names), "gateway")
	for i, addr := range append(slices.Clone(p.Addrs), p.HTTP) {
		probe, err := net.Listen("tcp", addr)
		if err == nil {
			err = probe.Close()
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s cannot listen on %s: %w", ErrPlan, names[i], addr, err)
		}
	}
	started := make([]Process, 0, len(names))
	ready := make(chan error, len(names))
	for i, argv := range Commands(p) {
		if i == p.Nodes { // the gateway starts when all nodes serve
			for range p.Nodes {
				select {
				case err := <-ready:
					if err != nil {
						return started, err
					}
				case <-p.Early:
					return started, ErrInterrupted
				}
			}
		}
		child, err := Launch(p.Dir, names[i], argv)
		if err != nil {
			return started, err
		}
		started = append(started, child)
		if i < p.Nodes {
			go AwaitNode(child, p.Addrs[i], ready)
		} else {
			go AwaitGateway(child, p.HTTP, ready)
		}
	}
	select {
	case err := <-ready:
		return started, err
	case <-p.Early:
		return started, ErrInterrupted
	}
}

// Hold waits until early is closed, and reports every process that ends before. It is an error when none is left.
func Hold(started []Process, early <-chan struct{}) error {
	dead := make(chan Process, len(started))
	for _, p := range started {
		go func() {
			<-p.Gone
			dead <- p
		}()
	}
	for left := len(started); left > 0; left-- {
		select {
		case <-early:
			return nil
		case p := <-dead:
			Tell("bench: died by itself: %s; its data stays, the rest goes on\n", DescribeEnd(p))
		}
	}
	return fmt.Errorf("%w: no process of it is left", errLost)
}

// StopProcesses ends the processes that this bench started: the gateway first, then all nodes at once.
func StopProcesses(started []Process, grace time.Duration) {
	for _, gateways := range []bool{true, false} {
		group := slices.DeleteFunc(slices.Clone(started),
			func(p Process) bool { return (p.Name == "gateway") != gateways })
		for _, p := range group {
			_ = p.Cmd.Process.Signal(syscall.SIGTERM) // it may be gone already
		}
		limit := time.After(grace)
		for _, p := range group {
			select {
			case <-p.Gone:
			case <-limit:
				Tell("bench: %s does not stop within %v and is killed\n", p.Name, grace)
				_ = p.Cmd.Process.Kill()
				<-p.Gone
				limit = time.After(0) // the others have had their time too
			}
			_ = os.Remove(strings.TrimSuffix(p.log, ".log") + ".pid")
		}
	}
}

// Child is a process of a cluster that was found by its pid file.
type Child struct {
	Name string
	PID  int
}

// Running returns the processes of the pid files in a folder that are running. A pid may long belong to a stranger: it
// is ours only if its output goes to the log of that name. A process that has ended, though not yet waited for, has no
// output any more.
func Running(dir string) []Child {
	files, _ := filepath.Glob(filepath.Join(dir, "*.pid")) // the pattern is well-formed
	found := []Child{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		word := strings.TrimSpace(string(text))
		pid, err := strconv.Atoi(word)
		if err != nil {
			continue
		}
		base := strings.TrimSuffix(file, ".pid")
		output, err := os.Readlink("/proc/" + word + "/fd/1")
		if err == nil && strings.TrimSuffix(output, " (deleted)") == base+".log" {
			found = append(found, Child{filepath.Base(base), pid})
		}
	}
	return found
}

// killEvery is how long a process that was killed is waited for before that is done again.
const killEvery = 200 * time.Millisecond

// Stop ends the cluster whose pid files are in a folder: the gateway first, then all nodes at once.
func Stop(dir string, grace time.Duration) error {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return fmt.Errorf("%w: none was started in this folder: %w", errStop, err)
	}
	for _, gateways := range []bool{true, false} {
		other := func(f Child) bool { return (f.Name == "gateway") != gateways }
		sign, next, told := syscall.SIGTERM, time.Now(), false
		for {
			group := slices.DeleteFunc(Running(dir), other)
			if len(group) == 0 {
				break
			}
			if time.Now().Before(next) {
				time.Sleep(20 * time.Millisecond)
				continue
			}
			for _, f := range group {
				if sign == syscall.SIGKILL && !told {
					Tell("bench: %s does not stop within %v and is killed\n", f.Name, grace)
				}
				_ = syscall.Kill(f.PID, sign) // it may be gone already
			}
			told = sign == syscall.SIGKILL
			sign, next = syscall.SIGKILL, time.Now().Add(max(grace, killEvery))
		}
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*.pid"))
	for _, file := range files {
		if err = os.Remove(file); err != nil {
			return fmt.Errorf("%w: the pid file of a stopped process: %w", errStop, err)
		}
	}
	return nil
}
