package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"tandem/bench/cluster"
)

// MicroCommand measures how many nodes each operation needs.
type MicroCommand struct {
	Nodes      []int  `help:"Sizes of the clusters." default:"3,5,9"`
	Operations int    `help:"Operations in each cluster." default:"600"`
	Bin        string `help:"Folder of the binaries node and gateway (default: that of bench)." type:"path"`
}

// microRate is how many operations a second are asked for: few, since a repeated try would count.
const microRate = 100

// Run prints a table for each size of cluster, from the header in which an answer says how many nodes it needed.
func (c MicroCommand) Run(e ending) error {
	err := checkWithin("--operations", float64(c.Operations), 1, mostSamples)
	for _, nodes := range c.Nodes {
		err = firstOf(err, checkCluster("--nodes", nodes, cells.Shards))
	}
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "tandem-micro-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Println("nodes  operation  requests by nodes needed (a retry may need more)")
	for _, nodes := range c.Nodes {
		counted := make(chan outcome, 1)
		go countNodes(c, nodes, dir, e, counted)
		o := <-counted
		if o.Err != nil {
			return o.Err
		}
		for _, kind := range slices.Sorted(maps.Keys(o.Tally.Touched)) {
			fmt.Printf("%5d  %-9s", nodes, kind)
			by := o.Tally.Touched[kind]
			for _, n := range slices.Sorted(maps.Keys(by)) {
				fmt.Printf("  %d: %d", n, by[n])
			}
			fmt.Println()
		}
	}
	return nil
}

// countNodes runs some operations in a cluster of a size.
func countNodes(c MicroCommand, nodes int, dir string, e ending, out chan<- outcome) {
	ran := make(chan outcome, 1)
	folder := filepath.Join(dir, fmt.Sprint(nodes))
	l := cluster.OpenOwn(cluster.OwnSettings{Nodes: nodes, Shards: cells.Shards, Bin: c.Bin, Dir: folder,
		Early: e.Early, Running: e.Clusters})
	if synced := make(chan error, 1); l.Err == nil {
		go cluster.AwaitSync(l.Plan.Addrs, cluster.StartLimit, synced) // until then a write needs its leader only
		select {
		case l.Err = <-synced:
		case <-e.Early:
			l.Err = cluster.ErrInterrupted
		}
	}
	if l.Err != nil {
		l.End()
		out <- outcome{Err: l.Err}
		return
	}
	w := workload{Seed: 1, Users: 1, Records: 100, Mix: recipes["crud"], Keys: "uniform"}
	length := time.Duration(c.Operations) * time.Second / microRate
	j := job{Target: "http://" + l.Plan.HTTP, Workload: w, Rate: microRate, Duration: length, Timeout: time.Second,
		Budget: time.Second, Width: time.Second, Settle: pageTimeout, Connections: loaders, KeepAlive: true,
		Load: true, Mixed: true, Beat: realBeat, Show: showTo(true, nil), Early: e.Early}
	go runJob(j, ran)
	o := <-ran
	l.End() // before the folder is removed
	out <- o
}
