package sim

import (
	"slices"
	"tandem/shard/lease"
)

// fault is a kind of fault that a seed may draw.
type fault string

const (
	crash       fault = "crash"
	shortCrash  fault = "crash with a quick restart"
	pause       fault = "pause"
	justTooLong fault = "pause just longer than a lease"
	isolate     fault = "cut off from both peers"
	cutPair     fault = "cut between two nodes"
	cutOneWay   fault = "one-way cut"
	cutGate     fault = "cut between a gateway and a node"
	breakLink   fault = "broken connection"
	slowLink    fault = "slow in one direction"
	stall       fault = "disk stall"
	fullDisk    fault = "full disk"
	purge       fault = "purged WAL"
	term        fault = "planned stop"
	wipe        fault = "wiped folder"
	rot         fault = "damaged data"
	logRot      fault = "damaged log"
	killAll     fault = "all nodes killed"
	standstill  fault = "all nodes stand still for a moment"
	sharedStall fault = "all disks stall for a moment"
	awayStalls  fault = "all disks stall once a second while one node is away"
	oldStore    fault = "old copy of a folder"
	oldAll      fault = "old copy of a folder, with all nodes killed"
	oldVote     fault = "old copy of a folder, beside a node that has missed something"
)

var allFaults = []fault{crash, shortCrash, pause, justTooLong, isolate, cutPair, cutOneWay, cutGate, breakLink,
	slowLink, stall, fullDisk, purge, term, wipe, rot, logRot, killAll, standstill, sharedStall, oldStore, oldAll,
	oldVote}

// singleFaults are those of which any one may happen without a request missing its budget. Nodes that share a machine
// or a disk stand still together.
var singleFaults = []fault{crash, shortCrash, pause, justTooLong, isolate, cutPair, cutOneWay, cutGate, breakLink,
	stall, fullDisk, term, rot, standstill, sharedStall}

// aim is a moment in which a fault is likely, as seeds at random seldom hit it.
type aim string

const (
	flipped   aim = "a leader requires acks again"
	wished    aim = "a backup is to be in sync"
	drained   aim = "a leadership is handed over"
	feeding   aim = "a backup is fed from the WAL"
	snapshots aim = "a backup is fed a snapshot"
	filling   aim = "a snapshot is being stored"
	proposing aim = "a view is proposed"
	restarted aim = "a node has started"
	leaving   aim = "a node says good-bye"
)

var allAims = []aim{flipped, wished, drained, feeding, snapshots, filling, proposing, restarted, leaving}

// chaos strikes now and then.
func (w *simWorld) chaos() {
	if w.calm {
		return
	}
	if w.chance(20) {
		w.backUp(w.nodes[w.rng.IntN(len(w.nodes))])
	}
	w.strikeAnywhere("")
	if w.chance(15) {
		w.strikeAnywhere(", right after another")
	}
	w.after(w.delay(w.plan.every), w.chaos)
}

func (w *simWorld) strikeAnywhere(when string) {
	n := w.rng.IntN(len(w.nodes))
	w.strike(w.plan.faults[w.rng.IntN(len(w.plan.faults))], n, (n+1+w.rng.IntN(len(w.nodes)-1))%len(w.nodes), when)
}

// moment strikes one of two nodes, at one of the moments that the seed aims at, at once or a little later.
func (w *simWorld) moment(a aim, n, peer int) {
	if w.calm || len(w.plan.faults) == 0 || !slices.Contains(w.plan.aims, a) || !w.chance(35) {
		return
	}
	if w.chance(50) {
		n, peer = peer, n
	}
	f, late := w.plan.faults[w.rng.IntN(len(w.plan.faults))], w.delay(2*ms)
	if w.chance(50) {
		late = w.delay(20 * ms)
	}
	w.after(late, func() {
		if !w.calm {
			w.strike(f, n, peer, ", just when "+string(a))
		}
	})
}

// strikeOnce makes the one fault of a run happen, at a moment when all is well.
func (w *simWorld) strikeOnce() {
	if !w.quiet() {
		w.after(10*ms, w.strikeOnce)
		return
	}
	w.struck = w.now
	w.strikeAnywhere("")
}

// stallWhileAway takes a node away, and lets the disks of all stall once a second until some time after it has come
// back. No stall begins while the others still take over from the node: both at once hold requests for too long. Half
// of the times all disks have stalled before, so that they would be distrusted for long, and another one's disk has
// just stalled by itself; no request is judged that began before.
func (w *simWorld) stallWhileAway(n, other *simNode) {
	goes, down := w.kill, 2000*ms+w.delay(1500*ms)
	if w.chance(50) {
		goes = w.term
	}
	var leave func()
	leave = func() {
		if !w.quiet() {
			w.after(5*ms, leave)
			return
		}
		w.stalled = w.now + w.plan.budget - tryFor
		goes(n, down)
		for i := range int64(4) {
			w.after((400+1000*i)*ms+w.delay(200*ms), func() { w.stallAll(60*ms + w.delay(140*ms)) })
		}
	}
	if w.chance(50) {
		leave()
		return
	}
	for i := range int64(3) {
		w.after(1+400*i*ms, func() { w.stallAll(90*ms + w.delay(20*ms)) })
	}
	lasts := 75*ms + w.delay(25*ms)
	w.after(1500*ms, func() { other.disk.hungUntil = w.now + lasts })
	w.after(1500*ms+lasts+w.delay(20*ms), leave)
}

