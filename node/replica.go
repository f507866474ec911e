package main

import (
	"fmt"
	"time"

	"tandem/shard"
	"tandem/wire"
)

// codes maps the core's refusals to the wire's codes.
var codes = [...]wire.Code{
	shard.NotLeader: wire.NotLeader, shard.Unavailable: wire.Unavailable, shard.Overdue: wire.Overdue,
	shard.Busy: wire.Busy, shard.DiskTrouble: wire.Disk,
}

// runReplica is the loop of one shard's replica. It owns the state: it takes an event, reads from RocksDB what the event needs, asks
// the core, and carries the effects out.
func runReplica(room *Room, state shard.Replica, counts buckets) {
	desk, users := room.Desks[state.Shard], total(counts)
	alarm := time.NewTimer(time.Hour)
	served := Served{}
	var effects []shard.Effect
	var event *shard.Event
	for {
		select {
		case event = <-desk.In:
		case lsn := <-desk.Stored:
			event = &shard.Event{Kind: shard.DiskStored, LSN: lsn}
		case reason := <-desk.Sick:
			event = &shard.Event{Kind: shard.DiskSick, Reason: reason}
		case <-alarm.C:
			event = &shard.Event{Kind: shard.Ticked}
		case ask := <-desk.Inspect:
			ask <- inspect(state, users, served)
			continue
		}
		event.Users = users
		served = count(served, event.Kind)
		if err := lookUp(room, state, event); err != nil {
			panic(fmt.Sprintf("node: shard %d: %v", state.Shard, err))
		}
		event.Now = clock()
		state, effects = shard.Step(state, event, effects[:0])
		for i := range effects {
			fx := &effects[i]
			switch fx.Kind {
			case shard.Persist:
				var part Part
				part, counts = buildPart(room.Layout, state.Shard, room.Store.ids[state.Shard], fx.Entries, counts, event.Now)
				users = total(counts)
				room.Disk <- part
			case shard.SetAlarm:
				alarm.Reset(shard.TellEvery)
			case shard.Answer:
				answer(fx)
			case shard.SendStored, shard.SendPosition, shard.SendTrouble:
				report(state.Shard, fx)
			case shard.Feed:
				go feedLink(room, state.Shard, *fx)
			default:
				post(room.Links[state.View.Backup], state.Shard, fx)
			}
		}
		clear(effects)
	}
}

// total adds up the buckets of a shard.
func total(counts buckets) uint64 {
	sum := uint64(0)
	for _, n := range counts {
		sum += n
	}
	return sum
}

// inspect copies what may leave the loop: no slice or map of the state.
func inspect(state shard.Replica, users uint64, served Served) Inspection {
	state.Pending, state.Waiting, state.Window, state.Order = nil, nil, nil, nil
	return Inspection{State: state, Users: users, Served: served}
}

// count notes an event among what was served.
func count(served Served, kind shard.EventKind) Served {
	switch kind {
	case shard.ReadDone:
		served.Get++
	case shard.WriteAsked:
		served.Write++
	case shard.CountAsked:
		served.Count++
	case shard.ScanDone:
		served.List++
	case shard.EntriesCame:
		served.Append++
	}
	return served
}

// lookUp reads the user that a get or a write is about, where this node leads.
func lookUp(room *Room, state shard.Replica, e *shard.Event) (err error) {
	asks := e.Kind == shard.WriteAsked || e.Kind == shard.ReadDone
	if !asks || state.View.Leader != room.Self {
		return nil
	}
	id := e.Change.ID
	_, bucket := shard.Place(room.Layout, id)
	var space [160]byte
	key := shard.AppendKey(space[:0], bucket, id)
	value, err := getUser(room.Store, state.Shard, key)
	if err != nil || value == nil {
		return err
	}
	e.Current, err = decodeValue(value)
	e.Current.ID, e.Exists = id, err == nil
	return err
}

// answer gives a reply to whoever waits: a connection, or a goroutine that collects the replies of several shards.
func answer(fx *shard.Effect) {
	to, isFrame := fx.Caller.(*caller)
	if !isFrame {
		fx.Caller.(chan shard.Reply) <- fx.Reply // made with a place for each reply
		return
	}
	m := &wire.Message{Kind: wire.Outcome, ID: to.id, Result: fx.Reply.Result, Touched: uint64(fx.Reply.Touched), Record: wire.Record(fx.Reply.Record)}
	if fx.Reply.Refusal != 0 {
		m = &wire.Message{Kind: wire.Error, ID: to.id, Code: codes[fx.Reply.Refusal], Text: fx.Reply.Reason}
	}
	deliver(to.conn, m)
}

// report tells the leader how this backup's log stands.
func report(s int, fx *shard.Effect) {
	conn := fx.Caller.(*Conn)
	m := &wire.Message{Kind: wire.Stored, Shard: uint64(s), Epoch: fx.Epoch, LSN: fx.LSN}
	switch fx.Kind {
	case shard.SendPosition:
		m.Kind = wire.Position
	case shard.SendTrouble:
		m.Kind, m.Code, m.Text = wire.Trouble, codes[fx.Reply.Refusal], fx.Reply.Reason
	}
	deliver(conn, m)
}

// deliver queues a frame for a connection. One that does not read, so that its queue is full, is closed: nobody waits for it.
func deliver(conn *Conn, m *wire.Message) {
	select {
	case conn.Out <- m:
	default:
		conn.Raw.Close()
	}
}

// post passes a frame to the link to the backup; a link whose queue is full has a peer that does not read, and is broken.
func post(link *Link, s int, fx *shard.Effect) {
	m := &wire.Message{Shard: uint64(s), Epoch: fx.Epoch, LSN: fx.LSN}
	switch fx.Kind {
	case shard.SendAsk:
		m.Kind = wire.Ask
	case shard.SendApplied:
		m.Kind = wire.Applied
	case shard.SendFetch:
		m.Kind = wire.Fetch
	case shard.SendAppend:
		m.Kind = wire.Append
	}
	letters := []*wire.Message{m}
	if m.Kind == wire.Append {
		letters = cutAppend(s, fx.Epoch, fx.Applied, fx.Entries)
	}
	for _, m := range letters {
		select {
		case link.Out <- letter{fx.Stream, m}:
		default:
			breakLink(link, fx.Stream)
		}
	}
}
