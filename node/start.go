package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"tandem/shard"
	"tandem/shard/lease"
	"tandem/shard/replica"
	"tandem/shard/views"
	"tandem/wire"
	"tandem/wire/proc"
)

// opened is what one step of the start hands to the next, or why it cannot.
type opened struct {
	room    *Room
	saved   []views.SavedEntry // of the council
	loaded  []Loaded           // by shard
	places  [][]place          // by shard
	written written            // to the log by this start
	err     error
}

// starting is what the stages of the start know of the data folder so far.
type starting struct {
	room    *Room
	held    []int              // the shards whose replicas belong here
	names   []string           // in the folder
	verdict shard.LogVerdict   // on the write-ahead log
	marks   map[int]shard.Mark // by shard
	lenient bool               // the store was opened past files that cannot be read
	saved   []views.SavedEntry // of the council; none of a store that has yet to join
	err     error
}

// openingStages bring a node from its settings to a store that is its own, in which what is damaged is known.
var openingStages = [...]func(starting) starting{readFolder, refuseVoid, judgeLog, openFolder, voidPromise, claimFolder,
	settleDamage, loadRaft}

// prepare opens the data folder and checks that it is this node's. The room is not ready: nothing but greetings is
// answered.
func prepare(room *Room, out chan<- opened) {
	s := starting{room: room, held: heldBy(room.Layout, room.Self)}
	for _, stage := range openingStages {
		if s = stage(s); s.err != nil {
			break
		}
	}
	if errors.Is(s.err, ErrUnreadable) && !isTrouble(s.err) {
		aside, err := setAside(room.Config.Data, time.Now())
		if err == nil {
			room.Log.Error("the store cannot be used; it is set aside, and a new one begins", "reason", s.err, "aside",
				aside)
			err = proc.StartAnew(room.Output)
		}
		s.err = fmt.Errorf("%w; a new store cannot begin: %w", s.err, err)
	}
	go runCensus(room.Doors, room.Census, room.Log)
	go runRefusals(room)
	for _, m := range room.Members {
		names := proc.NewNames(m.Address, proc.AskNameServer)
		room.Names = append(room.Names, names)
		go proc.RunNames(names)
	}
	w := written{start: room.Start.Number, held: s.held, totals: make([]uint64, shard.RaftPart+1)}
	out <- opened{room: room, saved: s.saved, written: w, err: s.err}
}

