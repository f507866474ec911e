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

// OwnSettings are those of an own cluster. When Early is closed its start is given up. Running has its folder while its
// processes may exist.
type OwnSettings struct {
	Nodes, Shards int
	Bin, Dir      string
	Disks         bool // they can fail, too
	Early         <-chan struct{}
	Running       chan string
}

// Own is a cluster that bench has started for a run of its own; End stops it. Its data stays for who wants to look,
// until the next run in the same folder.
type Own struct {
	Plan   Plan
	Orders chan Order
	Short  chan error // what its proxies lacked on this machine
	End    func()
	Err    error
}

// opening is an own cluster that is being opened.
type opening struct {
	set   OwnSettings
	own   Own
	links []link
	free  func() // lets the guard go
}

// openStages open an own cluster, one after the other, until one fails. The list never changes.
var openStages = []func(opening) opening{emptyFolder, planOwn, shimOwn, proxyOwn, guardOwn, startOwn}

// OpenOwn starts a cluster in an empty folder, every connection through a link. If it could not, Err says why.
func OpenOwn(set OwnSettings) Own {
	o := opening{set: set, free: func() {}}
	o.own = Own{Orders: make(chan Order), Short: make(chan error, 16), End: func() {}}
	for _, stage := range openStages {
		if o.own.Err == nil {
			o = stage(o)
		}
	}
	return o.own
}

// emptyFolder empties the folder of the cluster.
func emptyFolder(o opening) opening {
	o.own.Err = emptyOwn(o.set.Dir)
	return o
}

// planOwn chooses addresses and completes the plan.
func planOwn(o opening) opening {
	set, n := o.set, o.set.Nodes
	addrs, err := freeAddresses(n + 1)
	if err != nil {
		o.own.Err = err
		return o
	}
	o.own.Plan, o.own.Err = Settle(Plan{Dir: set.Dir, Bin: set.Bin, HTTP: addrs[n], Nodes: n, Shards: set.Shards,
		Port: leastPort, Early: set.Early})
	o.own.Plan.Addrs = addrs[:n]
	return o
}

// shimOwn lets the nodes run under a shim if their disks are to fail.
func shimOwn(o opening) opening {
	if o.set.Disks {
		o.own.Plan.Wraps, o.own.Err = Shims(o.own.Plan)
	}
	return o
}

// proxyOwn puts a link into every connection.
func proxyOwn(o opening) opening {
	o.own.Plan, o.links, o.own.Err = throughProxies(o.own.Plan, o.own.Short)
	return o
}

// guardOwn starts the cluster's guard.
func guardOwn(o opening) opening {
	o.free, o.own.Err = StartGuard(o.own.Plan.Dir)
	return o
}

// startOwn starts the processes and the operator, and sets End, which stops all of it.
func startOwn(o opening) opening {
	for _, l := range o.links {
		go runLink(l)
	}
	plan, running, orders := o.own.Plan, o.set.Running, o.own.Orders
	running <- plan.Dir
	processes, err := Start(plan)
	if err == nil && o.set.Disks {
		err = CheckShims(plan)
	}
	back := make(chan []Process, 1)
	go operate(plan, processes, o.links, orders, back)
	o.own.Err, o.own.End = err, func() {
		close(orders)
		StopProcesses(<-back, StopGrace)
		<-running
		o.free()
		for _, l := range o.links {
			close(l.Control)
		}
	}
	return o
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
		return fmt.Errorf("%w: %s is not empty, and not of an earlier run; name another folder or empty it", ErrPlan,
			dir)
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
