package sim

import (
	"fmt"
	"sort"
	"tandem/shard"
	"tandem/shard/replica"
)

const tryFor = 50 * ms

type opKind uint8

const (
	opWrite opKind = iota
	opGet
	opCount
	opList
)

// simOp is a request of a client, through all its tries.
type simOp struct {
	client   int
	kind     opKind
	shard    int
	change   shard.Change
	invoked  int64
	answered int64 // 0 while open
	reply    shard.Reply
	offset   uint64 // of a list
	limit    uint64
	page     []shard.Record // of a list
	users    uint64         // of the shard, as a list says
	floor    uint64         // highest LSN that an answer had shown before this began
	ceil     uint64         // highest LSN on any disk when it was answered
	tries    int
	owed     [8]int // by node: tries that it has not answered, two at most
	overdue  int64  // when the last try that was given up can no longer be sequenced
}

// simTry is one try of a request at one node.
type simTry struct {
	op    *simOp
	gate  *simGate
	node  int
	done  bool
	asked bool // the node was sent it
	owes  bool // and has not answered it
	sent  int64
	page  []shard.Record
	users uint64
}

// simGate is a gateway: it knows views, and tries until the deadline.
type simGate struct {
	number int
	views  []shard.View
}

func (g *simGate) learn(views []shard.View) {
	for s, v := range views {
		if v.Epoch > g.views[s].Epoch {
			g.views[s] = v
		}
	}
}

// client asks one thing after another.
func (w *simWorld) client(number, count int) {
	if w.calm {
		return
	}
	op := &simOp{client: number, shard: w.rng.IntN(w.plan.layout.Shards), invoked: w.now}
	op.floor = w.acked[op.shard]
	op.change = shard.Change{ID: fmt.Sprint("u", w.rng.IntN(w.plan.keys)), Op: shard.Op(1 + w.rng.IntN(3)),
		Fields: uint8(1 + w.rng.IntN(7)),
		Name:   fmt.Sprint(number, "-", count), Email: fmt.Sprint(count, "@", number), Group: int64(count)}
	op.change.Request = shard.RequestID{byte(number), byte(count), byte(count >> 8), 1}
	if op.change.Op == shard.Create && count%4 == 0 || op.change.Op != shard.Create && w.chance(25) {
		w.drawConditions(op, number+count/4)
	}
	if w.rng.Float64() < w.plan.reads {
		op.kind, op.offset, op.limit = opGet+opKind(w.rng.IntN(3)), uint64(count%3), uint64(1+count/3%5)
	}
	w.ops = append(w.ops, op)
	gate := w.gates[w.rng.IntN(len(w.gates))]
	view := gate.views[op.shard]
	first := view.Leader
	if op.kind >= opCount && view.InSync && w.chance(50) {
		first = view.Backup
	}
	if w.chance(w.plan.stray) {
		first = w.other(op, first)
		w.seen["request: first to the other replica"]++
	}
	w.try(op, gate, first)
	var watch func()
	watch = func() {
		if op.answered == 0 && w.now < op.invoked+w.plan.budget {
			w.after(2*ms, watch)
			return
		}
		// what a stall of all disks held needs a moment more; a refusal is not believed before its tries are overdue (R20)
		if op.answered == 0 && w.plan.single && w.now > w.stalled+tryFor+10*ms {
			w.fail("request %+v of client %d was not answered in time", op.change, number)
		}
		w.client(number, count+1)
	}
	w.after(w.plan.think/4+w.delay(w.plan.think), watch)
}

