package main

import (
	"net"
	"runtime"

	"tandem/shard"
	"tandem/wire"
)

// opened is what one step of the start hands to the next, or why it cannot.
type opened struct {
	room   *Room
	saved  []shard.Fact // of the council
	loaded []Loaded     // by shard
	places [][]place    // by shard
	err    error
}

// prepare opens the data folder and checks that it is this node's. The room is not ready: nothing but greetings is answered.
func prepare(room *Room, out chan<- opened) {
	facts := Facts{Format: storeFormat, Cluster: room.Config.Cluster, Node: room.Config.Name, Nodes: room.Layout.Nodes, Shards: room.Layout.Shards}
	held := heldBy(room.Layout, room.Self)
	why, into, err := moveAside(room.Config.Data)
	if why != "" {
		room.Log.Warn("the store was set aside; a new one begins, empty", "reason", why, "folder", into, "error", err)
	}
	merges := true
	if err != nil {
		out <- opened{room: room, err: err}
		return
	}
	if room.Damage, err = readMarks(room.Config.Data); err == nil {
		merges = len(room.Damage) == 0
		room.Store, err = openStore(room.Config, merges)
	}
	if err == nil {
		room.Facts, err = claim(room.Store, facts)
	}
	if err == nil {
		cleared := make(chan opened, 1)
		go dropDamaged(room, cleared)
		err = (<-cleared).err
	}
	if err == nil {
		room.Store, err = addFamilies(room.Store, held)
	}
	if err == nil {
		room.Start, err = countStart(room.Store)
	}
	if err == nil {
		room.Member, err = memberID(room.Self, room.Facts)
	}
	room.Merge = !merges && len(room.Damage) == 0
	go runCensus(room.Doors, room.Census)
	out <- opened{room: room, err: err}
}

// serve lets a node answer: first, while the cluster is not born as far as this store knows, with greetings only, then with everything. It
// hands the room over once all loops run.
func serve(unready *Room, listener net.Listener, out chan<- opened) {
	rooms, steps := make(chan *Room, 1), make(chan opened, 1)
	rooms <- unready
	go accept(rooms, listener, make(chan struct{}, unready.Config.MaxConnections))
	saved, err := readFacts(unready.Store)
	if err == nil && len(saved) == 0 {
		heard, over := make(chan heardGreeting), make(chan struct{})
		for peer := range unready.Members {
			if peer != unready.Self {
				go callAround(unready, peer, heard, over)
			}
		}
		go awaitBirth(unready, heard, steps)
		born := <-steps
		close(over)
		saved, err = born.saved, born.err
	}
	if err != nil {
		out <- opened{err: err}
		return
	}
	go open(unready, saved, steps)
	all := <-steps
	if all.err == nil {
		go start(all, steps)
		<-steps
		<-rooms
		rooms <- all.room
		close(unready.Opened)
	}
	out <- all
}

// open makes the room that all loops share, with everything loaded that they start from; saved is the council's state, which is none of a store that
// is to join. The loops that are told of the views are one for each node, one for the gateways and one for the write log.
func open(unready *Room, saved []shard.Fact, out chan<- opened) {
	room, steps := *unready, make(chan opened, 1)
	process := shard.Process{Member: room.Member, Start: room.Start, Least: shard.BirthVersion, Most: shard.BirthVersion, Rules: shard.EntryRules}
	council, err := shard.LoadCouncil(process, room.Layout, shard.DefaultTiming, saved, clock())
	if err != nil {
		out <- opened{err: err}
		return
	}
	room.Born, room.Ready = shard.BornWith(council.Book), true
	room.Council = newCouncilDesk(council, room.Layout.Nodes+2)
	go loadReplicas(&room, steps)
	all := <-steps
	if all.err == nil {
		go loadWindows(all, clock(), steps)
		all = <-steps
	}
	out <- all
}

// start sets all loops going but the one that accepts connections.
func start(all opened, done chan<- opened) {
	room := all.room
	loops := room.Config.Loops
	if loops < 1 {
		loops = max(1, runtime.NumCPU()/2)
	}
	for range loops {
		room.Loops = append(room.Loops, &Desk{In: make(chan []*shard.Event, deskQueue), Stored: make(chan []mark, 1), Sick: make(chan string, 1), Inspect: make(chan chan<- []Inspection), Counts: make(chan countsAsk)})
	}
	shared, ends := make([][]int, room.Layout.Nodes), make([]shard.Position, room.Layout.Shards)
	shares := make([][]owned, loops)
	for i, s := range heldBy(room.Layout, room.Self) {
		peer := peerOf(room.Layout, s, room.Self)
		room.Desks[s] = room.Loops[i%loops]
		shared[peer] = append(shared[peer], s)
		at := &all.loaded[s]
		state := shard.NewReplica(s, room.Self, room.Members[peer].Name, at.Last, at.History, at.Log, clock())
		r := owned{state: state, peer: peer, counts: at.Counts, users: total(at.Counts)}
		ends[s] = endOf(at)
		r.epoch = ends[s].Epoch
		shares[i%loops] = append(shares[i%loops], r)
		if at.Damage != "" {
			room.Desks[s].In <- []*shard.Event{{Kind: shard.DataLost, Shard: s, Reason: at.Damage}}
		}
	}
	for peer := range room.Members {
		if peer == room.Self {
			continue
		}
		room.Links[peer] = &Link{Out: make(chan []letter, linkQueue), Urgent: make(chan *wire.Message, urgentQueue), Break: make(chan uint64, 1), Feeds: make(chan feed, feedQueue), Turn: make(chan struct{}, 1),
			Relays: make(chan relay, relayMost), Echoes: make(chan echo, relayMost)}
		if shared[peer] != nil {
			room.Pacts[peer] = &PactDesk{In: make(chan pactNote, pactQueue), Wants: make(chan []shard.PactEvent, pactQueue), Sick: make(chan bool, 1), Orders: make(chan shard.PactKind, 4), Asks: make(chan chan<- bool),
				Books: room.Council.Books[peer], Elected: room.Council.Elected[peer]}
		}
	}
	go runDisk(room)
	go runPulse(room)
	go runIndex(room, all.places)
	go runViews(room, room.Council.Books[room.Layout.Nodes])
	go runProgress(room)
	go runArchive(room, room.Council.Books[room.Layout.Nodes+1])
	for i, desk := range room.Loops {
		go runReplicas(room, desk, shares[i])
	}
	for peer := range room.Members {
		if room.Pacts[peer] != nil {
			go runPact(room, peer, shard.NewPact(room.Layout, room.Self, peer, shared[peer], ends, 2*int64(room.Start.Number), clock(), timingOf(room.Config)))
		}
		if peer != room.Self {
			go runRelay(room, peer)
			go runFeeds(room, peer)
			go runLink(room, peer, shared[peer])
		}
	}
	go runCouncil(room, room.Council)
	go mergeAgain(room)
	done <- all
}

// endOf returns where the log of a replica ends.
func endOf(at *Loaded) (end shard.Position) {
	if n := len(at.History); n > 0 {
		end = shard.Position{Epoch: at.History[n-1].Epoch, LSN: at.Last}
	}
	return end
}

// timingOf returns the pacts' times as the settings want them.
func timingOf(c Config) shard.PactTiming {
	t := shard.DefaultPactTiming()
	t.Lease, t.Grace, t.Silent = int64(c.Lease), int64(c.Grace), int64(c.Silent)
	return t
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
