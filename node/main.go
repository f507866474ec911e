package main

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"

	"tandem/shard"
)

func main() {
	config := Config{}
	kong.Parse(&config, kong.Name("node"), kong.DefaultEnvars("TANDEM"),
		kong.Description("A database node of a Tandem cluster: holds shards of users and speaks the wire protocol."))
	if config.Health {
		os.Exit(probe(config.Listen))
	}
	coarseTimers()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" { // with much that is unread the heap is not small any more, nor the garbage
		debug.SetMemoryLimit(int64(config.UnreadMB)<<20 + heapMost)
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil)).With("node", config.Name)
	members, self, err := check(config)
	stopIf(err)
	listener, err := net.Listen("tcp", config.Listen)
	stopIf(wrap(err, "cannot listen on "+config.Listen+" (is another process there?)"))
	stopIf(os.MkdirAll(config.Data, 0o755))
	steps := make(chan opened, 1)
	go prepare(newRoom(config, shard.Layout{Nodes: len(members), Shards: config.Shards}, members, self, log), steps)
	unready := <-steps
	salvaged := make(chan struct{})
	go salvage(unready.room, unready.err, salvaged)
	<-salvaged
	stopIf(unready.err)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go serve(unready.room, listener, steps)
	select {
	case why := <-stop: // nothing was promised yet
		log.Info("stopping before the cluster was born", "signal", why.String())
	case all := <-steps:
		salvaged = make(chan struct{})
		go salvage(unready.room, all.err, salvaged)
		<-salvaged
		stopIf(all.err)
		room, again := all.room, ""
		log.Info("serving", "listen", listener.Addr().String(), "data", config.Data, "store", room.Facts.Store, "member", room.Member)
		select {
		case why := <-stop:
			log.Info("stopping", "signal", why.String())
		case again = <-room.Again:
			log.Warn("starting anew", "reason", again)
		}
		left := make(chan struct{})
		go leave(room, left)
		<-left
		if again != "" {
			listener.Close()
			err = syscall.Exec("/proc/self/exe", os.Args, os.Environ())
			stopIf(wrap(err, "cannot start anew"))
		}
	}
	listener.Close()
	// Every acknowledged write is synced, so nothing is lost by leaving at once; RocksDB is not closed under loops that use it.
	stopIf(flush(unready.room.Store))
}

// garbagePercent is how much garbage may gather, in percent of the live heap, which is small: collecting less often costs a few MiB. GOGC in the
// environment overrides it.
const garbagePercent = 400

// heapMost is the heap in bytes, beside what --unread-mb allows, from which on garbage is collected as it comes.
// GOMEMLIMIT in the environment overrides it.
const heapMost = 256 << 20

// stopIf ends a node that cannot start or stop as it should, with the reason.
func stopIf(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "node:", err)
		os.Exit(1)
	}
}

// wrap says what could not be done, if err is one.
func wrap(err error, what string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
