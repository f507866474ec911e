package main

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

// stopGrace is how long a process may take to stop before it is killed.
const stopGrace = 15 * time.Second

// startCluster starts the nodes and then the gateway of a settled plan and returns when all of them serve, or it is
// ended early. On an error the processes that were launched are still returned: the caller ends them.
func startCluster(p clusterPlan) ([]process, error) {
	if old := living(p.Dir); len(old) > 0 {
		return nil, fmt.Errorf("%w: %s of an earlier start is still running (bench stop --dir %s ends it)", errPlan,
			old[0].name, p.Dir)
	}
	names := append(slices.Clone(p.Names), "gateway")
	for i, addr := range append(slices.Clone(p.Addrs), p.HTTP) {
		probe, err := net.Listen("tcp", addr)
		if err == nil {
			err = probe.Close()
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s cannot listen on %s: %w", errPlan, names[i], addr, err)
		}
	}
	started := make([]process, 0, len(names))
	ready := make(chan error, len(names))
	for i, argv := range commands(p) {
		if i == p.Nodes { // the gateway starts when all nodes serve
			for range p.Nodes {
				select {
				case err := <-ready:
					if err != nil {
						return started, err
					}
				case <-p.Early:
					return started, errInterrupted
				}
			}
		}
		child, err := launch(p.Dir, names[i], argv)
		if err != nil {
			return started, err
		}
		started = append(started, child)
		if i < p.Nodes {
			go awaitNode(child, p.Addrs[i], ready)
		} else {
			go awaitGateway(child, p.HTTP, ready)
		}
	}
	select {
	case err := <-ready:
		return started, err
	case <-p.Early:
		return started, errInterrupted
	}
}

// holdCluster stays until it is to end and tells of every process that dies by itself. It is an error when none is
// left.
func holdCluster(started []process, early <-chan struct{}) error {
	dead := make(chan process, len(started))
	for _, p := range started {
		go func() {
			<-p.gone
			dead <- p
		}()
	}
	for left := len(started); left > 0; left-- {
		select {
		case <-early:
			return nil
		case p := <-dead:
			tell("bench: died by itself: %s; its data stays, the rest goes on\n", describeEnd(p))
		}
	}
	return fmt.Errorf("%w: no process of it is left", errLost)
}

// stopProcesses ends the processes that this bench started: the gateway first, then all nodes at once.
func stopProcesses(started []process, grace time.Duration) {
	for _, gateways := range []bool{true, false} {
		group := slices.DeleteFunc(slices.Clone(started), func(p process) bool { return (p.name == "gateway") != gateways })
		for _, p := range group {
			_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may be gone already
		}
		limit := time.After(grace)
		for _, p := range group {
			select {
			case <-p.gone:
			case <-limit:
				tell("bench: %s does not stop within %v and is killed\n", p.name, grace)
				_ = p.cmd.Process.Kill()
				<-p.gone
				limit = time.After(0) // the others have had their time too
			}
			_ = os.Remove(strings.TrimSuffix(p.log, ".log") + ".pid")
		}
	}
}

// foreign is a process known only by its pid file.
type foreign struct {
	name string
	pid  int
}

// living returns the processes of the pid files in a folder that are running. A pid may long belong to a stranger: it
// is ours only if its output goes to the log of that name. A process that has ended, though not yet waited for, has no
// output any more.
func living(dir string) []foreign {
	files, _ := filepath.Glob(filepath.Join(dir, "*.pid")) // the pattern is well-formed
	found := []foreign{}
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
			found = append(found, foreign{filepath.Base(base), pid})
		}
	}
	return found
}

// stopCluster ends the cluster whose pid files are in a folder: the gateway first, then all nodes at once.
func stopCluster(dir string, grace time.Duration) error {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return fmt.Errorf("%w: none was started in this folder: %w", errStop, err)
	}
	for _, gateways := range []bool{true, false} {
		other := func(f foreign) bool { return (f.name == "gateway") != gateways }
		sign, next := syscall.SIGTERM, time.Now()
		for {
			group := slices.DeleteFunc(living(dir), other)
			if len(group) == 0 {
				break
			}
			if time.Now().Before(next) {
				time.Sleep(20 * time.Millisecond)
				continue
			}
			for _, f := range group {
				if sign == syscall.SIGKILL {
					tell("bench: %s does not stop within %v and is killed\n", f.name, grace)
				}
				_ = syscall.Kill(f.pid, sign) // it may be gone already
			}
			sign, next = syscall.SIGKILL, time.Now().Add(grace)
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
