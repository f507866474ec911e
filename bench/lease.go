package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// lease is a cluster that bench has started for a run of its own; End stops it. Its data stays for who wants to look,
// until the next run in the same folder.
type lease struct {
	Plan   clusterPlan
	Orders chan order
	Short  chan error // what its proxies lacked on this machine
	End    func()
	Err    error
}

// openCluster starts a cluster in an empty folder, every connection through a lane, and hands it over.
func openCluster(nodes int, bin, dir string, e ending, out chan<- lease) {
	go openFaulty(nodes, bin, dir, false, e, out)
}

// openFaulty does the same for a cluster whose disks can fail, too, if they are to.
func openFaulty(nodes int, bin, dir string, disks bool, e ending, out chan<- lease) {
	l := lease{Orders: make(chan order), Short: make(chan error, 16), End: func() {}}
	defer func() { out <- l }()
	if l.Err = emptyOwn(dir); l.Err != nil {
		return
	}
	ports, err := freeAddresses(nodes + 1)
	if err != nil {
		l.Err = err
		return
	}
	plan, err := settle(clusterPlan{Dir: dir, Bin: bin, HTTP: ports[nodes], Nodes: nodes, Shards: cells.Shards,
		Port: leastPort, Early: e.Early})
	if err == nil {
		plan.Addrs = ports[:nodes]
	}
	lanes := []lane{}
	if err == nil && disks {
		plan.Wraps, err = shims(plan)
	}
	if err == nil {
		plan, lanes, err = throughProxies(plan, l.Short)
	}
	free := func() {}
	if err == nil {
		free, err = startGuard(plan.Dir)
	}
	if err != nil {
		l.Err = err
		return
	}
	for _, lane := range lanes {
		go runLane(lane)
	}
	e.Clusters <- plan.Dir
	processes, err := startCluster(plan)
	if err == nil && disks {
		err = checkShims(plan)
	}
	l.Plan, l.Err = plan, err
	back := make(chan []process, 1)
	go operate(plan, processes, lanes, l.Orders, back)
	l.End = func() {
		close(l.Orders)
		stopProcesses(<-back, stopGrace)
		<-e.Clusters
		free()
		for _, lane := range lanes {
			close(lane.Control)
		}
	}
}

// ownMark is a file that says that a folder's contents are those of a cluster that bench made for a run of its own, so
// that the next one may remove them.
const ownMark = ".made-by-bench"

// emptyOwn makes an empty folder, in the place of what an own cluster left there. Other people's data is not touched,
// nor that of a cluster that runs.
func emptyOwn(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if _, err = os.Stat(filepath.Join(dir, ownMark)); len(entries) > 0 && err != nil {
		return fmt.Errorf("%w: %s is not empty, and not of an earlier run; name another folder or empty it", errPlan, dir)
	}
	if left := living(dir); len(left) > 0 {
		return fmt.Errorf("%w: a cluster runs in %s (%s, process %d); bench stop --dir ends it", errPlan, dir,
			left[0].name, left[0].pid)
	}
	if err = os.RemoveAll(dir); err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, ownMark), nil, 0o644)
	}
	return err
}

// freeAddresses returns addresses of this machine at which nobody listens. Their ports lie below those that the system
// gives to outgoing connections, one of which might take a port before its process has started, or while it is down.
func freeAddresses(n int) ([]string, error) {
	found := []string{}
	for range 200 * n {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(leastPort+rand.IntN(mostPort-leastPort)))
		listen, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		if listen.Close() == nil && !slices.Contains(found, addr) {
			found = append(found, addr)
		}
		if len(found) == n {
			return found, nil
		}
	}
	return nil, fmt.Errorf("%w: no %d free ports from %d to %d", errPlan, n, leastPort, mostPort)
}

// The ports that a cluster for one run may use.
const (
	leastPort = 15000
	mostPort  = 30000
)
