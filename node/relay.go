package main

import (
	"tandem/shard"
	"tandem/wire"
)

// relayMost bounds the requests passed on to a peer that wait for its answer: fewer than it takes from one connection, so that the frames of the
// replicas behind them are always read.
const relayMost = maxInFlight / 2

// relay is a request for a shard that the peer leads, to be passed on by a stream.
type relay struct {
	Stream uint64
	Asked  *shard.Event
}

// echo is what a link has to say of its stream: that it begins or is over, how far the peer's clock is at least ahead of ours in ns, or an answer.
type echo struct {
	Stream uint64
	Over   bool
	Offset int64
	Answer *wire.Message
}

// runRelay passes requests on to the leader that a peer is, and its answers back (rule R21). It owns the list of those that wait.
func runRelay(room *Room, peer int) {
	link, name := room.Links[peer], room.Members[peer].Name
	waiting, stream, offset, last := map[uint64]relay{}, uint64(0), int64(0), uint64(0)
	for {
		select {
		case r := <-link.Relays:
			to, refusal := r.Asked.Caller.(*caller), wire.NotLeader
			if r.Stream == stream && len(waiting) >= relayMost {
				refusal = wire.Busy
			} else if r.Stream == stream {
				last++
				select {
				case link.Out <- []letter{{stream, relayed(r.Asked, last, offset)}}:
					waiting[last] = r
					continue
				default:
					refusal = wire.Busy
				}
			}
			deliver(to.conn, &wire.Message{Kind: wire.Error, ID: to.id, Code: refusal, Text: name + " leads the shard and cannot be asked now"})
		case e := <-link.Echoes:
			switch {
			case e.Over:
				lose(waiting, name)
				stream = 0
			case e.Answer != nil:
				giveBack(waiting, e.Answer)
			default:
				stream, offset = e.Stream, e.Offset
			}
		}
	}
}

// relayed makes the frame of a request that is passed on. Its deadline becomes one on the leader's clock, never later than it was (rule R18).
func relayed(e *shard.Event, id uint64, offset int64) *wire.Message {
	m := &wire.Message{Kind: wire.Get, ID: id, Shard: uint64(e.Shard), Record: wire.Record{ID: e.Change.ID}}
	if e.Kind == shard.WriteAsked {
		c := &e.Change
		m.Kind, m.Deadline, m.Request, m.Op, m.Fields = wire.Write, e.Deadline+offset, c.Request, c.Op, c.Fields
		m.Record = wire.Record{ID: c.ID, Name: c.Name, Email: c.Email, Group: c.Group}
		for _, p := range c.Match {
			m.Match = append(m.Match, wire.Place(p))
		}
	}
	return m
}

// giveBack hands the leader's answer to whoever asked. This node was needed for it too.
func giveBack(waiting map[uint64]relay, m *wire.Message) {
	r, waits := waiting[m.ID]
	if !waits {
		return
	}
	delete(waiting, m.ID)
	to := r.Asked.Caller.(*caller)
	if m.ID = to.id; m.Kind == wire.Outcome {
		m.Touched = max(m.Touched, 2)
	}
	deliver(to.conn, m)
}

// lose answers what waits when its connection is over: a write may have left, and the leader may yet do it.
func lose(waiting map[uint64]relay, name string) {
	for id, r := range waiting {
		to := r.Asked.Caller.(*caller)
		deliver(to.conn, &wire.Message{Kind: wire.Error, ID: to.id, Code: wire.Lost, Text: "the connection to the leader " + name + " broke before its answer came"})
		delete(waiting, id)
	}
}

// crowded refuses a request that cannot be passed on because too many are.
func crowded(e *shard.Event) *shard.Effect {
	return &shard.Effect{Kind: shard.Answer, Caller: e.Caller, Reply: shard.Reply{Refusal: shard.Busy, Reason: "too many requests are being passed on to the leader"}}
}
