package main

import (
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"tandem/node/store"
	"tandem/shard"
	"tandem/shard/views"
	"tandem/wire/proc"
)

// nodeHelp says what the program is.
const nodeHelp = "A database node of a Tandem cluster: holds shards of users and speaks the wire protocol. " +
	"With accept-loss as its first argument it is the command by which an operator accepts that what only this node " +
	"had is damaged; " +
	"node accept-loss --help explains it."

func main() {
	if len(os.Args) > 1 && os.Args[1] == "accept-loss" {
		runAccept(os.Args[2:])
		return
	}
	output := proc.Start("node")
	config := settings(output, func(code int) { proc.Exit(output, code) })
	if config.Health {
		answer, err := askReady(config.Listen)
		os.Exit(tellReady(answer, err, os.Stderr))
	}
	stop, served := make(chan os.Signal, 1), make(chan starting, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	proc.TuneRuntime(int64(config.UnreadMB)<<20 + heapMost)
	log := slog.Default().With("node", config.Name)
	members, self, err := check(config)
	proc.StopIf(output, err)
	listener, err := proc.Listen(config.Listen)
	proc.StopIf(output, err)
	layout := shard.Layout{Nodes: len(members), Shards: config.Shards}
	s := starting{wiring: newWiring(config, layout, members, self, output, log), held: heldBy(layout, self), stop: stop}
	s = runFailureStages(runStages(s, openingStages[:]), unusableStages[:])
	s = runFailureStages(s, failureStages[:])
	proc.StopAs(output, s.err, exitCode(s.err))
	go serve(s, listener, served)
	select {
	case why := <-stop: // nothing was promised yet
		log.Info("stopping before this node serves", "signal", why.String())
	case s := <-served:
		s = runFailureStages(s, failureStages[:])
		proc.StopAs(output, s.err, exitCode(s.err))
		wiring, again := s.wiring, ""
		log.Info("serving", "listen", listener.Addr(), "data", config.Data, "store", wiring.Identity.Store, "member",
			wiring.Member)
		select {
		case why := <-stop:
			log.Info("stopping", "signal", why.String())
		case again = <-wiring.Again:
			log.Warn("starting anew", "reason", again)
		case end := <-wiring.Ends:
			proc.StopAs(output, end.Halt, exitVersion)
			proc.StopIf(output, store.MarkVoid(config.Data, end.Old))
			proc.StopIf(output, proc.StartAnew(output))
		}
		leave(&wiring.Node, &wiring.Handles, &wiring.Peers)
		if again != "" && len(stop) == 0 { // it may have been told to stop since
			proc.StopIf(output, proc.StartAnew(output)) // which closes what was open
		}
	}
	listener.Close()
	// Every acknowledged write is in the log, synced: nothing is lost by leaving at once, with RocksDB open under its
	// loops.
	log.Info("stopped")
	proc.Exit(output, 0)
}

// heapMost is the heap in bytes, beside what --unread-mb allows, from which on garbage is collected as it comes.
// GOMEMLIMIT in the environment overrides it.
const heapMost = 256 << 20

// exitVersion is the exit code of a node whose binary does not fit the cluster's version: to start it again is of no
// use before it is another binary.
const exitVersion = 3

// exitCode returns the exit code for what keeps a node from starting.
func exitCode(err error) int {
	switch {
	case errors.Is(err, errStopped):
		return 0
	case errors.Is(err, views.ErrVersion):
		return exitVersion
	}
	return 1
}

// settings reads the flags and the environment.
func settings(output proc.Output, exit func(code int)) config {
	config := config{}
	kong.Parse(&config, kong.Name("node"), kong.DefaultEnvars("TANDEM"), kong.Writers(os.Stdout, output),
		kong.Exit(exit), kong.Vars{"version": "node " + proc.Build()},
		kong.Description(nodeHelp))
	return config
}
