package main

import (
	"slices"

	"tandem/node/store"
	"tandem/shard"
	"tandem/shard/lease"
	"tandem/shard/replica"
	"tandem/wire"
)

// fill puts the frame of what an effect sends into the outbox. A goroutine that collects the replies of several shards
// gets its reply at once.
func fill(box outbox, r *owned, fx *replica.Effect) outbox {
	m := box.scratch
	*m = wire.Message{Shard: uint64(r.state.Shard), Epoch: fx.Epoch, LSN: fx.LSN}
	conn, toLeader := fx.Caller.(*conn)
	to, toGateway := fx.Caller.(*caller)
	switch fx.Kind {
	case replica.Answer:
		if !toGateway {
			fx.Caller.(chan shard.Reply) <- fx.Reply // made with a slot for each reply
			return box
		}
		conn, m.ID = to.conn, to.id
		m.Kind, m.Result = wire.Outcome, fx.Reply.Result
		m.Touched, m.Record = uint64(fx.Reply.Touched), wire.Record(fx.Reply.Record)
		if fx.Reply.Refusal != 0 {
			m.Kind, m.Code, m.Text = wire.Error, codes[fx.Reply.Refusal], fx.Reply.Reason
		}
	case replica.SendStored:
		m.Kind = wire.Stored
	case replica.SendPosition:
		m.Kind, m.LastEpoch = wire.Position, fx.LastEpoch
	case replica.SendStreamError:
		m.Kind, m.Code, m.Text = wire.StreamError, codes[fx.Reply.Refusal], fx.Reply.Reason
	case replica.SendAsk:
		m.Kind = wire.Ask
	case replica.SendApplied:
		m.Kind = wire.Applied
	}
	if toLeader || toGateway {
		at := slices.IndexFunc(box.piles, func(p pile) bool { return p.conn == conn })
		if at < 0 {
			at, box.piles = len(box.piles), append(box.piles, pile{conn: conn})
		}
		p := &box.piles[at].answers
		p.Frames = conn.Codec.AppendFrame(p.Frames, m)
		if toGateway {
			p.Count++
		}
		return box
	}
	queued := &box.outbound[r.peer]
	if n := len(*queued); n == 0 || (*queued)[n-1].Stream != fx.Stream {
		*queued = append(*queued, outbound{Stream: fx.Stream})
	}
	last := &(*queued)[len(*queued)-1]
	if fx.Kind != replica.SendAppend {
		last.Frames = r.codec.AppendFrame(last.Frames, m)
		return box
	}
	for _, m := range cutAppend(r.state.Shard, fx.Epoch, fx.Applied, fx.Entries) {
		last.Frames = r.codec.AppendFrame(last.Frames, m)
	}
	return box
}

// prompt carries out an effect that sends no frame by itself, or says that it is none.
func prompt(node *Node, handles *Handles, peers *Peers, box outbox, r *owned, fx *replica.Effect) (outbox, bool) {
	s := r.state.Shard
	switch fx.Kind {
	case replica.SetAlarm:
		r.rings = true
	case replica.Feed:
		select {
		case peers.Links[r.peer].Feeds <- feed{s, *fx}:
		default: // those of former streams lie there
			breakLink(peers.Links[r.peer], fx.Stream)
		}
	case replica.FeedSnapshot:
		scan := store.OpenScan(r.db, s)
		window := windowOf(&r.state)
		go feedSnapshot(node, handles, peers, s, *fx, scan, window)
	case replica.Relay:
		select {
		case peers.Links[r.peer].Relays <- relay{fx.Stream, fx.Asked}:
		default:
			*fx = *crowded(fx.Asked)
			return box, false
		}
	case replica.TakeBackRelayed:
		peers.Links[r.peer].RelayEvents <- relayEvent{Kind: leadsHere, Shard: s}
	case replica.BreakStream:
		breakLink(peers.Links[r.peer], fx.Stream)
	case replica.Notify:
		box.wants[r.peer] = append(box.wants[r.peer], lease.Event{Kind: lease.NoticeGiven, Shard: s,
			Epoch: fx.Epoch, Notice: fx.Notice})
	default:
		return box, false
	}
	return box, true
}

// peerOf returns the node that holds the other replica of a shard.
func peerOf(l shard.Layout, s, self int) int {
	first := s % l.Nodes // as shard.Pair says
	return first + (first+1)%l.Nodes - self
}

// empty sends what the outbox holds. A link whose queue is full has a peer that does not read, and is broken. What a
// busy lease session does not take is kept for the next time.
func empty(storage *Storage, peers *Peers, box outbox) outbox {
	if len(box.parts) > 0 {
		storage.Disk <- box.parts
	}
	for peer, batch := range box.outbound {
		if len(batch) == 0 {
			continue
		}
		select {
		case peers.Links[peer].Out <- batch:
		default:
			breakLink(peers.Links[peer], batch[0].Stream)
		}
		box.outbound[peer] = nil
	}
	for peer, wants := range box.wants {
		if len(wants) == 0 {
			continue
		}
		select {
		case peers.Leases[peer].Wants <- wants:
			box.wants[peer] = nil
		default:
		}
	}
	for _, p := range box.piles {
		deliver(p.conn, p.answers)
	}
	clear(box.piles)
	box.parts, box.piles = nil, box.piles[:0]
	return box
}
