package main

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/alecthomas/kong"

	"tandem/shard"
)

const scansAtOnce = 8 // pages that are read from RocksDB at the same time

func main() {
	config := Config{}
	kong.Parse(&config, kong.Name("node"), kong.DefaultEnvars("TANDEM"),
		kong.Description("A database node of a Tandem cluster: holds shards of users and speaks the wire protocol."))
	if config.Health {
		os.Exit(probe(config.Listen))
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil)).With("node", config.Name)
	room, listener, err := open(config, log)
	if err != nil {
		fmt.Fprintln(os.Stderr, "node:", err)
		os.Exit(1)
	}
	start(room, listener)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	why := <-stop
	log.Info("stopping", "signal", why.String())
	listener.Close()
	// Every acknowledged write is synced, so nothing is lost by leaving at once; RocksDB is not closed under loops that use it.
	if err = flush(room.Store); err != nil {
		log.Error("the write log could not be synced", "error", err)
		os.Exit(1)
	}
}

// open checks the settings, takes the port, and opens the data folder.
func open(config Config, log *slog.Logger) (*Room, net.Listener, error) {
	members, self, err := check(config)
	if err != nil {
		return nil, nil, err
	}
	listener, err := net.Listen("tcp", config.Listen)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot listen on %s (is another process there?): %w", config.Listen, err)
	}
	if err = os.MkdirAll(config.Data, 0o755); err != nil {
		return nil, nil, err
	}
	layout := shard.Layout{Nodes: len(members), Shards: config.Shards}
	room := &Room{Config: config, Layout: layout, Members: members, Self: self, Log: log, Desks: make([]*Desk, layout.Shards), Links: make([]*Link, layout.Nodes),
		Disk: make(chan Part, 2*shard.MaxPending*layout.Shards), Scans: make(chan struct{}, scansAtOnce), Census: make(chan chan<- []ConnInfo), Doors: make(chan door, 64)}
	if room.Store, err = openStore(config); err != nil {
		return nil, nil, err
	}
	want := Facts{Format: storeFormat, Cluster: config.Cluster, Node: config.Name, Nodes: layout.Nodes, Shards: layout.Shards}
	if room.Facts, err = claim(room.Store, want); err != nil {
		return nil, nil, err
	}
	room.Store, err = addFamilies(room.Store, heldBy(layout, self))
	return room, listener, err
}

// heldBy returns the shards of which a node holds a replica.
func heldBy(l shard.Layout, node int) []int {
	held := []int{}
	for s := range l.Shards {
		first, second := shard.Pair(l, s)
		if first == node || second == node {
			held = append(held, s)
		}
	}
	return held
}

// start loads the replicas and sets all loops going.
func start(room *Room, listener net.Listener) {
	loaded := make([]Loaded, room.Layout.Shards)
	held := heldBy(room.Layout, room.Self)
	var err error
	for _, s := range held {
		if loaded[s], err = loadReplica(room.Store, s); err != nil {
			fatal(room, err)
		}
	}
	if loaded, err = loadWindows(room.Store, loaded, clock()); err != nil {
		fatal(room, err)
	}
	ledFor := make([][]int, room.Layout.Nodes)
	for _, s := range held {
		room.Desks[s] = &Desk{In: make(chan *shard.Event, 1024), Stored: make(chan uint64, 1), Sick: make(chan string, 1), Inspect: make(chan chan<- Inspection)}
		if v := shard.BirthView(room.Layout, s); v.Leader == room.Self {
			ledFor[v.Backup] = append(ledFor[v.Backup], s)
		}
		if v := shard.BirthView(room.Layout, s); v.Leader == room.Self && room.Links[v.Backup] == nil {
			room.Links[v.Backup] = &Link{Out: make(chan letter, linkQueue), Break: make(chan uint64, 1)}
		}
	}
	go runDisk(room.Store, room.Disk, room.Desks, room.Log)
	go runCensus(room.Doors, room.Census)
	for _, s := range held {
		v := shard.BirthView(room.Layout, s)
		peer := v.Leader + v.Backup - room.Self
		go runReplica(room, shard.NewReplica(s, room.Self, room.Members[peer].Name, v, loaded[s].Last, loaded[s].Log, clock()), loaded[s].Counts)
	}
	for peer, shards := range ledFor {
		if len(shards) > 0 {
			go runLink(room, peer, slices.Clone(shards))
		}
	}
	go accept(room, listener, make(chan struct{}, room.Config.MaxConnections))
	room.Log.Info("serving", "listen", listener.Addr().String(), "data", room.Config.Data, "store", room.Facts.Store, "replicas", len(held))
}

// fatal ends a node that cannot trust its data.
func fatal(room *Room, err error) {
	room.Log.Error("the data folder cannot be served", "data", room.Config.Data, "error", err)
	os.Exit(1)
}
