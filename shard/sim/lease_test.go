package sim

import (
	"tandem/shard"
	"tandem/shard/lease"
)

// drawTiming returns the lease times of a process: those of the settings, or any that settings may have.
func (w *simWorld) drawTiming(n *simNode) lease.Timing {
	t := lease.DefaultTiming()
	if w.plan.unequal && !n.shortens && w.times.IntN(3) > 0 {
		most := []int64{300, 900}[w.times.IntN(2)]
		t.Lease = (40 + w.times.Int64N(most)) * ms
		t.Grace = t.Lease + t.Lease/shard.Drift + w.times.Int64N(100)*ms
	}
	return t
}

// waitsOut draws the lease times of a process that is about to start. If its store's former process kept its promises
// for longer it is started later, and true is returned.
func (w *simWorld) waitsOut(n *simNode) bool {
	n.timing = w.drawTiming(n)
	wait, process := lease.WaitOut(n.disk.grace, n.timing.Grace), n.process
	if wait == 0 {
		n.disk.grace, n.shortens = n.timing.Grace, false
		return false
	}
	w.seen["lease times: a longer grace is waited out"]++
	w.after(int64(float64(wait)/n.rate), func() {
		if !n.up && n.process == process {
			n.disk.grace = 0 // over
			w.boot(n.number)
		}
	})
	return true
}

// shorten cuts a node off from all nodes but not from the gateways, just when a neighbour keeps its promises for less
// long than that node takes them: from now on, as it restarts with the times of the settings, or all along. It comes
// again and again while the load lasts.
func (w *simWorld) shorten() {
	if w.calm {
		return
	}
	w.after(1+w.times.Int64N(300*ms), w.shorten)
	n := w.nodes[w.times.IntN(len(w.nodes))]
	a := w.nodes[(n.number+1+w.times.IntN(len(w.nodes)-1))%len(w.nodes)]
	grace := lease.DefaultTiming().Grace
	lowers := n.timing.Grace > grace
	if !n.up || a.timing.Lease <= min(n.timing.Grace, grace) {
		return
	}
	w.seen["lease times: a node that takes promises for long is cut off"]++
	w.note("FAULT node %d, which takes promises for %d ms, is cut off beside node %d, which keeps them for %d ms",
		a.number, a.timing.Lease/ms, n.number, n.timing.Grace/ms)
	for _, m := range w.nodes {
		w.cut[a.number][m.number], w.cut[m.number][a.number] = true, true
	}
	w.after(1+w.times.Int64N(1200*ms), w.mend)
	if lowers {
		w.seen["lease times: a grace is shortened"]++
		n.shortens = true
		w.kill(n, 1+w.times.Int64N(20*ms))
	}
}

// fit tells whether the lease times of two nodes go together, as their greetings say; blind runs have them connected
// all the same, as if the greetings did not.
func (w *simWorld) fit(n, p *simNode) bool {
	says := func(n *simNode) shard.Greeting {
		return shard.Greeting{Role: shard.RoleNode, Name: string(rune('a' + n.number)), Names: []string{"a", "b", "c", "d",
			"e"},
			Lease: n.timing.Lease, Grace: n.timing.Grace}
	}
	misfit, _ := shard.Fits(says(n), says(p), "")
	return w.plan.blind || misfit == ""
}