// claimFolder checks that the store is this node's, gives it the column families that it lacks, and counts this start.
// A store that cannot say whose it is cannot be used.
func claimFolder(s starting) starting {
	room, err := s.room, error(nil)
	want := Facts{Format: storeFormat, Cluster: room.Config.Cluster, Node: room.Config.Name,
		Ring: strings.Join(room.Mine.Names, ","), Shards: room.Layout.Shards}
	room.Facts, err = claim(room.Store, want)
	if err == nil {
		room.Store, err = addFamilies(room.Store, s.held)
	}
	if err == nil {
		err = outwait(room)
	}
	if err == nil {
		room.Start, room.Former, err = countStart(room.Store, room.Mine.Nonce)
	}
	if err == nil {
		room.Member, err = memberID(room.Self, room.Facts)
	}
	if isDamage(err) {
		err = fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	s.err = err
	return s
}

// settleDamage leaves the marks that speak of what is there, and looks into all files where some could not be read at
// the opening.
func settleDamage(s starting) starting {
	room, bad := s.room, map[int]string{}
	if s.lenient {
		bad, s.err = badFiles(room.Store)
	}
	if s.err != nil {
		return s
	}
	noted, err := getFact(room.Store, marksKey)
	if s.err = err; err != nil {
		return s
	}
	if noted != nil && !slices.Contains(s.names, damageName) {
		room.Log.Error("the file that names the damaged shards is gone; all count as damaged", "file", damageName)
		s.marks = markAll("is gone")
	}
	room.Marks = settleMarks(s.marks, bad, room.Member, room.Store.ids)
	room.Lenient = s.lenient
	if s.err = saveMarks(room.Store, room.Config.Data, room.Marks); s.err == nil && len(room.Marks) == 0 {
		s.err = startMerges(room.Store)
	}
	return s
}

// loadRaft reads Raft's saved state. What is damaged of it is not voted with: the store joins Raft anew, with its data,
// in its next generation.
func loadRaft(s starting) starting {
	room, reason := s.room, s.room.Marks[shard.RaftPart].Reason
	saved, err := readFacts(room.Store)
	if err == nil && len(saved) > 0 {
		_, err = views.Load(processOf(room), room.Layout, views.DefaultTiming, saved, clock())
	}
	if errors.Is(err, views.ErrVersion) { // nothing is damaged
		s.err = err
		return s
	}
	if isTrouble(err) {
		s.err = err
		return s
	}
	if err != nil && reason == "" {
		reason = err.Error()
	}
	if s.saved = saved; reason == "" {
		return s
	}
	next, ok := shard.NextGeneration(room.Facts.Generation, room.Facts.Before)
	if !ok {
		s.err = fmt.Errorf("%w: its part of Raft's state is damaged once more after %d times: %s", ErrUnreadable, next,
			reason)
		return s
	}
	room.Log.Error("Raft's saved state is damaged; the store does not vote with it, and joins anew", "reason", reason)
	s.saved, room.Facts.Generation, room.Facts.Before = nil, next, next
	if s.err = keepFacts(room.Store, room.Facts); s.err == nil {
		room.Store, s.err = renewRaft(room.Store)
	}
	if s.err == nil {
		delete(room.Marks, shard.RaftPart)
		s.err = saveMarks(room.Store, room.Config.Data, room.Marks)
	}
	if s.err == nil && len(room.Marks) == 0 {
		s.err = startMerges(room.Store)
	}
	if s.err == nil {
		room.Member, s.err = memberID(room.Self, room.Facts)
	}
	return s
}

// startAgainAfter is how long a start waits that its disk did not let go on.
const startAgainAfter = time.Second

// awaitDisk returns what went wrong at a start, nil if nothing did. A start that met damage begins anew, knowing of it.
// What the disk did not do is no reason to end: the start begins anew in place, after a while, until the disk does it,
// or until this process is told to stop. Whoever watches sees a node that is not ready.
func awaitDisk(room *Room, stop <-chan os.Signal, cause error, out chan<- error) {
	if isDamage(cause) {
		salvaged := make(chan struct{}, 1)
		go salvage(room, cause, salvaged)
		<-salvaged
	}
	if !isTrouble(cause) {
		out <- cause
		return
	}
	room.Log.Error("the disk does not let this node start; trying again until it does", "error", cause)
	select {
	case why := <-stop:
		room.Log.Info("stopping before the disk was well", "signal", why.String())
		proc.Exit(room.Output, 0)
	case <-time.After(startAgainAfter):
		out <- proc.StartAnew(room.Output)
	}
}

// serve lets a node answer: first, while the cluster is not born as far as this store knows, with greetings only, then
// with everything. It hands the room over once all loops run.
func serve(begun opened, listener net.Listener, out chan<- opened) {
	unready, rooms, steps := begun.room, make(chan *Room, 1), make(chan opened, 1)
	rooms <- unready
	go accept(rooms, listener, make(chan struct{}, unready.Config.MaxConnections))
	saved, w, err := begun.saved, begun.written, error(nil)
	if len(saved) == 0 {
		heard, over := make(chan heardGreeting), make(chan struct{})
		for peer := range unready.Members {
			if peer != unready.Self {
				go callAround(unready, peer, heard, over)
			}
		}
		go awaitBirth(unready, w, heard, steps)
		born := <-steps
		close(over)
		saved, w, err = born.saved, born.written, born.err
	}
	if err != nil {
		out <- opened{err: err}
		return
	}
	go open(unready, saved, w, steps)
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

// open makes the room that all loops share, with everything loaded that they start from; saved is the council's state,
// which is none of a store that is to join. The loops that are told of the views are one for each node, one for the
// gateways and one for the write log.
func open(unready *Room, saved []views.SavedEntry, w written, out chan<- opened) {
	room, steps := *unready, make(chan opened, 1)
	council, err := views.Load(processOf(&room), room.Layout, views.DefaultTiming, saved, clock())
	if err != nil {
		out <- opened{err: err}
		return
	}
	room.Ready = true
	noteOrigin(room.Origin, council.State)
	room.Council = newCouncilDesk(council, room.Layout.Nodes+2)
	go loadReplicas(&room, w, steps)
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
		room.Loops = append(room.Loops, newDesk())
	}
	shared, ends := make([][]int, room.Layout.Nodes), make([]shard.Position, room.Layout.Shards)
	shares := make([][]owned, loops)
	for i, s := range heldBy(room.Layout, room.Self) {
		peer := peerOf(room.Layout, s, room.Self)
		room.Desks[s] = room.Loops[i%loops]
		shared[peer] = append(shared[peer], s)
		at := &all.loaded[s]
		state := replica.New(s, room.Self, room.Members[peer].Name, at.Last, at.History, at.Log, clock())
		state.Leading.StoredFor = int64(room.Config.Silent)
		r := owned{state: state, store: room.Store, peer: peer, codec: wire.NewCodec(), counts: at.Counts,
			users: total(at.Counts), epoch: newestEpoch(at.History)}
		ends[s] = shard.Position{Epoch: r.epoch, LSN: at.Last}
		shares[i%loops] = append(shares[i%loops], r)
		if at.Damage != "" {
			room.Desks[s].In <- []*replica.Event{{Kind: replica.DataDamaged, Shard: s, Reason: at.Damage}}
		}
	}
	for peer := range room.Members {
		if peer != room.Self {
			room.Links[peer] = newLink()
		}
		if shared[peer] != nil {
			room.Pacts[peer] = newPactDesk(room.Council, peer)
		}
	}
	go runDisk(room, all.written)
	go runPromise(room)
	go runDamage(room)
	go runHealth(room)
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
			go runPact(room, peer, lease.New(room.Layout, room.Self, peer, shared[peer], ends,
				2*int64(room.Start.Number), clock(), timingOf(room.Config)))
		}
		if peer != room.Self {
			go runRelay(room, peer)
			go runFeeds(room, peer)
			go runLink(room, peer, shared[peer])
		}
	}
	go runCouncil(room, room.Council)
	done <- all
}

