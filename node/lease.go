package main

import (
	"math"
	"time"

	"tandem/shard"
	"tandem/shard/lease"
	"tandem/shard/replica"
	"tandem/shard/views"
	"tandem/wire"
	"tandem/wire/proc"
)

const leaseQueue = 256

// leaseHandle is where the loop is reached that keeps the lease session with a neighbour.
type leaseHandle struct {
	// pings and answers of the neighbour, which are dropped when they do not fit, and broken links
	In      chan leaseNote
	Wants   chan []lease.Event   // of replicas
	Disk    chan shard.DiskState // one slot, the newest wins
	Orders  chan lease.EventKind // LeaveAsked, GoodbyeAsked
	Asks    chan chan<- bool     // whether the peer is leaving, too
	States  <-chan views.State   // from the view service
	Elected <-chan struct{}      // from the view service
}

// leaseNote is an event for a lease session; Conn is the connection by which a ping came.
type leaseNote struct {
	Event lease.Event
	Conn  *conn
}

// runLease is the loop that owns the lease session with a neighbour: what the two promise each other, and what this
// node proposes. The replicas learn views and leases from it alone, so that what it has promised is known before they
// act (rules R3, R5).
func runLease(node *Node, handles *Handles, peers *Peers, peer int, p lease.Session) {
	handle := peers.Leases[peer]
	tick := time.NewTimer(0)
	var out []lease.Effect
	for due := int64(0); ; { // when the next tick is
		list := []lease.Event{{Kind: lease.Ticked}}
		var conn *conn
		select {
		case <-tick.C:
			due = math.MaxInt64
		case note := <-handle.In:
			list[0], conn = note.Event, note.Conn
		case list = <-handle.Wants:
		case disk := <-handle.Disk:
			list[0] = lease.Event{Kind: lease.DiskChanged, Disk: disk}
		case reply := <-handle.Asks:
			reply <- p.PeerLeaves
			continue
		case kind := <-handle.Orders:
			list[0].Kind = kind
		case state := <-handle.States:
			list[0] = lease.Event{Kind: lease.ViewsLearnt, Views: state.Views, Store: state.Members[peer]}
		case <-handle.Elected:
			list[0].Kind = lease.RaftElected
		}
		for i := range list {
			list[i].Now = proc.Clock()
			p, out = lease.Step(p, &list[i], out[:0])
			fulfil(node, handles, peers, peer, conn, out)
			clear(out)
			if after := lease.TickAfter(&p, list[i].Now); list[i].Now+after < due {
				due = list[i].Now + after
				tick.Reset(time.Duration(after))
			}
		}
	}
}

// fulfil does what a lease session wants. It waits only for loops of replicas, which never wait for it; pings and
// proposals that do not fit are dropped, and come again.
func fulfil(node *Node, handles *Handles, peers *Peers, peer int, conn *conn, effects []lease.Effect) {
	var events []*replica.Event
	for i := range effects {
		fx := &effects[i]
		e := &replica.Event{Shard: fx.Shard, Epoch: fx.Epoch, Until: fx.Until}
		switch fx.Kind {
		case lease.SendPing:
			select {
			case peers.Links[peer].Urgent <- &wire.Message{Kind: wire.LeasePing, Start: fx.Start, At: fx.At,
				Lease: fx.Lease, State: wireState(fx), Claims: wireClaims(fx.Claims), LastEntries: wireLastEntries(fx.LastEntries)}:
			default:
			}
			continue
		case lease.SendPong:
			deliver(conn, answers{Message: &wire.Message{Kind: wire.LeasePong, At: fx.At, Claims: wireClaims(fx.Claims)}})
			continue
		case lease.Propose:
			node.Log.Debug("proposed", "peer", node.Members[peer].Name, "changes", fx.Proposals)
			select {
			case peers.Views.Asks <- fx.Proposals:
			default:
			}
			continue
		case lease.TooLong:
			node.Log.Warn("a node takes promises for longer than this one keeps them (--lease there, --grace here), "+
				"so it is promised nothing",
				"peer", node.Members[peer].Name, "lease", time.Duration(fx.Lease), "grace", node.Config.Grace)
			continue
		case lease.LogBehind:
			node.Log.Error("this backup lacks writes that its leader has, so it does not take over: its data was "+
				"damaged and dropped, or is of an older copy of its folder", "shard", fx.Shard, "leader", node.Members[peer].Name,
				"epoch", fx.LastEntry.At.Epoch, "lsn", fx.LastEntry.At.LSN)
			continue
		case lease.TellView:
			e.Kind, e.View = replica.ViewLearnt, fx.View
			e.FreeFrom, e.Restarted = fx.FreeFrom, fx.Restarted
			node.Log.Info("view", "shard", fx.Shard, "epoch", fx.View.Epoch, "leader",
				node.Members[fx.View.Leader].Name, "in sync", fx.View.InSync)
		case lease.TellLease:
			e.Kind = replica.LeaseCame
		case lease.TellDrain:
			e.Kind = replica.DrainAsked
			if fx.Until == 0 {
				e.Kind = replica.DrainOff
			}
		}
		events = append(events, e)
	}
	hand(handles, events)
}

// wireState returns how this node is, as its pings say.
func wireState(fx *lease.Effect) (state uint8) {
	if fx.Unhealthy {
		state |= wire.IsUnhealthy
	}
	if fx.Leaving {
		state |= wire.IsLeaving
	}
	return state
}

func wireClaims(claims []lease.Claim) []wire.Claim {
	list := make([]wire.Claim, len(claims))
	for i, v := range claims {
		list[i] = wire.Claim{Shard: uint64(v.Shard), Epoch: v.Epoch}
	}
	return list
}

func takeClaims(claims []wire.Claim) []lease.Claim {
	list := make([]lease.Claim, len(claims))
	for i, v := range claims {
		list[i] = lease.Claim{Shard: int(v.Shard), Epoch: v.Epoch}
	}
	return list
}

func wireLastEntries(ends []lease.LastEntry) []wire.LastEntry {
	list := make([]wire.LastEntry, len(ends))
	for i, e := range ends {
		list[i] = wire.LastEntry{Shard: uint64(e.Shard), Epoch: e.Epoch, LastEpoch: e.At.Epoch, LSN: e.At.LSN}
	}
	return list
}

func takeLastEntries(ends []wire.LastEntry) []lease.LastEntry {
	list := make([]lease.LastEntry, len(ends))
	for i, e := range ends {
		list[i] = lease.LastEntry{Shard: int(e.Shard), Epoch: e.Epoch, At: shard.Position{Epoch: e.LastEpoch, LSN: e.LSN}}
	}
	return list
}
