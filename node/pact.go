package main

import (
	"time"

	"tandem/shard"
	"tandem/wire"
)

const (
	pactTick  = 5 * time.Millisecond
	pactQueue = 256
)

// pactHandle is where the loop is reached that keeps the pact with a neighbour.
type pactHandle struct {
	// pings and answers of the neighbour, which are dropped when they do not fit, and broken links
	In        chan pactNote
	Wants     chan []shard.PactEvent // of replicas
	Unhealthy chan bool              // one slot, the newest wins: whether the disk is slow or full
	Orders    chan shard.PactKind    // LeaveAsked, GoodbyeAsked
	Asks      chan chan<- bool       // whether the peer is leaving, too
	Books     <-chan shard.Book      // from the council
	Elected   <-chan struct{}        // from the council
}

// pactNote is an event for a pact; Conn is the connection by which a ping came.
type pactNote struct {
	Event shard.PactEvent
	Conn  *Conn
}

// runPact is the loop that owns the pact with a neighbour: what the two promise each other, and what this node
// proposes. The replicas learn views and leases from it alone, so that what it has promised is known before they act
// (rules R3, R5).
func runPact(node *Node, handles *Handles, peers *Peers, peer int, p shard.Pact) {
	handle := peers.Pacts[peer]
	ticks := time.NewTicker(pactTick)
	var out []shard.PactEffect
	for {
		list := []shard.PactEvent{{Kind: shard.PactTick}}
		var conn *Conn
		select {
		case <-ticks.C:
		case note := <-handle.In:
			list[0], conn = note.Event, note.Conn
		case list = <-handle.Wants:
		case unhealthy := <-handle.Unhealthy:
			list[0] = shard.PactEvent{Kind: shard.DiskIs, Sick: unhealthy}
		case reply := <-handle.Asks:
			reply <- p.PeerLeaves
			continue
		case kind := <-handle.Orders:
			list[0].Kind = kind
		case book := <-handle.Books:
			list[0] = shard.PactEvent{Kind: shard.ViewsCame, Views: book.Views, Store: book.Members[peer]}
		case <-handle.Elected:
			list[0].Kind = shard.RaftLeads
		}
		for i := range list {
			list[i].Now = clock()
			p, out = shard.StepPact(p, &list[i], out[:0])
			fulfil(node, handles, peers, peer, conn, out)
			clear(out)
		}
	}
}

// fulfil does what a pact wants. It waits only for loops of replicas, which never wait for it; pings and proposals that
// do not fit are dropped, and come again.
func fulfil(node *Node, handles *Handles, peers *Peers, peer int, conn *Conn, effects []shard.PactEffect) {
	var events []*shard.Event
	for i := range effects {
		fx := &effects[i]
		e := &shard.Event{Shard: fx.Shard, Epoch: fx.Epoch, Until: fx.Until}
		switch fx.Kind {
		case shard.SendPing:
			select {
			case peers.Links[peer].Urgent <- &wire.Message{Kind: wire.LeasePing, Life: fx.Life, At: fx.At,
				Lease: fx.Lease, State: wireState(fx), Vows: wireVows(fx.Vows), ShardEnds: wireEnds(fx.Ends)}:
			default:
			}
			continue
		case shard.SendPong:
			deliver(conn, answers{Message: &wire.Message{Kind: wire.LeasePong, At: fx.At, Vows: wireVows(fx.Vows)}})
			continue
		case shard.Propose:
			node.Log.Debug("proposed", "peer", node.Members[peer].Name, "changes", fx.Proposals)
			select {
			case peers.Council.Asks <- fx.Proposals:
			default:
			}
			continue
		case shard.TooLong:
			node.Log.Warn("a node takes promises for longer than this one keeps them (--lease there, --grace here), "+
				"so it is promised nothing",
				"peer", node.Members[peer].Name, "lease", time.Duration(fx.Lease), "grace", node.Config.Grace)
			continue
		case shard.LogBehind:
			node.Log.Error("this backup lacks writes that its leader has, so it does not take over: its data is "+
				"older than what it acknowledged", "shard", fx.Shard, "leader", node.Members[peer].Name,
				"epoch", fx.End.At.Epoch, "lsn", fx.End.At.LSN)
			continue
		case shard.TellView:
			e.Kind, e.View, e.FreeFrom, e.Fresh = shard.ViewLearnt, fx.View, fx.FreeFrom, fx.Fresh
			node.Log.Info("view", "shard", fx.Shard, "epoch", fx.View.Epoch, "leader",
				node.Members[fx.View.Leader].Name, "in sync", fx.View.InSync)
		case shard.TellLease:
			e.Kind = shard.LeaseCame
		case shard.TellDrain:
			e.Kind = shard.DrainAsked
			if fx.Until == 0 {
				e.Kind = shard.DrainOff
			}
		}
		events = append(events, e)
	}
	hand(handles, events)
}

// wireState returns how this node is, as its pings say.
func wireState(fx *shard.PactEffect) (state uint8) {
	if fx.Sick {
		state |= wire.IsSick
	}
	if fx.Leaving {
		state |= wire.IsLeaving
	}
	return state
}

func wireVows(vows []shard.Vow) []wire.Vow {
	list := make([]wire.Vow, len(vows))
	for i, v := range vows {
		list[i] = wire.Vow{Shard: uint64(v.Shard), Epoch: v.Epoch}
	}
	return list
}

func takeVows(vows []wire.Vow) []shard.Vow {
	list := make([]shard.Vow, len(vows))
	for i, v := range vows {
		list[i] = shard.Vow{Shard: int(v.Shard), Epoch: v.Epoch}
	}
	return list
}

func wireEnds(ends []shard.ShardEnd) []wire.ShardEnd {
	list := make([]wire.ShardEnd, len(ends))
	for i, e := range ends {
		list[i] = wire.ShardEnd{Shard: uint64(e.Shard), Epoch: e.Epoch, Ends: e.At.Epoch, LSN: e.At.LSN}
	}
	return list
}

func takeEnds(ends []wire.ShardEnd) []shard.ShardEnd {
	list := make([]shard.ShardEnd, len(ends))
	for i, e := range ends {
		list[i] = shard.ShardEnd{Shard: int(e.Shard), Epoch: e.Epoch, At: shard.Position{Epoch: e.Ends, LSN: e.LSN}}
	}
	return list
}
