package main

import (
	"fmt"
	"os"
	"time"

	"github.com/alecthomas/kong"
)

// settings are the command line. Each flag can also be given in the environment, as TANDEM_BENCH_ and its name.
type settings struct {
	Cluster struct {
		Dir    string `help:"Folder for data, logs and pid files." required:"" type:"path"`
		Nodes  int    `help:"Number of nodes, at least 3." default:"3"`
		HTTP   string `name:"http" help:"Where the gateway serves REST." default:"127.0.0.1:8080"`
		Port   int    `help:"Port of db-0; db-1 has the next one, and so on." default:"7400"`
		Bin    string `help:"Folder of the binaries node and gateway (default: that of bench)." type:"path"`
		Shards int    `help:"Number of shards, fixed at the first start." default:"24"`
		Detach bool   `help:"Return once all serve, and leave them running."`
	} `cmd:"" help:"Start a cluster on this machine; Ctrl-C stops it."`
	Stop struct {
		Dir   string        `help:"Folder that the cluster was started with." required:"" type:"path"`
		Grace time.Duration `help:"How long a process may take before it is killed." default:"15s"`
	} `cmd:"" help:"Stop a cluster that was started with --detach."`
	Fill struct {
		Target      string `help:"URL of the gateway." default:"http://127.0.0.1:8080"`
		Users       uint64 `help:"How many users to create." default:"1000000"`
		Connections int    `help:"How many requests are under way at once." default:"64"`
		First       uint64 `help:"Number of the first user." default:"0"`
		Seed        uint64 `help:"Same seed, same users." default:"1"`
	} `cmd:"" help:"Create users through REST."`
	Pages struct {
		Target  string `help:"URL of the gateway." default:"http://127.0.0.1:8080"`
		Samples int    `help:"Pages of each kind." default:"200"`
		Limit   int    `help:"Users a page." default:"100"`
	} `cmd:"" help:"Measure LIST at offset 0 and near the end."`
}

func main() {
	var set settings
	parser := kong.Must(&set, kong.Name("bench"), kong.DefaultEnvars("TANDEM_BENCH"), kong.UsageOnError(),
		kong.Description("Runs and measures Tandem from the outside."))
	command, err := parser.Parse(os.Args[1:])
	parser.FatalIfErrorf(err)
	switch command.Command() {
	case "cluster":
		c := &set.Cluster
		plan, unfit := settle(clusterPlan{Dir: c.Dir, Bin: c.Bin, HTTP: c.HTTP, Nodes: c.Nodes, Port: c.Port, Shards: c.Shards})
		if err = unfit; err != nil {
			break
		}
		running, failed := startCluster(plan)
		if err = failed; err == nil {
			fmt.Print(welcome(plan, c.Detach))
		}
		if err == nil && !c.Detach {
			err = holdCluster(running)
		}
		if failed != nil || !c.Detach {
			stopProcesses(running, stopGrace)
		}
	case "stop":
		err = stopCluster(set.Stop.Dir, set.Stop.Grace)
	case "fill":
		f := &set.Fill
		err = fill(f.Target, f.Seed, f.First, f.Users, f.Connections)
	case "pages":
		err = measurePages(set.Pages.Target, set.Pages.Samples, set.Pages.Limit)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
