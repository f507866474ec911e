package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"tandem/node/store"
	"tandem/node/wal"
	"tandem/shard"
	"tandem/shard/lease"
	"tandem/shard/replica"
	"tandem/shard/views"
	"tandem/wire"
	"tandem/wire/proc"
)

// starting is what the stages of the start know so far.
type starting struct {
	wiring   *wiring
	held     []int              // the shards whose replicas belong here
	names    []string           // in the data folder
	recovery wal.Recovery       // of the write-ahead log
	verdict  shard.LogVerdict   // on it
	marks    map[int]shard.Mark // by shard
	lenient  bool               // the store was opened past files that cannot be read
	saved    []views.SavedEntry // the saved entries of the view service; none of a store that has yet to join
	log      store.Log          // as this start writes it
	segments []segmentNote      // of it, that were there before
	heard    <-chan heardGreeting
	over     chan struct{} // closed when no more greetings are to be heard
	loaded   []loaded      // by shard
	points   [][]indexPoint
	aside    string           // the folder to which a store that cannot be used was moved
	stop     <-chan os.Signal // tells this process to stop
	err      error
}

// openingStages bring a node from its settings to a store that is its own, in which what is damaged is known. The
// wiring is not ready then: nothing but greetings is answered.
var openingStages = [...]func(starting) starting{readFolder, refuseVoid, judgeLog, markMissing, openFolder,
	claimFolder, judgeEnd, markMissing, replayLog, settleDamage, loadRaft, runEarlyLoops}

// servingStages bring a node from there to where it answers everything: the cluster is bootstrapped, all that the loops
// start from is loaded, and they run.
var servingStages = [...]func(starting) starting{callOthers, awaitBootstrap, loadViews, loadReplicas, loadWindows,
	runLoops}

// unusableStages are for a store that cannot be used: a new one takes its place.
var unusableStages = [...]func(starting) starting{setStoreAside, beginNewStore}

// failureStages are for any start that has failed. One that met damage begins anew, knowing of it, and one that met a
// disk that does not do what it is asked waits, and begins anew.
var failureStages = [...]func(starting) starting{salvage, awaitDisk}

// errStopped is the error of a start that was told to stop: nothing was promised yet.
var errStopped = errors.New("stopping before this node serves, as it was told to")

// runStages does one stage after another, and none after one that has failed, nor once this process is told to stop.
func runStages(s starting, stages []func(starting) starting) starting {
	for _, stage := range stages {
		if s.err == nil && len(s.stop) > 0 {
			s.err = errStopped
		}
		if s.err == nil {
			s = stage(s)
		}
	}
	return s
}

// runFailureStages does what is to be done about a start that has failed, if it has; what it cannot mend stays its
// error.
func runFailureStages(s starting, stages []func(starting) starting) starting {
	for _, stage := range stages {
		if s.err != nil {
			s = stage(s)
		}
	}
	return s
}

// setStoreAside moves a store that cannot be used aside.
func setStoreAside(s starting) starting {
	if !errors.Is(s.err, store.ErrUnreadable) || store.IsDiskError(s.err) {
		return s
	}
	aside, err := store.SetAside(s.wiring.Config.Data, time.Now())
	if err != nil {
		s.err = fmt.Errorf("%w; a new store cannot begin: %w", s.err, err)
		return s
	}
	s.aside = aside
	return s
}

// beginNewStore starts this program anew with a new store, if the one that was there is set aside.
func beginNewStore(s starting) starting {
	if s.aside == "" {
		return s
	}
	s.wiring.Log.Error("the store cannot be used; it is set aside, and a new one begins", "reason", s.err, "aside",
		s.aside)
	if len(s.stop) > 0 {
		s.err = errStopped
		return s
	}
	s.err = fmt.Errorf("%w; a new store cannot begin: %w", s.err, proc.StartAnew(s.wiring.Output))
	return s
}

