package sim

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"tandem/shard"
	"tandem/shard/lease"
	"tandem/shard/replica"
	"tandem/shard/views"
)

// simNode is one node: the loops of its view service, its lease sessions and its replicas, and what they stand on.
type simNode struct {
	number   int
	member   uint64
	start    views.Start // of this process
	former   []uint64    // nonces of the starts before it
	stores   int         // that this node has had
	up       bool
	paused   bool
	leaving  bool
	process  int
	timing   lease.Timing
	shortens bool // its next process has the times of the settings
	lost     int  // up to this process, what was on its way is lost: the machine went down with the process
	backlog  []func()
	rate     float64
	skew     int64
	replicas []*replica.State // by shard
	users    []int            // by shard: with all that was handed to the disk
	counts   []simCounts
	sessions []*lease.Session // by peer
	tickAt   []int64          // by peer: when its lease session is ticked next
	service  views.Service
	disk     simDisk
	links    []*simStream // by peer: dialled by this node
	copies   []simCopy    // of its folder, oldest first
	rolled   bool         // an old copy of its store took the place of the newest
	doomed   bool         // and it is not known yet what comes of that
	old      bool         // and the store has not started since the copy was made
	most     uint64       // the newest version that its binary speaks
}

func newSimNode(w *simWorld, number int) *simNode {
	drift := 2*w.rng.Float64() - 1
	if w.plan.extreme {
		drift = math.Copysign(1, drift)
	}
	n := &simNode{number: number, most: views.InitialVersion, rate: 1 + w.plan.drift*drift, skew: w.rng.Int64N(1 << 40),
		links: make([]*simStream, w.plan.layout.Nodes)}
	n.disk = newSimDisk(w.plan.layout, w.plan.slow[number])
	w.newStore(n)
	return n
}

func (w *simWorld) newStore(n *simNode) {
	n.stores++
	n.rolled, n.old, n.doomed = false, false, false
	var store [16]byte
	binary.BigEndian.PutUint64(store[:], w.rng.Uint64())
	n.member = shard.MemberID(n.number, store)
}

// clock is the node's own: it starts anywhere and runs a little fast or slow.
func (w *simWorld) clock(n *simNode) int64 { return n.skew + int64(float64(w.now)*n.rate) }

// on runs something on a node after a while, unless the node's process is another one by then. A paused node does it
// when it goes on.
func (w *simWorld) on(n *simNode, d int64, run func()) {
	process := n.process
	w.after(d, func() {
		switch {
		case !n.up || n.process != process:
		case n.paused:
			n.backlog = append(n.backlog, run)
		default:
			run()
		}
	})
}