// try sends a request to a node, and again to another when it is refused or silent.
func (w *simWorld) try(op *simOp, gate *simGate, node int) {
	if op.answered != 0 || w.now > op.invoked+w.plan.budget {
		return
	}
	op.tries++
	t := &simTry{op: op, gate: gate, node: node, sent: w.now}
	n, g := w.nodes[node], len(w.nodes)+gate.number
	patience := tryFor
	if op.owed[node] > 0 {
		patience = 15 * ms
	}
	w.after(patience, func() {
		if !t.done {
			if t.done = true; t.asked {
				op.overdue = max(op.overdue, t.sent+tryFor)
			}
			w.try(op, gate, w.other(op, node))
		}
	})
	if w.trace != nil && (w.only < 0 || w.only == op.shard) {
		w.note("gateway %d: try %d of request %x (kind %d) at node %d", gate.number, op.tries, op.change.Request[:3],
			op.kind, node)
	}
	if op.owed[node] == 2 {
		return
	}
	op.owed[node], t.asked, t.owes = op.owed[node]+1, true, true
	process := n.process
	w.after(100*ms, func() { // a connection that is broken or silent is given up
		if n.process != process || n.paused || w.cut[g][node] || w.cut[node][g] {
			w.free(t)
		}
	})
	if w.cut[g][node] {
		return
	}
	if !n.up {
		w.free(t)
		w.again(t, 2*ms)
		return
	}
	deadline := n.skew + int64(float64(w.now+tryFor-2*ms)*n.rate)
	late := ms
	if w.chance(2) && !w.plan.single {
		late = w.plan.stuck
	}
	if op.kind == opWrite && w.chance(w.plan.twice) { // as another try of it: no refusal counts before both are overdue
		w.seen["request: sent twice at once"]++
		op.overdue = max(op.overdue, w.now+tryFor)
		w.on(n, w.delay(w.plan.stuck), func() { w.ask(n, t, t, deadline) })
	}
	w.on(n, w.delay(late), func() { w.ask(n, t, t, deadline) })
}

func (w *simWorld) other(op *simOp, node int) int {
	first, second := shard.Pair(w.plan.layout, op.shard)
	return first + second - node
}

// again tries elsewhere after a pause: at the leader that is known by then, or at the other replica if that has just
// refused.
func (w *simWorld) again(t *simTry, pause int64) {
	t.done = true
	w.after(w.delay(pause), func() {
		next := t.gate.views[t.op.shard].Leader
		if next == t.node {
			next = w.other(t.op, t.node)
		}
		w.try(t.op, t.gate, next)
	})
}

// simRelay is a try that a node passed on to the leader by a stream.
type simRelay struct {
	try    *simTry
	stream *simStream
	asked  *replica.Event
	over   bool
}

// relay passes a request on to the leader. Its deadline becomes one on the leader's clock, never later than it was.
func (w *simWorld) relay(n *simNode, peer int, fx *replica.Effect) {
	t, s := fx.Asked.Caller.(*simTry), n.links[peer]
	if s == nil || s.broken || s.number != fx.Stream {
		w.reply(n, t, shard.Reply{Refusal: shard.NotLeader})
		return
	}
	w.seen["request: passed on to the leader"]++
	r := &simRelay{try: t, stream: s}
	s.relays = append(s.relays, r)
	deadline := fx.Asked.Deadline + w.clock(s.to) - w.clock(n) - w.delay(2*ms)
	w.carry(s, 0, func() { w.ask(s.to, t, r, deadline) })
	if r.asked = fx.Asked; r.asked.Kind == replica.WriteAsked {
		w.on(n, max(0, r.asked.Deadline-w.clock(n))+w.delay(20*ms), func() { w.lost(n, r) })
	}
}

// reclaim gives a new leader the requests that it passed on to the former one.
func (w *simWorld) reclaim(n *simNode, peer, s int) {
	if n.links[peer] == nil {
		return
	}
	for _, r := range n.links[peer].relays {
		if !r.over && r.asked.Shard == s {
			r.over = true
			w.seen["request: taken back by the new leader"]++
			again := *r.asked
			w.on(n, w.delay(ms/5), func() { w.step(n, &again) })
		}
	}
}

// free takes a try off the list of those that its node owes an answer.
func (w *simWorld) free(t *simTry) {
	if t.owes {
		t.owes = false
		t.op.owed[t.node]--
	}
}