// newDesk makes what a loop of replicas shares with others.
func newDesk() *Desk {
	return &Desk{In: make(chan []*replica.Event, deskQueue), Stored: make(chan []mark, 1), Sick: make(chan string, 1),
		Inspect: make(chan chan<- []Inspection), Opens: make(chan scanAsk)}
}

// newLink makes what the loops of a link share.
func newLink() *Link {
	return &Link{Out: make(chan []letter, linkQueue), Urgent: make(chan *wire.Message, urgentQueue),
		Break: make(chan uint64, 1), Feeds: make(chan feed, feedQueue), Turn: make(chan struct{}, 1),
		Relays: make(chan relay, relayMost), Echoes: make(chan echo, relayMost)}
}

// newPactDesk makes what the loop of the promises between this node and a peer shares with others.
func newPactDesk(council *CouncilDesk, peer int) *PactDesk {
	return &PactDesk{In: make(chan pactNote, pactQueue), Wants: make(chan []lease.Event, pactQueue),
		Sick: make(chan bool, 1), Orders: make(chan lease.EventKind, 4), Asks: make(chan chan<- bool),
		Books: council.Books[peer], Elected: council.Elected[peer]}
}

// processOf is this process as the council has it.
func processOf(room *Room) views.Process {
	return views.Process{Member: room.Member, Start: room.Start, Former: room.Former, Least: wire.Least,
		Most: wire.Most, Rules: views.EntryRules}
}

// newestEpoch returns the last epoch of a history that has writes, 0 if none has.
func newestEpoch(history []shard.Position) uint64 {
	if len(history) == 0 {
		return 0
	}
	return history[len(history)-1].Epoch
}

// timingOf returns the pacts' times as the settings want them.
func timingOf(c Config) lease.Timing {
	t := lease.DefaultTiming()
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