// boot starts a node's process from what its disk holds.
func (w *simWorld) boot(number int) {
	n := w.nodes[number]
	if w.waitsOut(n) {
		return
	}
	n.up, n.paused, n.leaving, n.process, n.backlog = true, false, false, n.process+1, nil
	n.disk.start++ // synced before anything is said
	n.start, n.former = views.Start{Number: n.disk.start, Nonce: w.rng.Uint64()}, n.disk.nonces
	n.disk.nonces = append([]uint64{n.start.Nonce}, n.former[:min(len(n.former), views.FormerStarts-1)]...)
	n.disk.queue, n.disk.writing, n.disk.full, n.disk.told, n.disk.health = nil, false, false, 0,
		shard.DiskHealth{SlowAfter: 70 * ms, LookedAt: w.now}
	w.recover(n)
	n.replicas, n.users, n.counts, n.sessions = make([]*replica.State, w.plan.layout.Shards), make([]int,
		w.plan.layout.Shards), make([]simCounts, w.plan.layout.Shards), make([]*lease.Session, w.plan.layout.Nodes)
	n.tickAt = make([]int64, w.plan.layout.Nodes)
	shared, ends := make([][]int, w.plan.layout.Nodes), make([]shard.Position, w.plan.layout.Shards)
	for s := range w.plan.layout.Shards {
		first, second := shard.Pair(w.plan.layout, s)
		if first != number && second != number {
			continue
		}
		peer := first + second - number
		shared[peer] = append(shared[peer], s)
		d := n.disk.shards[s]
		damaged := shard.MarkHolds(n.disk.marks[s], n.member, n.disk.copyOf(s))
		if d.last == 0 && !damaged {
			d.wipe()
		}
		r := replica.New(s, number, fmt.Sprint("db-", peer), d.last, append([]shard.Position(nil), d.history...),
			d.window(), w.clock(n))
		if !w.plan.single {
			r.Leading.BackoffLeast = w.delay(40 * ms)
		}
		n.replicas[s], n.users[s], n.counts[s] = &r, len(d.records), countRows(inOrder(d.records))
		if h := len(d.history); h > 0 {
			ends[s] = shard.Position{Epoch: d.history[h-1].Epoch, LSN: d.last}
		}
		if damaged { // what its store holds is not looked at
			r = replica.New(s, number, fmt.Sprint("db-", peer), 0, nil, nil, w.clock(n))
			w.on(n, 1, func() { w.step(n, &replica.Event{Kind: replica.DataDamaged, Shard: s, Reason: n.disk.marks[s].Reason}) })
		}
	}
	for peer, list := range shared {
		n.links[peer] = nil
		if list != nil {
			p := lease.New(w.plan.layout, number, peer, list, ends, 2*int64(n.start.Number), w.clock(n), n.timing)
			n.sessions[peer] = &p
		}
	}
	w.load(n)
	w.note("node %d starts, process %d, member %x", number, n.process, n.member)
	w.moment(restarted, number, (number+1+w.rng.IntN(len(w.nodes)-1))%len(w.nodes))
	for s := range n.replicas {
		if n.replicas[s] != nil && n.disk.shards[s].rotten {
			w.on(n, w.delay(20*ms), func() { w.feelRot(n, s) })
		}
	}
	w.ticks(n)
	for peer := range w.nodes {
		if peer != number {
			w.dial(n, peer)
		}
	}
}

// arm has a lease session ticked when it is due next, if that is before the tick that is set already. As the shell's,
// a tick is a little late.
func (w *simWorld) arm(n *simNode, peer int) {
	if n.sessions[peer] == nil {
		return
	}
	at := w.now + lease.TickAfter(n.sessions[peer], w.clock(n))
	if at >= n.tickAt[peer] {
		return
	}
	n.tickAt[peer] = at
	w.on(n, at-w.now+w.delay(ms/2), func() {
		if n.tickAt[peer] == at {
			n.tickAt[peer] = math.MaxInt64
			w.stepSession(n, peer, &lease.Event{Kind: lease.Ticked})
		}
	})
}

// ticks keeps a node's clocks going: the view service's every 10 ms, the lease sessions' when they are due.
func (w *simWorld) ticks(n *simNode) {
	var service, disk func()
	service = func() {
		w.stepService(n, &views.Event{Kind: views.Ticked})
		w.renew(n)
		w.on(n, 10*ms, service)
	}
	w.on(n, w.delay(10*ms), service)
	for peer := range n.sessions {
		n.tickAt[peer] = math.MaxInt64
		w.arm(n, peer)
	}
	disk = func() {
		w.judgeDisk(n)
		w.on(n, 5*ms, disk)
	}
	w.on(n, w.delay(5*ms), disk)
}

func (w *simWorld) stepService(n *simNode, e *views.Event) {
	e.Now = w.clock(n)
	var out []views.Effect
	n.service, out = views.Step(n.service, e, nil)
	if w.observer != nil {
		w.observer(n, "views", e, out)
	}
	if n.service.State.Version > views.InitialVersion && !w.raised {
		w.raised = true
		w.seen["versions: the next one is in force"]++
	}
	w.actService(n, out)
}

func (w *simWorld) actService(n *simNode, out []views.Effect) {
	for k := range out {
		fx := out[k]
		switch fx.Kind {
		case views.Save:
			w.write(n, simPart{shard: -1, entries: fx.Entries})
		case views.SendMessage:
			w.mail(n, fx.To, fx.Data)
		case views.StateChanged:
			w.learnState(n, fx.State)
		case views.Elected:
			for peer := range n.sessions {
				w.stepSession(n, peer, &lease.Event{Kind: lease.RaftElected})
			}
		case views.Halt:
			w.halted(n, fx.Text)
		case views.Outdated:
			w.setAside(n, fx.Text)
		case views.Note:
			if strings.Contains(fx.Text, "may not join") &&
				!w.beyond { // it was wiped while its wish to lead alone was being granted
				w.beyond = true
				w.seen["wiped: the only whole copy"]++
			}
			w.note("node %d service: %s", n.number, fx.Text)
		}
	}
}

