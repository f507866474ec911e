package main

import (
	"runtime"
	"slices"
	"time"

	"tandem/node/store"
	"tandem/shard"
	"tandem/shard/lease"
	"tandem/shard/replica"
	"tandem/wire"
	"tandem/wire/proc"
)

// codes maps the core's refusals to the wire's codes.
var codes = [...]wire.Code{
	shard.NotLeader: wire.NotLeader, shard.Unavailable: wire.Unavailable, shard.Overdue: wire.Overdue,
	shard.Busy: wire.Busy, shard.DiskError: wire.Disk, shard.Stuck: wire.Stuck,
}

// owned is one replica of a loop.
type owned struct {
	state  replica.State
	db     store.DB // with the column family that holds the shard now
	counts store.Buckets
	last   store.Buckets // LSN of the last write in each bucket that was handed to the disk
	users  uint64        // the sum of the counts
	served Served
	rings  bool       // an alarm is set
	peer   int        // the node that holds the other replica
	codec  wire.Codec // of the version that was agreed on for the stream to it
	epoch  uint64     // of the last entry that was handed to the disk
}

// outbox is what a loop sends once it has done a batch of events: everything for one receiver at once.
type outbox struct {
	parts    []store.Part
	outbound [][]outbound // by node
	piles    []pile
	wants    [][]lease.Event // by node
	scratch  *wire.Message   // overwritten for each frame
}

// pile is what goes to a connection.
type pile struct {
	conn    *conn
	answers answers
}

// eventsAtOnce is how many events a loop takes before it sends what they led to.
const eventsAtOnce = 256

// runReplicas is the loop of some replicas. It owns their states: it takes the events that wait, reads from RocksDB
// what each needs, asks the core, and carries the effects out, one hand-over for all that goes to the same receiver.
// Nobody else reads by the column families of its shards: who wants to read more than a user is given a scan that the
// loop opens.
func runReplicas(node *Node, handles *Handles, storage *Storage, peers *Peers, handle *replicaHandle,
	replicas []owned) {
	at, alarm, ringing := make([]int, len(handles.ByShard)), time.NewTimer(time.Hour), false
	for i := range replicas { // at: by shard, where its replica stands
		at[replicas[i].state.Shard] = i
	}
	box := outbox{outbound: make([][]outbound, len(peers.Links)), wants: make([][]lease.Event, len(peers.Links)),
		scratch: &wire.Message{}}
	effects, events, own := []replica.Effect(nil), []*replica.Event(nil), []replica.Event(nil) // own: made here
	for {
		select {
		case batch := <-handle.In:
			runtime.Gosched() // what else is about to come in shares the hand-overs
			events = takeEvents(append(events[:0], batch...), handle.In)
		case positions := <-handle.Stored:
			replicas, own, events = storedEvents(replicas, at, own, events[:0], positions)
		case reason := <-handle.Refusing:
			events = refusingEvents(events[:0], replicas, reason)
		case <-alarm.C:
			events, ringing = ringEvents(events[:0], replicas), false
		case ask := <-handle.Inspect:
			ask <- inspect(replicas)
			continue
		case ask := <-handle.Opens:
			events = giveScan(&replicas[at[ask.shard]], ask, events[:0])
		}
		now, wall, err := proc.Clock(), time.Now().UnixMilli(), error(nil)
		for _, event := range events {
			r := &replicas[at[event.Shard]]
			r.served, r.codec = note(r, event)
			if now, err = lookUp(node, r, event, now); err != nil {
				box = fill(box, r, unreadable(node, event, err))
				if !store.IsDamage(err) {
					continue
				}
				event = &replica.Event{Kind: replica.DataDamaged, Shard: event.Shard, Reason: err.Error()}
			}
			noteLoss(node, storage, r, event)
			event.Now, event.Wall, event.Users = now, wall, r.users
			r.state, effects = replica.Step(r.state, event, effects[:0])
			for i := range effects {
				fx := &effects[i]
				if serialize, stores := serializers[fx.Kind]; stores {
					box.parts = append(box.parts, serialize(node.Layout, r, fx, event.Now)...)
				} else if more, done := prompt(node, handles, peers, box, r, fx); done {
					box = more
				} else {
					box = fill(box, r, fx)
				}
			}
			if r.rings && !ringing {
				alarm.Reset(replica.TellEvery)
				ringing = true
			}
		}
		clear(effects)
		clear(events)
		box = empty(storage, peers, box)
	}
}

// noteLoss has it noted in the folder when a replica's data turns out to be damaged.
func noteLoss(node *Node, storage *Storage, r *owned, e *replica.Event) {
	if e.Kind == replica.DataDamaged && r.state.Damage.Reason == "" {
		storage.Damage <- damageNote{shard: e.Shard, mark: shard.Mark{Store: node.Member,
			Copy:   store.FamilyID(r.db, e.Shard),
			Reason: e.Reason}}
	}
}

