package main

import (
	"tandem/shard"
	"tandem/wire"
)

// fill puts what an effect sends into the outbox. A goroutine that collects the replies of several shards gets its reply at once.
func fill(box outbox, state *shard.Replica, fx *shard.Effect) outbox {
	s := uint64(state.Shard)
	m := &wire.Message{Shard: s, Epoch: fx.Epoch, LSN: fx.LSN}
	conn, toLeader := fx.Caller.(*Conn)
	to, toGateway := fx.Caller.(*caller)
	switch fx.Kind {
	case shard.Answer:
		if !toGateway {
			fx.Caller.(chan shard.Reply) <- fx.Reply // made with a place for each reply
			return box
		}
		conn, m = to.conn, &wire.Message{Kind: wire.Outcome, ID: to.id, Result: fx.Reply.Result, Touched: uint64(fx.Reply.Touched), Record: wire.Record(fx.Reply.Record)}
		if fx.Reply.Refusal != 0 {
			m = &wire.Message{Kind: wire.Error, ID: to.id, Code: codes[fx.Reply.Refusal], Text: fx.Reply.Reason}
		}
	case shard.SendStored:
		m.Kind = wire.Stored
	case shard.SendPosition:
		m.Kind = wire.Position
	case shard.SendTrouble:
		m.Kind, m.Code, m.Text = wire.Trouble, codes[fx.Reply.Refusal], fx.Reply.Reason
	case shard.SendAsk:
		m.Kind = wire.Ask
	case shard.SendApplied:
		m.Kind = wire.Applied
	case shard.SendFetch:
		return box // no frame asks a backup for its log: a leader never trails it once views change
	}
	frames := []*wire.Message{m}
	if fx.Kind == shard.SendAppend {
		frames = cutAppend(state.Shard, fx.Epoch, fx.Applied, fx.Entries)
	}
	if !toLeader && !toGateway {
		for _, m := range frames {
			box.letters[state.View.Backup] = append(box.letters[state.View.Backup], letter{fx.Stream, m})
		}
		return box
	}
	for i := range box.piles {
		if box.piles[i].conn == conn {
			box.piles[i].frames = append(box.piles[i].frames, m)
			return box
		}
	}
	box.piles = append(box.piles, pile{conn, frames})
	return box
}

// empty sends what the outbox holds. A link whose queue is full has a peer that does not read, and is broken.
func empty(room *Room, box outbox) outbox {
	if len(box.parts) > 0 {
		room.Disk <- box.parts
	}
	for node, letters := range box.letters {
		if len(letters) == 0 {
			continue
		}
		select {
		case room.Links[node].Out <- letters:
		default:
			breakLink(room.Links[node], letters[0].Stream)
		}
		box.letters[node] = nil
	}
	for _, p := range box.piles {
		deliver(p.conn, p.frames...)
	}
	clear(box.piles)
	return outbox{letters: box.letters, piles: box.piles[:0]}
}
