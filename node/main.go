package main

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime"
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
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil)).With("node", config.Name)
	members, self, err := check(config)
	stopIf(err)
	listener, err := net.Listen("tcp", config.Listen)
	stopIf(wrap(err, "cannot listen on "+config.Listen+" (is another process there?)"))
	stopIf(os.MkdirAll(config.Data, 0o755))
	layout := shard.Layout{Nodes: len(members), Shards: config.Shards}
	held := heldBy(layout, self)
	store, err := openStore(config)
	stopIf(err)
	facts, err := claim(store, Facts{Format: storeFormat, Cluster: config.Cluster, Node: config.Name, Nodes: layout.Nodes, Shards: layout.Shards})
	stopIf(err)
	store, err = addFamilies(store, held)
	stopIf(err)
	loaded, err := loadReplicas(store, layout, held)
	stopIf(err)
	loaded, err = loadWindows(store, loaded, clock())
	stopIf(err)
	room := newRoom(config, layout, members, self, log)
	room.Store, room.Facts = store, facts
	start(room, held, loaded)
	go accept(room, listener, make(chan struct{}, config.MaxConnections))
	log.Info("serving", "listen", listener.Addr().String(), "data", config.Data, "store", facts.Store, "replicas", len(held))
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	why := <-stop
	log.Info("stopping", "signal", why.String())
	listener.Close()
	// Every acknowledged write is synced, so nothing is lost by leaving at once; RocksDB is not closed under loops that use it.
	stopIf(flush(store))
}

// garbagePercent is how much garbage may gather, in percent of the live heap, which is small: collecting less often costs a few MiB. GOGC in the
// environment overrides it.
const garbagePercent = 400

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

// start sets all loops going but the one that accepts connections.
func start(room *Room, held []int, loaded []Loaded) {
	ledFor := make([][]int, room.Layout.Nodes)
	loops := room.Config.Loops
	if loops < 1 {
		loops = max(1, runtime.NumCPU()/2)
	}
	for range loops {
		room.Loops = append(room.Loops, &Desk{In: make(chan []*shard.Event, deskQueue), Stored: make(chan []mark, 1), Sick: make(chan string, 1), Inspect: make(chan chan<- []Inspection), Counts: make(chan countsAsk)})
	}
	shares := make([][]owned, loops)
	for i, s := range held {
		room.Desks[s] = room.Loops[i%loops]
		if v := shard.BirthView(room.Layout, s); v.Leader == room.Self {
			ledFor[v.Backup] = append(ledFor[v.Backup], s)
		}
	}
	go runDisk(room)
	go runCensus(room.Doors, room.Census)
	for i, s := range held {
		v := shard.BirthView(room.Layout, s)
		peer := room.Members[v.Leader+v.Backup-room.Self].Name
		state := shard.NewReplica(s, room.Self, peer, v, loaded[s].Last, loaded[s].Log, clock())
		shares[i%loops] = append(shares[i%loops], owned{state: state, counts: loaded[s].Counts, users: total(loaded[s].Counts)})
	}
	for i, desk := range room.Loops {
		go runReplicas(room, desk, shares[i])
	}
	for peer, shards := range ledFor {
		if len(shards) > 0 {
			room.Links[peer] = &Link{Out: make(chan []letter, linkQueue), Break: make(chan uint64, 1)}
			go runLink(room, peer, shards)
		}
	}
}