// lose tells of what was passed on by a stream that broke that its answer is lost.
func (w *simWorld) lose(s *simStream) {
	for _, r := range s.relays {
		w.lost(s.from, r)
	}
}

// lost tells a gateway that the answer to a try is lost.
func (w *simWorld) lost(n *simNode, r *simRelay) {
	if r.over {
		return
	}
	r.over = true
	t := r.try
	if w.cut[n.number][len(w.nodes)+t.gate.number] {
		return
	}
	w.seen["request: passed on, the answer lost"]++
	w.after(w.delay(ms), func() {
		w.free(t)
		if t.op.answered == 0 && !t.done {
			t.op.overdue = max(t.op.overdue, t.sent+tryFor) // it may yet be done
			w.again(t, ms)
		}
	})
}

// answer takes a reply to whoever asked, by the node that passed the request on if one did.
func (w *simWorld) answer(n *simNode, caller shard.Caller, reply shard.Reply) {
	switch c := caller.(type) {
	case *simTry:
		w.reply(n, c, reply)
	case *simList:
		w.agree(n, c, reply)
	case *simRelay:
		w.carry(c.stream, 1, func() {
			if !c.over {
				c.over = true
				w.reply(c.stream.from, c.try, reply)
			}
		})
	}
}

// ask is what a connection's loop does with a request. What a read answers is read before its event is made, and the
// clock is sampled after it.
func (w *simWorld) ask(n *simNode, t *simTry, caller shard.Caller, deadline int64) {
	op := t.op
	disk := n.disk.shards[op.shard]
	if disk.rotten && op.kind != opWrite { // nothing comes of the read
		w.feelRot(n, op.shard)
	}
	e := &replica.Event{Shard: op.shard, Caller: caller, Relayed: caller != shard.Caller(t), Change: op.change,
		Deadline: deadline,
		Began:    w.clock(n)}
	switch op.kind {
	case opWrite:
		e.Kind = replica.WriteAsked
		w.step(n, e)
		return
	case opGet:
		e.Kind = replica.GetAsked
		e.Current, e.Exists = disk.lookUp(op.change.ID)
	case opList:
		w.list(n, t, e)
		return
	case opCount:
		e.Kind = replica.CountAsked
		e.Users = uint64(n.users[op.shard])
	}
	if op.kind == opCount {
		w.step(n, e)
		return
	}
	w.on(n, w.delay(w.plan.read), func() { w.step(n, e) })
}

// reply takes an answer to its gateway.
func (w *simWorld) reply(n *simNode, t *simTry, reply shard.Reply) {
	g := len(w.nodes) + t.gate.number
	if w.cut[n.number][g] {
		return
	}
	if w.chance(w.plan.mute) {
		w.seen["request: answer lost"]++
		return
	}
	w.after(w.delay(ms), func() {
		op := t.op
		w.free(t)
		switch {
		case op.answered != 0:
		case op.kind == opWrite && reply.Result >= shard.Missing && (t.done || t.sent < op.overdue):
			// another try of it may have been done since, or may yet be (rule R20)
			if !t.done {
				t.done = true
				w.after(10*ms, func() { w.try(op, t.gate, t.node) })
			}
		case reply.Refusal == 0:
			t.done = true
			op.answered, op.reply, op.page, op.users = w.now, reply, t.page, t.users
			w.noteShown(op)
			if w.struck > 0 && op.answered > w.struck {
				w.slowest = max(w.slowest, op.answered-op.invoked)
			}
			for _, m := range w.nodes {
				op.ceil = max(op.ceil, m.disk.shards[op.shard].last)
			}
			if op.kind <= opGet && reply.Result <= shard.Deleted {
				w.acked[op.shard] = max(w.acked[op.shard], reply.Record.LSN)
			}
		case !t.done && reply.Refusal == shard.NotLeader:
			w.again(t, ms)
		case !t.done:
			w.again(t, 10*ms)
		}
	})
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