// runEarlyLoops sets the loops going that a node needs before it serves.
func runEarlyLoops(s starting) starting {
	wiring := s.wiring
	go runConnRegistry(wiring.ConnEvents, wiring.ConnStats, wiring.Log)
	go runRefusals(&wiring.Node, &wiring.Peers)
	for _, m := range wiring.Members {
		names := proc.NewNames(m.Address, proc.AskNameServer)
		wiring.Names = append(wiring.Names, names)
		go proc.RunNames(names)
	}
	return s
}

// claimFolder checks that the store is this node's, gives it the column families that it lacks, and counts this start.
// A store that cannot say whose it is cannot be used.
func claimFolder(s starting) starting {
	wiring, err := s.wiring, error(nil)
	want := store.Identity{Format: store.Format, Cluster: wiring.Config.Cluster, Node: wiring.Config.Name,
		Ring: strings.Join(wiring.Mine.Names, ","), Shards: wiring.Layout.Shards}
	wiring.Identity, err = store.Claim(wiring.DB, want)
	if err == nil {
		wiring.DB, err = store.AddFamilies(wiring.DB, s.held)
	}
	if err == nil {
		err = outwait(&wiring.Node, &wiring.Storage)
	}
	if err == nil {
		wiring.Start, wiring.Former, err = store.CountStart(wiring.DB, wiring.Mine.Nonce)
	}
	if err == nil {
		wiring.Member, err = store.MemberID(wiring.Self, wiring.Identity)
	}
	if store.IsDamage(err) {
		err = fmt.Errorf("%w: %w", store.ErrUnreadable, err)
	}
	s.err = err
	return s
}

// settleDamage leaves the marks that speak of what is there, and looks into all files where some could not be read at
// the opening.
func settleDamage(s starting) starting {
	wiring, bad := s.wiring, map[int]string{}
	if s.lenient {
		bad, s.err = store.BadFiles(wiring.DB)
	}
	if s.err != nil {
		return s
	}
	noted, err := store.GetLocal(wiring.DB, store.MarksKey)
	if s.err = err; err != nil {
		return s
	}
	if noted != nil && !slices.Contains(s.names, store.MarksName) {
		wiring.Log.Error("the file that names the damaged shards is gone; all count as damaged", "file",
			store.MarksName)
		s.marks = store.MarkAll("is gone")
	}
	wiring.Marks = store.SettleMarks(s.marks, bad, wiring.Member, store.FamilyIDs(wiring.DB))
	wiring.Lenient = s.lenient
	if s.err = store.SaveMarks(wiring.DB, wiring.Config.Data, wiring.Marks); s.err == nil && len(wiring.Marks) == 0 {
		s.err = store.StartCompactions(wiring.DB)
	}
	return s
}

// loadRaft reads Raft's saved state. What is damaged of it is not voted with: the store joins Raft anew, with its data,
// in its next generation.
func loadRaft(s starting) starting {
	wiring, reason := s.wiring, s.wiring.Marks[shard.RaftPart].Reason
	saved, err := store.ReadSaved(wiring.DB)
	if err == nil && len(saved) > 0 {
		_, err = views.Load(processOf(&wiring.Node), wiring.Layout, views.DefaultTiming, saved, proc.Clock())
	}
	if errors.Is(err, views.ErrVersion) { // nothing is damaged
		s.err = err
		return s
	}
	if store.IsDiskError(err) {
		s.err = err
		return s
	}
	if err != nil && reason == "" {
		reason = err.Error()
	}
	if s.saved = saved; reason == "" {
		return s
	}
	next, ok := shard.NextGeneration(wiring.Identity.Generation, wiring.Identity.Before)
	if !ok {
		s.err = fmt.Errorf("%w: its part of Raft's state is damaged once more after %d times: %s", store.ErrUnreadable,
			next,
			reason)
		return s
	}
	wiring.Log.Error("Raft's saved state is damaged; the store does not vote with it, and joins anew", "reason", reason)
	s.saved, wiring.Identity.Generation, wiring.Identity.Before = nil, next, next
	if s.err = store.KeepIdentity(wiring.DB, wiring.Identity); s.err == nil {
		wiring.DB, s.err = store.RenewRaft(wiring.DB)
	}
	if s.err == nil {
		delete(wiring.Marks, shard.RaftPart)
		s.err = store.SaveMarks(wiring.DB, wiring.Config.Data, wiring.Marks)
	}
	if s.err == nil && len(wiring.Marks) == 0 {
		s.err = store.StartCompactions(wiring.DB)
	}
	if s.err == nil {
		wiring.Member, s.err = store.MemberID(wiring.Self, wiring.Identity)
	}
	return s
}

