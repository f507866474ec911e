package sim

import (
	"tandem/shard/lease"
	"tandem/shard/replica"
)

// kill ends a process: what was not synced is lost, but for the write that was under way, which may have reached the
// disk.
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
		n.lost = n.process
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
	process := n.process
	w.after(down, func() {
		if !n.up && n.process == process {
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
	process := n.process
	w.after(lasts, func() {
		if n.process == process && n.paused {
			w.resume(n)
		}
	})
}

func (w *simWorld) resume(n *simNode) {
	n.paused = false
	backlog := n.backlog
	n.backlog = nil
	process := n.process
	for _, run := range backlog {
		if n.up && n.process == process {
			run()
		}
	}
}

// fill makes a disk refuse writes, and says so to the loops, as the shell does.
func (w *simWorld) fill(n *simNode, lasts int64) {
	process := n.process
	say := func(full bool, reason string) {
		n.disk.full = full
		for s := range n.replicas {
			if n.replicas[s] != nil {
				w.step(n, &replica.Event{Kind: replica.DiskRefuses, Shard: s, Reason: reason})
			}
		}
	}
	w.on(n, 0, func() {
		say(true, "full")
		w.after(lasts, func() {
			if n.up && n.process == process {
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
	began, process := w.now, n.process
	w.on(n, 0, func() {
		for peer := range n.sessions {
			w.stepSession(n, peer, &lease.Event{Kind: lease.LeaveAsked})
		}
	})
	var look func()
	look = func() {
		leads := false
		for s, r := range n.replicas {
			leads = leads || r != nil && r.Known && r.View.Leader == n.number && !n.sessions[w.peerOf(n, s)].PeerLeaves
		}
		if leads && w.now-began < 1500*ms {
			w.on(n, 5*ms, look)
			return
		}
		for s := range n.replicas {
			w.step(n, &replica.Event{Kind: replica.NodeStopping, Shard: s})
		}
		for peer := range n.sessions {
			w.stepSession(n, peer, &lease.Event{Kind: lease.GoodbyeAsked})
		}
		w.moment(leaving, n.number, (n.number+1+w.rng.IntN(len(w.nodes)-1))%len(w.nodes))
		linger := 3 * ms
		if w.chance(50) {
			linger = w.delay(150 * ms)
		}
		w.after(linger, func() {
			if n.process == process {
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

// rot damages a replica's data: whatever is read of it fails its checksum. It does so while all is well, or to a
// replica on which nothing rests.
func (w *simWorld) rot(n *simNode) {
	held := []int{}
	for s, r := range n.replicas {
		if r == nil {
			continue
		}
		peer := w.nodes[w.peerOf(n, s)]
		spare := n.up && r.Known && r.View.Leader != n.number && !r.View.InSync && peer.replicas[s].Known &&
			peer.replicas[s].View.Leader == peer.number && !peer.disk.shards[s].rotten
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
