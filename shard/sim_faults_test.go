package shard

import "slices"

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
	oldStore    fault = "old copy of a folder"
	oldAll      fault = "old copy of a folder, with all nodes killed"
	oldVote     fault = "old copy of a folder, beside a node that has missed something"
)

var allFaults = []fault{crash, shortCrash, pause, justTooLong, isolate, cutPair, cutOneWay, cutGate, breakLink, slowLink, stall, fullDisk, purge, term, wipe, rot, logRot, killAll, standstill, sharedStall, oldStore, oldAll, oldVote}

// singleFaults are those of which any one may happen without a request missing its budget. Nodes that share a machine or a disk stand still together.
var singleFaults = []fault{crash, shortCrash, pause, justTooLong, isolate, cutPair, cutOneWay, cutGate, breakLink, stall, fullDisk, term, rot, standstill, sharedStall}

// aim is a moment in which a fault is likely, as seeds at random seldom hit it.
type aim string

const (
	flipped   aim = "a leader has flipped"
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

// quiet tells whether nothing is wrong: every replica is in sync in the newest view, and every store a member.
func (w *simWorld) quiet() bool {
	for _, n := range w.nodes {
		if !n.up || n.paused || n.leaving || n.disk.full {
			return false
		}
		for _, p := range n.pacts {
			if p != nil && slices.ContainsFunc(p.Shares, func(s Share) bool { return s.Proposed.Epoch > 0 }) {
				return false
			}
		}
		for s, r := range n.replicas {
			if r != nil && (!r.Known || !r.View.InSync || r.Lost != "" || n.disk.shards[s].rotten || r.View.Leader != n.number && !r.Compared || r.View != w.nodes[w.peerOf(n, s)].replicas[s].View || n.council.Book.Members[n.number] != n.member) {
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

// kill ends a process: what was not synced is lost, but for the write that was under way, which may have reached the disk.
func (w *simWorld) kill(n *simNode, down int64) {
	if !n.up {
		return
	}
	if n.disk.writing && w.chance(50) && !n.disk.full {
		group := n.disk.queue
		group = group[:min(len(group), 1+w.rng.IntN(len(group)))]
		for i := range group {
			n.disk.apply(w, n, &group[i])
		}
		w.noteBatch(n, group)
	}
	n.up, n.disk.queue = false, nil
	if w.chance(50) {
		n.lost = n.life
	}
	for _, m := range w.nodes {
		if s := m.links[n.number]; s != nil {
			w.sever(s)
		}
	}
	for peer, s := range n.links {
		if s != nil {
			s.broken = true
		}
		n.links[peer] = nil
	}
	life := n.life
	w.after(down, func() {
		if !n.up && n.life == life {
			w.boot(n.number)
		}
	})
}

// pause stops a process in its tracks; what comes in waits, and is done all at once when it goes on.
func (w *simWorld) pause(n *simNode, lasts int64) {
	if !n.up || n.paused {
		return
	}
	n.paused = true
	life := n.life
	w.after(lasts, func() {
		if n.life == life && n.paused {
			w.resume(n)
		}
	})
}

func (w *simWorld) resume(n *simNode) {
	n.paused = false
	backlog := n.backlog
	n.backlog = nil
	life := n.life
	for _, run := range backlog {
		if n.up && n.life == life {
			run()
		}
	}
}

// fill makes a disk refuse writes, and says so to the loops, as the shell does.
func (w *simWorld) fill(n *simNode, lasts int64) {
	life := n.life
	say := func(full bool, reason string) {
		n.disk.full = full
		for s := range n.replicas {
			if n.replicas[s] != nil {
				w.step(n, &Event{Kind: DiskSick, Shard: s, Reason: reason})
			}
		}
	}
	w.on(n, 0, func() {
		say(true, "full")
		w.after(lasts, func() {
			if n.up && n.life == life {
				n.disk.full = false
				w.on(n, 0, func() { say(false, "") })
			}
		})
	})
}

// term stops a node as an operator does: it hands its leaderships over, says good-bye, and goes.
func (w *simWorld) term(n *simNode, down int64) {
	if !n.up || n.leaving {
		return
	}
	n.leaving = true
	began, life := w.now, n.life
	w.on(n, 0, func() {
		for peer := range n.pacts {
			w.stepPact(n, peer, &PactEvent{Kind: LeaveAsked})
		}
	})
	var look func()
	look = func() {
		leads := false
		for s, r := range n.replicas {
			leads = leads || r != nil && r.Known && r.View.Leader == n.number && !n.pacts[w.peerOf(n, s)].PeerLeaves
		}
		if leads && w.now-began < 1500*ms {
			w.on(n, 5*ms, look)
			return
		}
		for s := range n.replicas {
			w.step(n, &Event{Kind: Retired, Shard: s})
		}
		for peer := range n.pacts {
			w.stepPact(n, peer, &PactEvent{Kind: GoodbyeAsked})
		}
		w.moment(leaving, n.number, (n.number+1+w.rng.IntN(len(w.nodes)-1))%len(w.nodes))
		linger := 3 * ms
		if w.chance(50) {
			linger = w.delay(150 * ms)
		}
		w.after(linger, func() {
			if n.life == life {
				w.kill(n, down)
			}
		})
	}
	w.on(n, 5*ms, look)
}

// wipe takes a node's folder away; it comes back as a new store.
func (w *simWorld) wipe(n *simNode, down int64) {
	w.kill(n, down)
	n.disk = newSimDisk(w.plan.layout, w.plan.slow[n.number])
	w.newStore(n)
}

// rot damages a replica's data: whatever is read of it fails its checksum. It does so while all is well, or to a replica on which nothing rests.
func (w *simWorld) rot(n *simNode) {
	held := []int{}
	for s, r := range n.replicas {
		if r == nil {
			continue
		}
		peer := w.nodes[w.peerOf(n, s)]
		spare := n.up && r.Known && r.View.Leader != n.number && !r.View.InSync && peer.replicas[s].Known && peer.replicas[s].View.Leader == peer.number && !peer.disk.shards[s].rotten
		if spare || w.quiet() {
			held = append(held, s)
		}
	}
	if len(held) == 0 {
		return
	}
	s := held[w.rng.IntN(len(held))]
	w.seen["damaged: a replica"]++
	w.note("shard %d of node %d is damaged", s, n.number)
	n.disk.shards[s].rotten = true
	for id, r := range n.disk.shards[s].records {
		r.Name = "damaged"
		n.disk.shards[s].records[id] = r
	}
	late := 20 * ms // a read may find it before
	if w.chance(50) && !w.plan.single {
		late = 400 * ms
	}
	w.on(n, w.delay(late), func() { w.feelRot(n, s) })
}

// heal ends all faults.
func (w *simWorld) heal() {
	w.note("healing")
	w.mend()
	w.plan.lossy, w.plan.deaf, w.plan.mute, w.plan.late = 0, 0, 0, 2*ms
	for _, n := range w.nodes {
		if w.plan.unequal { // all are to have the same times from now on
			w.kill(n, 1)
		}
	}
	w.plan.unequal = false
	for _, n := range w.nodes {
		w.plan.slow[n.number], n.disk.slow = 2*ms, 2*ms
		clear(w.slow[n.number])
		if n.disk.full {
			w.fill(n, 1)
		}
		if n.paused {
			w.resume(n)
		}
		if !n.up {
			w.boot(n.number)
		}
		for s := range n.disk.shards {
			if n.disk.shards[s].rotten {
				w.feelRot(n, s)
			}
		}
	}
}
