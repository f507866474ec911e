package shard

// drawTiming returns the lease times of a process: those of the settings, or any that settings may have.
func (w *simWorld) drawTiming(n *simNode) PactTiming {
	t := DefaultPactTiming()
	if w.plan.unequal && !n.shortens && w.times.IntN(3) > 0 {
		t.Lease = (40 + w.times.Int64N(300)) * ms
		t.Grace = t.Lease + t.Lease/Drift + w.times.Int64N(100)*ms
	}
	return t
}

// waitsOut draws the lease times of a process that is about to start. If its store's former process kept its promises for longer it is started later, and
// true is returned.
func (w *simWorld) waitsOut(n *simNode) bool {
	n.timing = w.drawTiming(n)
	wait, life := WaitOut(n.disk.grace, n.timing.Grace), n.life
	if wait == 0 {
		n.disk.grace, n.shortens = n.timing.Grace, false
		return false
	}
	w.seen["lease times: a longer grace is waited out"]++
	w.after(int64(float64(wait)/n.rate), func() {
		if !n.up && n.life == life {
			n.disk.grace = 0 // over
			w.boot(n.number)
		}
	})
	return true
}

// shorten restarts a node with the times of the settings, just when one of its neighbours, which may have been promised more, is cut off from all nodes but not
// from the gateways. It comes again and again while the load lasts.
func (w *simWorld) shorten() {
	if w.calm {
		return
	}
	w.after(1+w.times.Int64N(300*ms), w.shorten)
	n := w.nodes[w.times.IntN(len(w.nodes))]
	a := w.nodes[(n.number+1+w.times.IntN(len(w.nodes)-1))%len(w.nodes)]
	if !n.up || n.timing.Grace <= DefaultPactTiming().Grace {
		return
	}
	w.seen["lease times: the grace is shortened beside a node that is cut off"]++
	for _, m := range w.nodes {
		w.cut[a.number][m.number], w.cut[m.number][a.number] = true, true
	}
	w.after(1+w.times.Int64N(700*ms), w.mend)
	n.shortens = true
	w.kill(n, 1+w.times.Int64N(20*ms))
}

// fit tells whether the lease times of two nodes go together, as their greetings say; blind runs have them connected all the same, as if the greetings did not.
func (w *simWorld) fit(n, p *simNode) bool {
	says := func(n *simNode) Greeting {
		return Greeting{Role: RoleNode, Name: string(rune('a' + n.number)), Names: []string{"a", "b", "c", "d", "e"}, Lease: n.timing.Lease, Grace: n.timing.Grace}
	}
	misfit, _ := Fits(says(n), says(p), "")
	return w.plan.blind || misfit == ""
}
