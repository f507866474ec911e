package cluster

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

// OwnSettings are those of an own cluster. Early ends its start before its time. Running takes its folder while its
// processes may be there.
type OwnSettings struct {
	Nodes, Shards int
	Bin, Dir      string
	Disks         bool // they can fail, too
	Early         <-chan struct{}
	Running       chan string
}

// Own is a cluster that bench has started for a run of its own; End stops it. Its data stays for who wants to
// look, until the next run in the same folder.
type Own struct {
	Plan   Plan
	Orders chan order
	Short  chan error // what its proxies lacked on this machine
	End    func()
	Err    error
}

// OpenOwn starts a cluster in an empty folder, every connection through a link, and hands it over.
func OpenOwn(set OwnSettings, out chan<- Own) {
	l := Own{Orders: make(chan order), Short: make(chan error, 16), End: func() {}}
	defer func() { out <- l }()
	if l.Err = emptyOwn(set.Dir); l.Err != nil {
		return
	}
	ports, err := freeAddresses(set.Nodes + 1)
	if err != nil {
		l.Err = err
		return
	}
	plan, err := Settle(Plan{Dir: set.Dir, Bin: set.Bin, HTTP: ports[set.Nodes], Nodes: set.Nodes, Shards: set.Shards,
		Port: leastPort, Early: set.Early})
	if err == nil {
		plan.Addrs = ports[:set.Nodes]
	}
	links := []link{}
	if err == nil && set.Disks {
		plan.Wraps, err = Shims(plan)
	}
	if err == nil {
		plan, links, err = throughProxies(plan, l.Short)
	}
	free := func() {}
	if err == nil {
		free, err = StartGuard(plan.Dir)
	}
	if err != nil {
		l.Err = err
		return
	}
	for _, link := range links {
		go runLink(link)
	}
	set.Running <- plan.Dir
	processes, err := Start(plan)
	if err == nil && set.Disks {
		err = CheckShims(plan)
	}
	l.Plan, l.Err = plan, err
	back := make(chan []Process, 1)
	go operate(plan, processes, links, l.Orders, back)
	l.End = func() {
		close(l.Orders)
		StopProcesses(<-back, StopGrace)
		<-set.Running
		free()
		for _, link := range links {
			close(link.Control)
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
		return fmt.Errorf("%w: %s is not empty, and not of an earlier run; name another folder or empty it", ErrPlan, dir)
	}
	if left := Running(dir); len(left) > 0 {
		return fmt.Errorf("%w: a cluster runs in %s (%s, process %d); bench stop --dir ends it", ErrPlan, dir,
			left[0].Name, left[0].PID)
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
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(leastPort+rand.IntN(MostPort-leastPort)))
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
	return nil, fmt.Errorf("%w: no %d free ports from %d to %d", ErrPlan, n, leastPort, MostPort)
}

// The ports that a cluster for one run may use.
const (
	leastPort = 15000
	MostPort  = 30000
)