// startAgainAfter is how long a start waits that its disk did not let go on.
const startAgainAfter = time.Second

// awaitDisk is for a start that failed because the disk did not do what it was asked. That is no reason to end: the
// start begins anew in place, after a while, until the disk does it, or until this process is told to stop. Whoever
// watches sees a node that is not ready.
func awaitDisk(s starting) starting {
	if !store.IsDiskError(s.err) {
		return s
	}
	s.wiring.Log.Error("the disk does not let this node start; trying again until it does", "error", s.err)
	select {
	case why := <-s.stop:
		s.wiring.Log.Info("stopping before the disk let this node start", "signal", why.String())
		proc.Exit(s.wiring.Output, 0)
	case <-time.After(startAgainAfter):
		s.err = proc.StartAnew(s.wiring.Output)
	}
	return s
}

// serve lets a node answer: first, while the cluster is not bootstrapped as far as this store knows, with greetings
// only, then with everything. It hands over what the stages know once all loops run, or one has failed.
func serve(s starting, listener net.Listener, out chan<- starting) {
	wirings := make(chan *wiring, 1)
	wirings <- s.wiring
	go accept(wirings, listener, make(chan struct{}, s.wiring.Config.MaxConnections))
	if s = runStages(s, servingStages[:]); s.err == nil {
		<-wirings
		wirings <- s.wiring
		close(s.wiring.Opened)
	}
	out <- s
}

// loadViews makes the wiring that all loops share, with the view service as its saved state has it, which is none of a
// store that is to join. The loops that are told of the views are one for each node, one for the gateways and one for
// the write log.
func loadViews(s starting) starting {
	wiring := *s.wiring
	service, err := views.Load(processOf(&wiring.Node), wiring.Layout, views.DefaultTiming, s.saved, proc.Clock())
	if s.err = err; err != nil {
		return s
	}
	wiring.Started = true
	noteOrigin(wiring.Origin, service.State)
	wiring.Views = newViewsHandle(service, wiring.Layout.Nodes+2)
	s.wiring = &wiring
	return s
}

