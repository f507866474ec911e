package main

import (
	"math"

	"tandem/shard"
	"tandem/shard/replica"
	"tandem/wire"
	"tandem/wire/proc"
)

// relayMost bounds the requests passed on to a peer that wait for its answer: fewer than it takes from one connection,
// so that the frames of the replicas behind them are always read.
const relayMost = maxInFlight / 2

// relay is a request for a shard that the peer leads, to be passed on by a stream.
type relay struct {
	Stream uint64
	Asked  *replica.Event
}

// relayEventKind is what a relay hears of.
type relayEventKind uint8

const (
	streamBegins relayEventKind = iota + 1 // Stream, with Offset
	streamOver
	clockRead  // by Stream: Offset
	answerCame // Answer, from the peer
	leadsHere  // this node has become the leader of Shard
)

// relayEvent is what becomes of requests that are passed on. Offset is how many ns the peer's clock is at least ahead
// of ours.
type relayEvent struct {
	Kind   relayEventKind
	Stream uint64
	Offset int64
	Answer *wire.Message
	Shard  int
}

// runRelay passes requests on to the leader that a peer is, and its answers back (rule R21). It owns the list of those
// that wait.
func runRelay(node *Node, handles *Handles, peers *Peers, peer int) {
	link, name := peers.Links[peer], node.Members[peer].Name
	waiting, stream := map[uint64]relay{}, uint64(0)
	offset, last := int64(0), uint64(0)
	for {
		select {
		case r := <-link.Relays:
			code := wire.NotLeader
			if r.Stream == stream {
				last++
				code = passRequest(link, waiting, r, last, offset)
			}
			if code != 0 {
				give(r, &wire.Message{Kind: wire.Error, Code: code, Text: name + " leads the shard and cannot be asked now"})
			}
		case e := <-link.RelayEvents:
			over := int64(0) // until when deadlines have passed; 0 if that is not the question
			switch {
			case e.Kind == streamBegins:
				stream, offset = e.Stream, e.Offset
			case e.Kind == streamOver:
				stream, over = 0, math.MaxInt64
			case e.Kind == clockRead && e.Stream == stream:
				offset, over = e.Offset, proc.Clock()
			case e.Kind == answerCame:
				if r, waits := waiting[e.Answer.ID]; waits {
					delete(waiting, e.Answer.ID)
					e.Answer.Touched = max(e.Answer.Touched, 2) // this node was needed, too
					give(r, e.Answer)
				}
			case e.Kind == leadsHere:
				mine := takeBack(waiting, e.Shard)
				go hand(handles, mine)
			}
			for _, r := range takeUnanswered(waiting, over) {
				give(r, &wire.Message{Kind: wire.Error, Code: wire.AnswerLost, Text: "the leader " + name +
					" was asked, and its answer has not come"})
			}
		}
	}
}

// passRequest sends a request to the leader and notes that it waits, or says why it cannot; 0 if it can.
func passRequest(link *linkHandle, waiting map[uint64]relay, r relay, id uint64, offset int64) wire.Code {
	if len(waiting) >= relayMost {
		return wire.Busy
	}
	select {
	case link.Out <- []outbound{{Stream: r.Stream, Message: relayed(r.Asked, id, offset)}}:
		waiting[id] = r
		return 0
	default:
		return wire.Busy
	}
}

// give answers a request that is not under way any more.
func give(r relay, m *wire.Message) {
	to := r.Asked.Caller.(*caller)
	m.ID = to.id
	deliver(to.conn, answers{Message: m})
}

// relayed makes the frame of a request that is passed on. Its deadline becomes one on the leader's clock, never later
// than it was (rule R18).
func relayed(e *replica.Event, id uint64, offset int64) *wire.Message {
	m := &wire.Message{Kind: wire.Get, ID: id, Shard: uint64(e.Shard), Record: wire.Record{ID: e.Change.ID}}
	if e.Kind == replica.WriteAsked {
		c := &e.Change
		m.Kind, m.Deadline, m.Request = wire.Write, e.Deadline+offset, c.Request
		m.Op, m.Fields = c.Op, c.Fields
		m.Record = wire.Record{ID: c.ID, Name: c.Name, Email: c.Email, Group: c.Group}
		m.Match.Kind, m.Unless.Kind = uint8(c.Match.Kind), uint8(c.Unless.Kind)
		for _, p := range c.Match.Versions {
			m.Match.Versions = append(m.Match.Versions, wire.LogPosition(p))
		}
		for _, p := range c.Unless.Versions {
			m.Unless.Versions = append(m.Unless.Versions, wire.LogPosition(p))
		}
	}
	return m
}

// takeUnanswered takes the writes whose deadline was before over off the list, and everything when the connection is
// over: a write may have left, and the leader may have done it or yet do it. A leader that hangs would keep them for
// ever otherwise.
func takeUnanswered(waiting map[uint64]relay, over int64) (unanswered []relay) {
	if over == 0 {
		return nil
	}
	for id, r := range waiting {
		if over == math.MaxInt64 || r.Asked.Kind == replica.WriteAsked && r.Asked.Deadline < over {
			delete(waiting, id)
			unanswered = append(unanswered, r)
		}
	}
	return unanswered
}

// takeBack takes the requests for a shard that is led here now off the list. What the former leader has sequenced is
// known here, too, by its request id (rules R10, R18).
func takeBack(waiting map[uint64]relay, s int) (events []*replica.Event) {
	for id, r := range waiting {
		if r.Asked.Shard == s {
			delete(waiting, id)
			events = append(events, r.Asked)
		}
	}
	return events
}

// crowded refuses a request that cannot be passed on because too many are.
func crowded(e *replica.Event) *replica.Effect {
	return &replica.Effect{Kind: replica.Answer, Caller: e.Caller, Reply: shard.Reply{Refusal: shard.Busy,
		Reason: "too many requests are being passed on to the leader"}}
}
