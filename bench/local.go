package main

import (
	"fmt"
	"slices"
	"time"

	"tandem/bench/cluster"
)

// clusterCommand starts a local cluster.
type clusterCommand struct {
	Dir    string `help:"Folder for data, logs and pid files." required:"" type:"path"`
	Nodes  int    `help:"Number of nodes, at least 3." default:"3"`
	HTTP   string `name:"http" help:"Where the gateway serves REST." default:"127.0.0.1:8080"`
	Port   int    `help:"Port of db-0; db-1 has the next one, and so on." default:"7400"`
	Bin    string `help:"Folder of the binaries node and gateway (default: that of bench)." type:"path"`
	Shards int    `help:"Number of shards, fixed at the first start." default:"24"`
	Detach bool   `help:"Return once all serve, and leave them running."`
}

// Run starts the cluster and, unless it is detached, stops it at Ctrl-C.
func (c clusterCommand) Run(e ending) error {
	err := checkAddress("--http", c.HTTP)
	if err != nil {
		return err
	}
	plan, err := cluster.Settle(cluster.Plan{Dir: c.Dir, Bin: c.Bin, HTTP: c.HTTP, Nodes: c.Nodes, Port: c.Port,
		Shards: c.Shards, Early: e.Early})
	if err == nil && slices.Contains(plan.Addrs, c.HTTP) {
		err = fmt.Errorf("%w: --http %s is the address of a node, too (--port %d and the next ones)",
			cluster.ErrPlan, c.HTTP, c.Port)
	}
	if err == nil {
		err = tryFolder("--dir", plan.Dir)
	}
	if err != nil {
		return err
	}
	free, err := cluster.StartGuard(plan.Dir)
	defer free()
	if err != nil {
		return err
	}
	e.Clusters <- plan.Dir
	running, err := cluster.Start(plan)
	failed := err != nil
	if !failed {
		fmt.Print(cluster.Welcome(plan, c.Detach))
	}
	if !failed && !c.Detach {
		err = cluster.Hold(running, e.Early)
	}
	if failed || !c.Detach {
		cluster.StopProcesses(running, cluster.StopGrace)
	}
	return err
}

// stopCommand stops a cluster that goes on in the background.
type stopCommand struct {
	Dir   string        `help:"Folder that the cluster was started with." required:"" type:"path"`
	Grace time.Duration `help:"How long a process may take before it is killed." default:"15s"`
}

// Run stops the cluster.
func (c stopCommand) Run() error {
	if err := checkTime("--grace", c.Grace, 0, longestWait); err != nil {
		return err
	}
	return cluster.Stop(c.Dir, c.Grace)
}

// fillCommand creates users.
type fillCommand struct {
	Target      string `help:"URL of the gateway." default:"http://127.0.0.1:8080"`
	Users       uint64 `help:"How many users to create." default:"1000000"`
	Connections int    `help:"How many requests are under way at once." default:"64"`
	First       uint64 `help:"Number of the first user." default:"0"`
	Seed        uint64 `help:"Same seed, same users." default:"1"`
}

// Run creates the users.
func (c fillCommand) Run(e ending) error {
	target, wrong := parseTarget(c.Target)
	files, unknown := openFiles()
	connections, _, tooMany := connectionsFor(max(c.Connections, -1), ownFiles, files)
	err := firstOf(wrong, checkWithin("--users", float64(c.Users), 1, mostUsers),
		checkWithin("--connections", float64(c.Connections), 1, mostUsers), unknown, tooMany)
	if err != nil {
		return err
	}
	way := newClient(target, connections, true, fillTimeout, time.Now())
	defer way.Close()
	way.Early = e.Early
	return fillUsers(way, c.Seed, c.First, c.Users, connections)
}

// guardCommand ends the processes of a cluster when the bench that runs it is gone; it is started by bench itself.
type guardCommand struct {
	Dir string `arg:"" help:"Folder of the cluster."`
}

// Run stays until bench is gone or the guard is freed.
func (c guardCommand) Run() error {
	cluster.Guard(c.Dir)
	return nil
}
