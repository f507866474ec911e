package main

import (
	"fmt"
	"time"

	"tandem/node/store"
	"tandem/shard"
	"tandem/shard/views"
	"tandem/wire/proc"
)

const (
	viewsTick = 10 * time.Millisecond
	mailQueue = 1 << 10 // messages of view services that wait, in and out
)

// viewsHandle is where the loop of the view service is reached. Whoever gives it something never waits: what does not
// fit is dropped, and comes again, since view services repeat their messages, and askers their proposals and greetings.
type viewsHandle struct {
	In chan []byte // messages of other nodes' view services
	// repeated every 20 ms, and when Elected says so, until the cluster state shows the outcome
	Asks  chan []shard.Proposal
	Joins chan greeter // of members and of stores that are none
	// connections to other nodes that stand or broke: whoever tells waits, as nothing is sent before it is known
	Greets    chan greeted
	Unhealthy chan string // one slot, the newest wins: why the disk is slow or full, "" while it is healthy
	Inspect   chan chan<- viewsReport

	Out     []chan []byte      // by node, for its view service; the link there empties it
	States  []chan views.State // one slot each, the newest wins: one for each loop that follows the views
	Elected []chan struct{}    // one slot each: there is a new Raft leader
	saved   chan struct{}      // from the disk, one slot
	state   views.Service      // what the loop starts with
}

// greeter is a process of a store that greets this node; without a start it is only there.
type greeter struct {
	Member uint64
	Start  views.Start
}

// greeted is a connection to a node: Up when it stands, with what that node knows to be the newest start of this store.
type greeted struct {
	Node  int
	Known views.Start
	Up    bool
}

// viewsReport is what the view service says about itself.
type viewsReport struct {
	State     views.State
	Member    uint64 // this node's store
	Lead      uint64 // member id of the Raft leader, 0 while none is known
	Term      uint64
	Unhealthy string        // why the node takes no part; "" while it does
	Known     []views.Start // by node: the newest start of its member that is known here
}

// newViewsHandle makes the channels for a view service, with followers loops that are told of cluster states and
// elections.
func newViewsHandle(c views.Service, followers int) *viewsHandle {
	d := &viewsHandle{In: make(chan []byte, mailQueue), Asks: make(chan []shard.Proposal, 64),
		Joins: make(chan greeter, 16), Greets: make(chan greeted), Unhealthy: make(chan string, 1),
		Inspect: make(chan chan<- viewsReport), saved: make(chan struct{}, 1), state: c}
	for range c.Layout.Nodes {
		d.Out = append(d.Out, make(chan []byte, mailQueue))
	}
	for range followers {
		d.States, d.Elected = append(d.States, make(chan views.State, 1)), append(d.Elected, make(chan struct{}, 1))
	}
	return d
}

// nodeName returns the name of a node by its number, "" if there is none of that number.
func nodeName(node *Node, n int) string {
	if n < 0 || n >= len(node.Members) {
		return ""
	}
	return node.Members[n].Name
}

// runViewService is the loop that owns this node's part in the agreement on the views. It hands what is to be stored to
// the disk's loop, whose queue has room for it, and never waits for anybody else. While the disk is unhealthy the node
// takes no part (rule R12).
func runViewService(node *Node, storage *Storage, d *viewsHandle) {
	c := d.state
	var out []views.Effect
	var unhealthy string // why the node takes no part
	ticks := time.NewTimer(proc.UntilBeat(proc.Clock(), viewsTick))
	for {
		e := views.Event{Kind: views.Ticked}
		select {
		case <-ticks.C:
			ticks.Reset(proc.UntilBeat(proc.Clock(), viewsTick))
		case e.Data = <-d.In:
			e.Kind = views.MessageReceived
		case e.Proposals = <-d.Asks:
			e.Kind = views.ProposalAsked
		case h := <-d.Joins:
			e.Kind, e.Member, e.Start = views.JoinAsked, h.Member, h.Start
		case g := <-d.Greets:
			e.Kind, e.To, e.Start = views.PeerGreeted, g.Node, g.Known
			if !g.Up {
				e.Kind = views.PeerParted
			}
		case <-d.saved:
			e.Kind = views.Saved
		case unhealthy = <-d.Unhealthy:
			e.Kind, e.Unhealthy = views.DiskChanged, unhealthy != ""
		case reply := <-d.Inspect:
			s := viewsReport{State: c.State, Member: c.Self, Lead: c.Lead, Term: c.Term, Unhealthy: unhealthy}
			for _, member := range c.State.Members {
				s.Known = append(s.Known, views.KnownStart(c, member))
			}
			reply <- s
			continue
		}
		e.Now = proc.Clock()
		c, out = views.Step(c, &e, out[:0])
		for i := range out {
			if out[i].Kind == views.Save {
				storage.Disk <- []store.Part{store.SavedPart(store.RaftFamilyID(storage.DB), out[i].Entries, d.saved)}
			}
		}
		carry(node, d, out)
		clear(out)
	}
}

// carry does what else the view service wants. Nobody is waited for: mail that does not fit is dropped, and of cluster
// states only the newest counts.
func carry(node *Node, d *viewsHandle, effects []views.Effect) {
	for i := range effects {
		switch e := &effects[i]; e.Kind {
		case views.SendMessage:
			if e.To < 0 || e.To >= len(d.Out) {
				continue
			}
			select {
			case d.Out[e.To] <- e.Data:
			default:
			}
		case views.StateChanged:
			for _, follower := range d.States {
				select {
				case <-follower:
				default:
				}
				follower <- e.State
			}
		case views.Elected:
			node.Log.Info("a Raft leader was elected", "leader", nodeName(node, shard.NodeOf(e.Member)))
			for _, follower := range d.Elected {
				select {
				case follower <- struct{}{}:
				default:
				}
			}
		case views.Note:
			node.Log.Warn(e.Text)
		case views.Halt:
			// the last effect that a view service has
			node.Ends <- ending{Halt: fmt.Errorf("%w: %s", views.ErrVersion, e.Text)}
		case views.Outdated:
			node.Ends <- ending{Old: fmt.Errorf("%w: %s", store.ErrOldCopy, e.Text)}
		}
	}
}
