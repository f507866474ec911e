package main

import (
	"errors"
	"os"
	"runtime/debug"

	"github.com/alecthomas/kong"

	"tandem/bench/cluster"
	"tandem/wire/proc"
)

// settings are the command line. Each flag can also be given in the environment, as TANDEM_BENCH_, the command and its
// name.
type settings struct {
	Run     runCommand       `cmd:"" help:"Load a cluster on a schedule and judge it: budget, faults, wrong answers."`
	Chaos   chaosCommand     `cmd:"" help:"Load a cluster of its own while its nodes are killed, paused and cut off, and judge what it answered."`
	Verify  verifyCommand    `cmd:"" help:"Compare the digests of both replicas of every shard."`
	Space   spaceCommand     `cmd:"" help:"Bytes on disk over bytes of the users' JSON."`
	Micro   microCommand     `cmd:"" help:"Nodes touched by each operation in clusters of several sizes."`
	Cluster clusterCommand   `cmd:"" help:"Start a cluster on this machine; Ctrl-C stops it."`
	Stop    stopCommand      `cmd:"" help:"Stop a cluster that was started with --detach."`
	Fill    fillCommand      `cmd:"" help:"Create users through REST."`
	Pages   pagesCommand     `cmd:"" help:"Measure LIST at offset 0 and near the end."`
	Version kong.VersionFlag `help:"Say which program this is, and exit." env:"-"`
	Guard   guardCommand     `cmd:"" hidden:"" help:"Ends a cluster when the bench that runs it is gone."`
}

func main() {
	debug.SetTraceback("crash") // a crash ends with SIGABRT: the code that Go gives it, 2, says something else here
	var set settings
	parser := kong.Must(&set, kong.Name("bench"), kong.DefaultEnvars("TANDEM_BENCH"), kong.UsageOnError(),
		kong.Vars{"faultHelp": faultHelp, "localNodes": localNodes, "version": "bench " + proc.Build()},
		kong.Description("Runs and measures Tandem from the outside. "+exitHelp))
	command, err := parser.Parse(os.Args[1:])
	if err != nil {
		parser.Errorf("%s", err)
		os.Exit(exitUsage)
	}
	early, clusters := make(chan struct{}), make(chan string, 1)
	go heed(listen(), early, clusters)
	err = command.Run(ending{early, clusters})
	var bad verdict
	switch {
	case errors.As(err, &bad):
		os.Exit(bad.Code) // it has been printed
	case errors.Is(err, cluster.ErrOwn):
		cluster.Tell("bench: %v\n", err)
		os.Exit(exitLagged)
	case err != nil:
		cluster.Tell("bench: %v\n", err)
		os.Exit(exitUsage)
	}
}