func (w *simWorld) stallAll(lasts int64) {
	until := w.now + lasts
	for _, m := range w.nodes {
		m.disk.hungUntil = until
	}
	w.stalled = max(w.stalled, until)
	w.note("all disks stall until %.3f ms", float64(until)/float64(ms))
}

// quiet tells whether nothing is wrong: every replica is in sync in the newest view, and every store a member.
func (w *simWorld) quiet() bool {
	for _, n := range w.nodes {
		if !n.up || n.paused || n.leaving || n.disk.full {
			return false
		}
		for _, p := range n.sessions {
			if p != nil && slices.ContainsFunc(p.Shares, func(s lease.Share) bool { return s.Proposed.Epoch > 0 }) {
				return false
			}
		}
		for s, r := range n.replicas {
			if r != nil && (!r.Known || !r.View.InSync || r.Damage.Reason != "" || n.disk.shards[s].rotten ||
				r.View.Leader != n.number && !r.Backing.Compared || r.View != w.nodes[w.peerOf(n, s)].replicas[s].View ||
				n.service.State.Members[n.number] != n.member) {
				return false
			}
		}
	}
	return true
}

// strike makes a fault happen to a node, or between it and another; it ends by itself.
func (w *simWorld) strike(f fault, number, other int, when string) {
	n, a := w.nodes[number], w.nodes[other]
	lasts := w.delay(80 * ms)
	switch chance := w.rng.IntN(100); {
	case chance < 30 || w.plan.single:
		lasts = w.delay(700 * ms)
	case chance < 35:
		lasts = w.delay(2000 * ms)
	}
	if f == wipe && !w.quiet() || w.frail() {
		return // the only whole copy may be lost
	}
	w.seen["fault: "+string(f)+when]++
	w.note("FAULT %s: node %d (and %d), for %.1f ms", f, n.number, a.number, float64(lasts)/float64(ms))
	switch f {
	case crash, shortCrash:
		if f == shortCrash {
			lasts = w.delay(20 * ms)
		}
		w.kill(n, lasts)
	case killAll:
		for _, m := range w.nodes {
			w.kill(m, w.delay(lasts))
		}
	case pause:
		w.pause(n, lasts)
	case standstill:
		for _, m := range w.nodes {
			w.pause(m, 40*ms+w.delay(60*ms))
		}
	case sharedStall:
		until := w.now + 60*ms + w.delay(60*ms)
		for _, m := range w.nodes {
			m.disk.hungUntil = until
		}
	case awayStalls:
		w.stallWhileAway(n, a)
	case justTooLong:
		w.pause(n, 95*ms+w.delay(60*ms))
	case isolate:
		for _, m := range w.nodes {
			w.cut[n.number][m.number], w.cut[m.number][n.number] = true, true
		}
		w.after(lasts, w.mend)
	case cutPair:
		w.cut[n.number][a.number], w.cut[a.number][n.number] = true, true
		w.after(lasts, w.mend)
	case cutOneWay:
		w.cut[n.number][a.number] = true
		w.after(lasts, w.mend)
	case cutGate:
		g := len(w.nodes) + w.rng.IntN(len(w.gates))
		w.cut[g][n.number], w.cut[n.number][g] = true, true
		w.after(lasts, w.mend)
	case breakLink:
		if s := n.links[a.number]; s != nil {
			w.sever(s)
		}
	case slowLink:
		w.slow[number][other] = 20*ms + w.delay(100*ms)
		w.after(lasts, func() { w.slow[number][other] = 0 })
	case stall:
		n.disk.slow = 300 * ms
		if w.plan.single {
			n.disk.hungUntil = w.now + lasts
		}
		w.after(lasts, func() { n.disk.slow = w.plan.slow[number] })
	case fullDisk:
		w.fill(n, lasts)
	case purge:
		for _, s := range n.disk.shards {
			s.purged = len(s.wal)
		}
	case term:
		w.term(n, lasts)
	case wipe:
		w.wipe(n, lasts)
	case rot:
		w.rot(n)
	case logRot:
		w.damageLog(n, lasts)
	case oldStore, oldAll, oldVote:
		w.restore(f, n, a, lasts)
	}
}
