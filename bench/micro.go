package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"tandem/bench/cluster"
)

// microCommand measures how many nodes each operation needs.
type microCommand struct {
	Nodes      []int  `help:"Sizes of the clusters." default:"3,5,9"`
	Operations int    `help:"Operations in each cluster." default:"600"`
	Bin        string `help:"Folder of the binaries node and gateway (default: that of bench)." type:"path"`
}

// microRate is how many operations a second are asked for: few, since a repeated try would count.
const microRate = 100

// Run prints a table for each size of cluster, from the header in which an answer says how many nodes it needed.
func (c microCommand) Run(e ending) error {
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
		m := microRun{c: c, nodes: nodes, folder: filepath.Join(dir, fmt.Sprint(nodes)), e: e}
		for _, stage := range microStages {
			if m.ran.Err == nil {
				m = stage(m)
			}
		}
		m.own.End() // before the folder is removed
		if m.ran.Err != nil {
			return m.ran.Err
		}
		for _, kind := range slices.Sorted(maps.Keys(m.ran.Tally.Touched)) {
			fmt.Printf("%5d  %-9s", nodes, kind)
			by := m.ran.Tally.Touched[kind]
			for _, n := range slices.Sorted(maps.Keys(by)) {
				fmt.Printf("  %d: %d", n, by[n])
			}
			fmt.Println()
		}
	}
	return nil
}

// microRun is a measurement in a cluster of a size.
type microRun struct {
	c      microCommand
	nodes  int
	folder string
	e      ending
	own    cluster.Own
	ran    outcome
}

// microStages measure in a cluster of a size, one after the other, until one fails. The list never changes.
var microStages = []func(microRun) microRun{openMicro, syncMicro, loadMicro}

// openMicro starts the cluster.
func openMicro(m microRun) microRun {
	m.own = cluster.OpenOwn(cluster.OwnSettings{Nodes: m.nodes, Shards: cells.Shards, Bin: m.c.Bin, Dir: m.folder,
		Early: m.e.Early, Running: m.e.Clusters})
	m.ran.Err = m.own.Err
	return m
}

// syncMicro waits until all backups are in sync: until then a write needs its leader only.
func syncMicro(m microRun) microRun {
	synced := make(chan error, 1)
	go func() { synced <- cluster.AwaitSync(m.own.Plan.Addrs, cluster.StartLimit) }()
	select {
	case m.ran.Err = <-synced:
	case <-m.e.Early:
		m.ran.Err = cluster.ErrInterrupted
	}
	return m
}

// loadMicro runs some operations.
func loadMicro(m microRun) microRun {
	w := workload{Seed: 1, Users: 1, Records: 100, Mix: recipes["crud"], Keys: "uniform"}
	length := time.Duration(m.c.Operations) * time.Second / microRate
	j := job{Target: "http://" + m.own.Plan.HTTP, Workload: w, Rate: microRate, Duration: length, Timeout: time.Second,
		Budget: time.Second, Width: time.Second, Settle: pageTimeout, Connections: loaders, KeepAlive: true,
		Load: true, Mixed: true, Beat: realBeat, Show: showPlain(io.Discard), Early: m.e.Early}
	ran := make(chan outcome, 1)
	go runJob(j, ran)
	m.ran = <-ran
	return m
}