// unreadable answers a request whose user the disk does not give back; everything else goes on.
func unreadable(node *Node, e *replica.Event, err error) *replica.Effect {
	node.Log.Error("a user cannot be read", "shard", e.Shard, "id", e.Change.ID, "error", err)
	refusal := shard.Reply{Refusal: shard.DiskError, Reason: "the user cannot be read: " + err.Error()}
	return &replica.Effect{Kind: replica.Answer, Caller: e.Caller, Reply: refusal}
}

// takeEvents takes further batches of events that wait.
func takeEvents(events []*replica.Event, in <-chan []*replica.Event) []*replica.Event {
	for len(events) < eventsAtOnce {
		select {
		case batch := <-in:
			events = append(events, batch...)
		default:
			return events
		}
	}
	return events
}

// storedEvents makes events of how far logs are stored, in own, which is overwritten. A replica whose copy was dropped
// with its files gets the column family that holds the new one.
func storedEvents(replicas []owned, at []int, own []replica.Event, events []*replica.Event,
	positions []storedPosition) (
	[]owned, []replica.Event, []*replica.Event) {
	own = slices.Grow(own[:0], len(positions))[:len(positions)]
	for i, m := range positions {
		own[i] = replica.Event{Kind: replica.DiskStored, Shard: m.Shard, LSN: m.LSN}
		if m.Wiped {
			own[i].Kind = replica.DiskWiped
		}
		if m.DB != nil {
			r := &replicas[at[m.Shard]]
			r.db = store.TakeFamily(r.db, *m.DB, m.Shard)
		}
		events = append(events, &own[i])
	}
	return replicas, own, events
}

func refusingEvents(events []*replica.Event, replicas []owned, reason string) []*replica.Event {
	for i := range replicas {
		events = append(events, &replica.Event{Kind: replica.DiskRefuses, Shard: replicas[i].state.Shard, Reason: reason})
	}
	return events
}

func ringEvents(events []*replica.Event, replicas []owned) []*replica.Event {
	for i := range replicas {
		if replicas[i].rings {
			replicas[i].rings = false
			events = append(events, &replica.Event{Kind: replica.Ticked, Shard: replicas[i].state.Shard})
		}
	}
	return events
}

// inspect copies what may leave the loop: no slice or map of a state.
func inspect(replicas []owned) []inspection {
	list := make([]inspection, len(replicas))
	for i := range replicas {
		list[i] = inspection{replicas[i].state, replicas[i].users, replicas[i].served, proc.Clock()}
		s := &list[i].State
		s.Leading.Pending, s.Waiting, s.Log.Window = nil, nil, nil
		s.Log.Order, s.Backing.Filled = nil, nil
	}
	return list
}

// note counts an event among what was served, and tells as which version frames for the peer are written from then on.
func note(r *owned, e *replica.Event) (served Served, codec wire.Codec) {
	served, codec = r.served, r.codec
	switch e.Kind {
	case replica.StreamUp:
		codec = wire.NewCodec().As(e.Version)
	case replica.GetAsked:
		served.Get++
	case replica.WriteAsked:
		served.Write++
	case replica.CountAsked:
		served.Count++
	case replica.PageAsked:
		served.List++
	case replica.EntriesCame:
		served.Append++
	}
	return served, codec
}

// lookUp reads the user that a get or a write is about, where this node leads, and returns the time after it (rule R1);
// else before.
func lookUp(node *Node, r *owned, e *replica.Event, before int64) (now int64, err error) {
	asks := e.Kind == replica.WriteAsked || e.Kind == replica.GetAsked
	if !asks || r.state.View.Leader != node.Self {
		return before, nil
	}
	id := e.Change.ID
	_, bucket := shard.ShardOf(node.Layout, id)
	var space [160]byte
	key := shard.AppendKey(space[:0], bucket, id)
	value, err := store.GetUser(r.db, r.state.Shard, key)
	now = proc.Clock()
	if err != nil || value == nil {
		return now, err
	}
	e.Current, err = store.DecodeValue(value)
	e.Current.ID, e.Exists = id, err == nil
	return now, err
}

// giveScan opens a scan of a shard, and asks the core whether what it shows may be given out, if that is asked.
func giveScan(r *owned, ask scanAsk, events []*replica.Event) []*replica.Event {
	open := store.OpenScan
	if r.state.Damage.Reason != "" { // nothing of it is given out, and a file of it may not be one to read (BadFiles)
		open = store.OpenPastWipes
	}
	ask.opened <- shardScan{open(r.db, ask.shard), r.counts, replica.BucketsAhead(&r.state, (*[256]uint64)(&r.last)),
		r.state.View.Leader == r.state.Self, r.state.Damage.Reason}
	if ask.confirmed == nil {
		return events
	}
	return append(events, &replica.Event{Kind: replica.PageAsked, Shard: ask.shard, Caller: ask.confirmed})
}

// deliver queues what goes out by a connection. One that does not read, so that its queue is full, is closed: nobody
// waits for it.
func deliver(conn *conn, a answers) {
	select {
	case conn.Out <- a:
	default:
		conn.Raw.Close()
	}
}