// learnState checks that all nodes see the same states, and passes one on to the lease sessions and the gateways.
func (w *simWorld) learnState(n *simNode, b views.State) {
	text := fmt.Sprint(b)
	if first, seen := w.states[b.Index]; seen && first != text {
		w.fail("node %d has another state at index %d: %s, not %s", n.number, b.Index, text, first)
	}
	w.states[b.Index] = text
	for s, v := range b.Views {
		if known, seen := w.epochs[[2]uint64{uint64(s), v.Epoch}]; seen && known != v {
			w.fail("shard %d has two views in epoch %d: %+v and %+v", s, v.Epoch, known, v)
		} else if !seen {
			w.epochs[[2]uint64{uint64(s), v.Epoch}] = v
			w.note("shard %d: view %+v", s, v)
		}
	}
	for peer := range n.sessions {
		peer := peer
		w.on(n, w.delay(ms/5), func() {
			w.stepSession(n, peer, &lease.Event{Kind: lease.ViewsLearnt, Views: b.Views, Store: b.Members[peer]})
		})
	}
	for _, g := range w.gates {
		if !w.cut[n.number][len(w.nodes)+g.number] && !w.chance(w.plan.deaf) {
			w.after(w.delay(2*ms), func() { g.learn(b.Views) })
		}
	}
}

func (w *simWorld) stepSession(n *simNode, peer int, e *lease.Event) {
	w.stepSessionOn(n, peer, nil, e)
}

// stepSessionOn gives an event to a lease session; from is the connection by which a ping came.
func (w *simWorld) stepSessionOn(n *simNode, peer int, from *simStream, e *lease.Event) {
	if n.sessions[peer] == nil {
		return
	}
	e.Now = w.clock(n)
	p, out := lease.Step(*n.sessions[peer], e, nil)
	*n.sessions[peer] = p
	if w.observer != nil {
		w.observer(n, fmt.Sprint("lease with db-", peer), e, out)
	}
	for k := range out {
		fx := &out[k]
		switch fx.Kind {
		case lease.SendPing:
			ping := lease.Event{Kind: lease.PingReceived, Store: n.member, Start: fx.Start, At: fx.At, Lease: fx.Lease,
				Unhealthy: fx.Unhealthy, Leaving: fx.Leaving, Claims: fx.Claims, LastEntries: fx.LastEntries}
			w.ping(n, peer, ping)
		case lease.SendPong:
			pong := lease.Event{Kind: lease.PongReceived, Store: n.member, At: fx.At, Claims: fx.Claims}
			w.pong(n, from, pong)
		case lease.LogBehind:
			w.seen["old copy: a backup lacks what its leader has"]++
			w.note("node %d: shard %d lacks writes up to %v", n.number, fx.Shard, fx.LastEntry.At)
		case lease.TellView:
			w.tell(n, peer, &replica.Event{Kind: replica.ViewLearnt, Shard: fx.Shard, View: fx.View, FreeFrom: fx.FreeFrom,
				Restarted: fx.Restarted})
		case lease.TellLease:
			w.tell(n, peer, &replica.Event{Kind: replica.LeaseCame, Shard: fx.Shard, Epoch: fx.Epoch, Until: fx.Until})
		case lease.TellDrain:
			kind := replica.DrainAsked
			if fx.Until == 0 {
				kind = replica.DrainOff
			}
			w.tell(n, peer, &replica.Event{Kind: kind, Shard: fx.Shard, Epoch: fx.Epoch})
		case lease.TooLong:
			w.seen["lease times: a lease that the grace does not cover"]++
		case lease.Propose:
			proposals := append([]shard.Proposal(nil), fx.Proposals...)
			w.moment(proposing, n.number, peer)
			w.overtakes(n, peer, proposals)
			w.note("node %d proposes %+v", n.number, proposals)
			w.on(n, w.delay(ms/5), func() {
				w.stepService(n, &views.Event{Kind: views.ProposalAsked,
					Proposals: proposals})
			})
		}
	}
	w.arm(n, peer)
}
