package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
)

// lease is a cluster that bench has started for a run of its own; End stops it and removes its data.
type lease struct {
	Plan   clusterPlan
	Orders chan order
	End    func()
	Err    error
}

// openCluster starts a cluster in an empty folder, every connection through a lane, and hands it over.
func openCluster(nodes int, bin, dir string, out chan<- lease) {
	l := lease{Orders: make(chan order), End: func() {}}
	defer func() { out <- l }()
	if l.Err = os.RemoveAll(dir); l.Err != nil {
		return
	}
	ports, err := freeAddresses(nodes + 1)
	if err != nil {
		l.Err = err
		return
	}
	plan, err := settle(clusterPlan{Dir: dir, Bin: bin, HTTP: ports[nodes], Nodes: nodes, Shards: cells.Shards})
	if err == nil {
		plan.Addrs = ports[:nodes]
	}
	lanes := []lane{}
	if err == nil {
		plan, lanes, err = throughProxies(plan)
	}
	if err != nil {
		l.Err = err
		return
	}
	for _, lane := range lanes {
		go runLane(lane)
	}
	go guardCluster(plan.Dir)
	processes, err := startCluster(plan)
	l.Plan, l.Err = plan, err
	back := make(chan []process, 1)
	go operate(plan, processes, lanes, l.Orders, back)
	l.End = func() {
		close(l.Orders)
		stopProcesses(<-back, stopGrace)
		for _, lane := range lanes {
			close(lane.Control)
		}
	}
}

// guardCluster lets nobody leave the cluster behind: the first Ctrl-C ends the load, the second one everything at once.
func guardCluster(dir string) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	<-signals
	fmt.Fprintln(os.Stderr, "bench: the run ends early; once more ends it at once")
	<-signals
	_ = stopCluster(dir, 0) // what can be stopped is
	os.Exit(exitUsage)
}

// freeAddresses returns addresses of this machine at which nobody listens.
func freeAddresses(n int) ([]string, error) {
	found := []string{}
	for range n {
		listen, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("%w: no free port: %w", errPlan, err)
		}
		defer listen.Close() // not before all are found
		port := listen.Addr().(*net.TCPAddr).Port
		found = append(found, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	}
	if len(found) != n {
		return nil, errors.New("no free ports")
	}
	return found, nil
}
