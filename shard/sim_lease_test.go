package shard

// drawTiming returns the lease times of a process: those of the settings, or any that settings may have.
func (w *simWorld) drawTiming() PactTiming {
	t := DefaultPactTiming()
	if w.plan.unequal && w.times.IntN(3) > 0 {
		t.Lease = (40 + w.times.Int64N(300)) * ms
		t.Grace = t.Lease + t.Lease/Drift + w.times.Int64N(100)*ms
	}
	return t
}

// waitsOut draws the lease times of a process that is about to start. If its store's former process kept its promises for longer it is started later, and
// true is returned.
func (w *simWorld) waitsOut(n *simNode) bool {
	n.timing = w.drawTiming()
	wait, life := WaitOut(n.disk.grace, n.timing.Grace), n.life
	if wait == 0 {
		n.disk.grace = n.timing.Grace
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

// fit tells whether the lease times of two nodes go together, as their greetings say; blind runs have them connected all the same, as if the greetings did not.
func (w *simWorld) fit(n, p *simNode) bool {
	says := func(n *simNode) Greeting {
		return Greeting{Role: RoleNode, Name: string(rune('a' + n.number)), Names: []string{"a", "b", "c", "d", "e"}, Lease: n.timing.Lease, Grace: n.timing.Grace}
	}
	misfit, _ := Fits(says(n), says(p), "")
	return w.plan.blind || misfit == ""
}