// runLoops sets all loops going but the one that accepts connections.
func runLoops(start starting) starting {
	wiring := start.wiring
	loops := cmp.Or(wiring.Config.Loops, max(1, runtime.NumCPU()/2))
	for range loops {
		wiring.Loops = append(wiring.Loops, newReplicaHandle())
	}
	shared, ends := make([][]int, wiring.Layout.Nodes), make([]shard.Position, wiring.Layout.Shards)
	shares := make([][]owned, loops)
	for i, s := range start.held {
		peer := peerOf(wiring.Layout, s, wiring.Self)
		wiring.ByShard[s] = wiring.Loops[i%loops]
		shared[peer] = append(shared[peer], s)
		at := &start.loaded[s]
		state := replica.New(s, wiring.Self, wiring.Members[peer].Name, at.Last, at.History, at.Log, proc.Clock())
		state.Leading.StoredFor = int64(wiring.Config.Silent)
		r := owned{state: state, db: wiring.DB, peer: peer, codec: wire.NewCodec(), counts: at.Counts,
			users: store.Total(at.Counts), epoch: newestEpoch(at.History)}
		ends[s] = shard.Position{Epoch: r.epoch, LSN: at.Last}
		shares[i%loops] = append(shares[i%loops], r)
		if at.Damage != "" {
			wiring.ByShard[s].In <- []*replica.Event{{Kind: replica.DataDamaged, Shard: s, Reason: at.Damage}}
		}
	}
	for peer := range wiring.Members {
		if peer != wiring.Self {
			wiring.Links[peer] = newLink()
		}
		if shared[peer] != nil {
			wiring.Leases[peer] = newLeaseHandle(wiring.Views, peer)
		}
	}
	node, handles, storage := &wiring.Node, &wiring.Handles, &wiring.Storage
	peers, clients := &wiring.Peers, &wiring.Clients
	go runDisk(node, handles, storage, start.log)
	go runSyncNotes(node, storage)
	go runDamage(node, storage)
	go runHealth(node, handles, peers)
	go runDiskHealth(node, storage, peers)
	go runIndex(storage, start.points)
	go runViews(node, clients, wiring.Views.States[wiring.Layout.Nodes])
	go runProgress(node, handles)
	go runPruning(node, storage, start.segments, wiring.Views.States[wiring.Layout.Nodes+1])
	for i, handle := range wiring.Loops {
		go runReplicas(node, handles, storage, peers, handle, shares[i])
	}
	for peer := range wiring.Members {
		if wiring.Leases[peer] != nil {
			go runLease(node, handles, peers, peer, lease.New(wiring.Layout, wiring.Self, peer, shared[peer], ends,
				2*int64(wiring.Start.Number), proc.Clock(), timingOf(wiring.Config)))
		}
		if peer != wiring.Self {
			go runRelay(node, handles, peers, peer)
			go runFeeds(node, handles, storage, peers, peer)
			go runLink(node, handles, peers, peer, shared[peer])
		}
	}
	go runViewService(node, storage, wiring.Views)
	return start
}

// newReplicaHandle makes what a loop of replicas shares with others.
func newReplicaHandle() *replicaHandle {
	return &replicaHandle{In: make(chan []*replica.Event, handleQueue), Stored: make(chan []storedPosition, 1),
		Refusing: make(chan string, 1), Inspect: make(chan chan<- []inspection), Opens: make(chan scanAsk)}
}

// newLink makes what the loops of a link share.
func newLink() *linkHandle {
	return &linkHandle{Out: make(chan []outbound, linkQueue), Urgent: make(chan *wire.Message, urgentQueue),
		Break: make(chan uint64, 1), Feeds: make(chan feed, feedQueue), Turn: make(chan struct{}, 1),
		Relays: make(chan relay, relayMost), RelayEvents: make(chan relayEvent, relayMost)}
}

// newLeaseHandle makes what the loop of the promises between this node and a peer shares with others.
func newLeaseHandle(service *viewsHandle, peer int) *leaseHandle {
	return &leaseHandle{In: make(chan leaseNote, leaseQueue), Wants: make(chan []lease.Event, leaseQueue),
		Disk: make(chan shard.DiskState, 1), Orders: make(chan lease.EventKind, 4), Asks: make(chan chan<- bool),
		States: service.States[peer], Elected: service.Elected[peer]}
}

// processOf is this process as the view service has it.
func processOf(node *Node) views.Process {
	return views.Process{Member: node.Member, Start: node.Start, Former: node.Former, Least: wire.Least,
		Most: wire.Most, Rules: views.EntryRules}
}

// newestEpoch returns the last epoch of a history that has writes, 0 if none has.
func newestEpoch(history []shard.Position) uint64 {
	if len(history) == 0 {
		return 0
	}
	return history[len(history)-1].Epoch
}

// timingOf returns the lease sessions' times as the settings want them.
func timingOf(c config) lease.Timing {
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
