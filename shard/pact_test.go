package shard

import "testing"

// pactAt returns the pact of node 0 with node 1 over shard 0 of a cluster of three, that began at 0 and knows a view.
func pactAt(self int, v View, now int64) Pact {
	p := NewPact(Layout{3, 3}, self, 1-self, []int{0}, nil, 1, 0, DefaultPactTiming())
	p, _ = StepPact(p, &PactEvent{Kind: PactTick, Now: now}, nil)
	p, _ = StepPact(p, &PactEvent{Kind: ViewsCame, Now: now, Store: 7, Views: []View{{Epoch: v.Epoch - 1}, {}, {}}}, nil)
	p, _ = StepPact(p, &PactEvent{Kind: ViewsCame, Now: now, Store: 7, Views: []View{v, {}, {}}}, nil)
	p.Shares[0].Fresh = false
	return p
}

func stepPacts(p Pact, events ...PactEvent) (Pact, []PactEffect) {
	var out []PactEffect
	for i := range events {
		p, out = StepPact(p, &events[i], out)
	}
	return p, out
}

// ticks are what a pact that is not paused gets every 5 ms.
func ticksOf(from, to int64) (list []PactEvent) {
	for now := from; now <= to; now += 5 * ms {
		list = append(list, PactEvent{Kind: PactTick, Now: now})
	}
	return list
}

func countPact(effects []PactEffect, kind PactEffectKind) (n int, last PactEffect) {
	for _, fx := range effects {
		if fx.Kind == kind {
			n, last = n+1, fx
		}
	}
	return n, last
}

// Good-bye is a ping of the next life: nothing is promised or asked for after it, and what the peer had promised is
// free at once.
func TestGoodbyeFreesThePeer(t *testing.T) {
	leaver, out := stepPacts(pactAt(1, inSync, 1000*ms), PactEvent{Kind: GoodbyeAsked, Now: 1000 * ms})
	_, bye := countPact(out, SendPing)
	if bye.Life != 2 {
		t.Fatalf("%+v", out)
	}
	_, out = stepPacts(leaver, append(ticksOf(1005*ms, 1300*ms),
		PactEvent{Kind: PingCame, Store: 7, Life: 1, At: 1, Lease: 100 * ms, Vows: []Vow{{0, 1}}, Now: 1300 * ms})...)
	if len(out) != 0 {
		t.Errorf("after good-bye: %+v", out)
	}
	stayer, _ := stepPacts(pactAt(0, inSync, 1000*ms),
		PactEvent{Kind: PingCame, Store: 7, Life: 1, At: 1, Lease: 100 * ms, Vows: []Vow{{0, 1}}, Now: 1000 * ms})
	_, out = stepPacts(stayer,
		PactEvent{Kind: PingCame, Store: 7, Life: bye.Life, At: 2, Lease: bye.Lease, Now: 1001 * ms},
		PactEvent{Kind: ViewsCame, Store: 7, Now: 1002 * ms, Views: []View{alone, {}, {}}})
	if n, told := countPact(out, TellView); n != 1 || told.FreeFrom > 1002*ms {
		t.Errorf("the leader that stays is free from %d: %+v", told.FreeFrom, out)
	}
}

// A backup whose leader says that its former life is over takes the shard at once (rule R9).
func TestBackupOfARestartedLeader(t *testing.T) {
	p, _ := stepPacts(pactAt(1, inSync, 1000*ms),
		PactEvent{Kind: PingCame, Store: 7, Life: 1, At: 1, Lease: 100 * ms, Vows: []Vow{{0, 1}}, Now: 1000 * ms})
	_, out := stepPacts(p,
		PactEvent{Kind: PingCame, Store: 7, Life: 2, At: 2, Lease: 100 * ms, Vows: []Vow{{0, 1}}, Now: 1001 * ms},
		PactEvent{Kind: PactTick, Now: 1002 * ms})
	_, pong := countPact(out, SendPong)
	n, asked := countPact(out, Propose)
	if len(pong.Vows) != 0 || n != 1 || asked.Proposals[0].View != (View{2, 1, 0, false}) {
		t.Errorf("%+v", out)
	}
}

// A handing over that takes too long is called off.
func TestHandingOverIsCalledOff(t *testing.T) {
	p := pactAt(0, inSync, 1000*ms)
	p, _ = stepPacts(p, PactEvent{Kind: PongCame, Store: 7, At: 1000 * ms, Vows: []Vow{{0, 1}}, Now: 1001 * ms},
		PactEvent{Kind: LeaveAsked, Now: 1002 * ms})
	p, out := stepPacts(p, PactEvent{Kind: PactTick, Now: 1005 * ms})
	if n, told := countPact(out, TellDrain); n != 1 || told.Until == 0 {
		t.Fatalf("%+v", out)
	}
	p, out = stepPacts(p, ticksOf(1010*ms, 1055*ms)...)
	if n, _ := countPact(out, TellDrain); n != 0 {
		t.Errorf("called off too early: %+v", out)
	}
	p, out = stepPacts(p, PactEvent{Kind: PactTick, Now: 1060 * ms})
	if n, told := countPact(out, TellDrain); n != 1 || told.Until != 0 {
		t.Errorf("not called off: %+v", out)
	}
	_, out = stepPacts(p, PactEvent{Kind: LeaderWants, Notice: Drained, Epoch: 1, Now: 1061 * ms})
	if n, _ := countPact(out, Propose); n != 0 {
		t.Errorf("handed over after it was called off: %+v", out)
	}
}

// Who has handed a leadership over does not take it back before the new leader has had the time to ask for a promise,
// and not at all while it is leaving.
func TestWhatIsHandedOverIsNotTakenBack(t *testing.T) {
	handed := View{Epoch: 2, Leader: 1, Backup: 0, InSync: true}
	for _, leaves := range []bool{false, true} {
		p, _ := stepPacts(pactAt(0, inSync, 1000*ms), ticksOf(1005*ms, 1040*ms)...)
		p, _ = stepPacts(p, PactEvent{Kind: PongCame, Store: 7, At: 1040 * ms, Vows: []Vow{{0, 1}}, Now: 1041 * ms})
		p.LastTick, p.Shares[0].Doubtful = 1499*ms, false
		learnt := []PactEvent{{Kind: ViewsCame, Store: 7, Now: 1500 * ms, Views: []View{handed, {}, {}}}}
		if leaves {
			learnt = append(learnt, PactEvent{Kind: LeaveAsked, Now: 1500 * ms})
		}
		p, out := stepPacts(p, append(learnt, ticksOf(1501*ms, 1615*ms)...)...)
		if n, _ := countPact(out, Propose); n != 0 {
			t.Errorf("leaves %v: taken back at once", leaves)
		}
		_, out = stepPacts(p, ticksOf(1620*ms, 3000*ms)...)
		if n, _ := countPact(out, Propose); leaves != (n == 0) {
			t.Errorf("leaves %v: proposed %d times after a grace in which the new leader said nothing", leaves, n)
		}
	}
}

// A leader that goes on after a pause waits for answers before it takes its backup for silent; one that was not paused
// does not.
func TestPauseIsNoSilence(t *testing.T) {
	p := pactAt(0, inSync, 1000*ms)
	p, _ = stepPacts(p, PactEvent{Kind: PongCame, Store: 7, At: 1000 * ms, Vows: []Vow{{0, 1}}, Now: 1001 * ms},
		PactEvent{Kind: PactTick, Now: 1001 * ms})
	paused, out := stepPacts(p, PactEvent{Kind: PactTick, Now: 1120 * ms})
	if n, _ := countPact(out, Propose); n != 0 {
		t.Errorf("alone at once: %+v", out)
	}
	_, out = stepPacts(paused, ticksOf(1125*ms, 1170*ms)...)
	if n, _ := countPact(out, Propose); n != 1 {
		t.Errorf("still silent: %+v", out)
	}
	_, out = stepPacts(pactAt(0, inSync, 1000*ms), ticksOf(1005*ms, 1085*ms)...)
	if n, _ := countPact(out, Propose); n != 1 {
		t.Errorf("silent all the time: %+v", out)
	}
}

// A backup that goes on after a pause gives the leader's pings a moment before it takes the shard; a leader that says
// nothing loses it.
func TestBackupAfterAPause(t *testing.T) {
	ping := func(now int64) PactEvent {
		return PactEvent{Kind: PingCame, Store: 7, Life: 1, At: now, Lease: 100 * ms, Vows: []Vow{{0, 1}}, Now: now}
	}
	wake := []PactEvent{ping(1000 * ms), {Kind: PactTick, Now: 1001 * ms}, {Kind: PactTick, Now: 1200 * ms},
		{Kind: PactTick, Now: 1205 * ms}}
	p, out := stepPacts(pactAt(1, inSync, 1000*ms), wake...)
	if n, _ := countPact(out, Propose); n != 0 {
		t.Errorf("taken at once: %+v", out)
	}
	_, out = stepPacts(p, append([]PactEvent{ping(1210 * ms)}, ticksOf(1215*ms, 1300*ms)...)...)
	if n, _ := countPact(out, Propose); n != 0 {
		t.Errorf("taken from a leader that is there: %+v", out)
	}
	p, _ = stepPacts(pactAt(1, inSync, 1000*ms), wake...)
	_, out = stepPacts(p, ticksOf(1210*ms, 1225*ms)...)
	if n, _ := countPact(out, Propose); n != 1 {
		t.Errorf("not taken: %+v", out)
	}
	p, _ = stepPacts(pactAt(1, inSync, 1000*ms), wake[:3]...)
	_, out = stepPacts(p, PactEvent{Kind: PactTick, Now: 1260 * ms}) // always late, but no ping has come since
	if n, _ := countPact(out, Propose); n != 1 {
		t.Errorf("not taken between pauses: %+v", out)
	}
}

// A backup that is damaged while it is not in sync asks for a new epoch, once.
func TestDamagedBackupAsksForAnEpoch(t *testing.T) {
	_, out := stepPacts(pactAt(1, alone, 1000*ms), PactEvent{Kind: LeaderWants, Notice: CopyDamaged, Epoch: 2,
		Now: 1000 * ms}, PactEvent{Kind: PactTick, Now: 1001 * ms}, PactEvent{Kind: PactTick, Now: 1002 * ms})
	if n, asked := countPact(out, Propose); n != 1 || asked.Proposals[0] != (Proposal{0, 2, View{3, 0, 1, false}}) {
		t.Errorf("%+v", out)
	}
}

// A process promises nothing that its former life may have promised otherwise: its first view is free a grace after its
// start (rule R5).
func TestStartIsTakenForAPromise(t *testing.T) {
	p := NewPact(Layout{3, 3}, 1, 0, []int{0}, nil, 2, 500*ms, DefaultPactTiming())
	p, out := stepPacts(p, PactEvent{Kind: ViewsCame, Store: 7, Now: 510 * ms, Views: []View{inSync, {}, {}}})
	if n, told := countPact(out, TellView); n != 1 || told.FreeFrom != 620*ms {
		t.Errorf("%+v", out)
	}
	p, out = stepPacts(p, ticksOf(515*ms, 630*ms)...)
	if n, _ := countPact(out, Propose); n != 0 {
		t.Errorf("it takes over before: %+v", out)
	}
	_, out = stepPacts(p, PactEvent{Kind: PactTick, Now: 631 * ms})
	if n, _ := countPact(out, Propose); n != 1 {
		t.Errorf("it does not take over after: %+v", out)
	}
}

// A process that is older than a grace when it learns its views has heeded no ping before: it gives the leader a grace
// to be heard (rule R24).
func TestViewsThatComeLateGiveTheLeaderTime(t *testing.T) {
	p := NewPact(Layout{3, 3}, 1, 0, []int{0}, []Position{{1, 9}, {}, {}}, 2, 500*ms, DefaultPactTiming())
	p, _ = stepPacts(p, ticksOf(505*ms, 895*ms)...)
	p, _ = stepPacts(p, PactEvent{Kind: ViewsCame, Store: 7, Now: 900 * ms, Views: []View{inSync, {}, {}}})
	for now := 905 * ms; now < 1300*ms; now += 5 * ms {
		var out []PactEffect
		p, out = stepPacts(p, PactEvent{Kind: PactTick, Now: now})
		if n, _ := countPact(out, Propose); n != 0 {
			t.Fatalf("it takes over at %d ms, though its leader is there", now/ms)
		}
		if now >= 920*ms && now%(10*ms) == 0 {
			p, _ = stepPacts(p, PactEvent{Kind: PingCame, Store: 7, Life: 4, At: now, Lease: 100 * ms,
				Ends: []ShardEnd{{0, 1, Position{1, 10}}}, Now: now})
		}
	}
}

// Pings and answers of another store are dropped (rule R13).
func TestAnotherStoreIsNotHeard(t *testing.T) {
	for _, e := range []PactEvent{
		{Kind: PingCame, Store: 8, Life: 1, At: 1, Lease: 100 * ms, Vows: []Vow{{0, 1}}, Now: 1001 * ms},
		{Kind: PongCame, Store: 8, At: 1000 * ms, Vows: []Vow{{0, 1}}, Now: 1001 * ms},
	} {
		p, _ := stepPacts(pactAt(0, inSync, 1000*ms), PactEvent{Kind: PactTick, Now: 1000 * ms})
		if next, out := stepPacts(p, e); len(out) != 0 || next.LastHeard != p.LastHeard {
			t.Errorf("%+v is answered: %+v", e, out)
		}
	}
}

// A node whose disk is sick neither asks nor promises, but says how it is; two that are sick together, as when they
// share a disk, go on as if they were well, since nobody could take over from them (rule R12).
func TestSickNodesTogether(t *testing.T) {
	ping := PactEvent{Kind: PingCame, Store: 7, Life: 1, At: 1000 * ms, Lease: 100 * ms, Vows: []Vow{{0, 1}},
		Now: 1000 * ms}
	p, out := stepPacts(pactAt(0, inSync, 1000*ms), PactEvent{Kind: DiskIs, Sick: true, Now: 1000 * ms}, ping)
	if n, fx := countPact(out, SendPing); n != 1 || !fx.Sick || len(fx.Vows) > 0 {
		t.Fatalf("it turns sick: %+v", out)
	}
	if n, _ := countPact(out, SendPong); n != 0 {
		t.Fatalf("alone it promises: %+v", out)
	}
	ping.Sick, ping.At, ping.Now = true, 1010*ms, 1010*ms
	p, out = stepPacts(p, ping, PactEvent{Kind: LeaderWants, Notice: BackupTimedOut, Epoch: 1, Now: 1010 * ms},
		PactEvent{Kind: PactTick, Now: 1020 * ms})
	_, pong := countPact(out, SendPong)
	_, asks := countPact(out, SendPing)
	if len(pong.Vows) != 1 || len(asks.Vows) != 1 || !asks.Sick {
		t.Errorf("both are sick: %+v", out)
	}
	if n, _ := countPact(out, Propose); n != 0 {
		t.Errorf("it blames a backup that waits for the disk as it does: %+v", out)
	}
	ping.Sick, ping.At, ping.Now = false, 1015*ms, 1025*ms // a ping that is older than the newest would not count
	p, out = stepPacts(p, ping)
	if n, _ := countPact(out, SendPong); n != 0 {
		t.Errorf("the peer is well again: %+v", out)
	}
	_, out = stepPacts(p, append([]PactEvent{{Kind: DiskIs, Now: 1150 * ms}}, ticksOf(1150*ms, 1180*ms)...)...)
	if n, _ := countPact(out, Propose); n != 0 {
		t.Errorf("well again, it takes its own silence for the peer's: %+v", out)
	}
	if n, fx := countPact(out, SendPing); n == 0 || fx.Sick || len(fx.Vows) != 1 {
		t.Errorf("well again: %+v", out)
	}
}

// Nothing is handed to a neighbour that is about to stop, neither by a node that is leaving too nor because placement
// wants it there.
func TestNothingIsHandedToWhoLeaves(t *testing.T) {
	led := View{Epoch: 2, Leader: 1, Backup: 0, InSync: true} // placement wants node 0
	for name, c := range map[string]struct{ leaves, peerLeaves, handed bool }{
		"placement wants it": {false, false, true}, "the peer leaves": {false, true, false},
		"this node leaves": {true, false, true}, "both leave": {true, true, false},
	} {
		p := pactAt(1, led, 1000*ms)
		pong := PactEvent{Kind: PongCame, Store: 7, At: 1000 * ms, Vows: []Vow{{0, 2}}, Now: 1000 * ms}
		ping := PactEvent{Kind: PingCame, Store: 7, Life: 1, At: 1000 * ms, Lease: 100 * ms, Leaving: c.peerLeaves,
			Now: 1000 * ms}
		p, _ = stepPacts(p, pong, ping)
		if c.leaves {
			p, _ = stepPacts(p, PactEvent{Kind: LeaveAsked, Now: 1000 * ms})
		}
		p.Timing.Silent = 1 << 40 // no answers are wanted here
		_, out := stepPacts(p, ticksOf(1005*ms, 2100*ms)...)
		if n, _ := countPact(out, TellDrain); n > 0 != c.handed {
			t.Errorf("%s: %d times", name, n)
		}
	}
}

// TestALeaseThatTheGraceDoesNotCover is not promised, and that is said once; one that it covers is. Who restarts with
// other times is judged by these.
func TestALeaseThatTheGraceDoesNotCover(t *testing.T) {
	p, noted := pactAt(1, View{1, 0, 1, true}, 1000*ms), 0
	for i, c := range []struct {
		life, lease int64
		promised    bool
		notes       int // so far
	}{{1, 100 * ms, true, 0}, {1, 109 * ms, true, 0}, {1, 110 * ms, false, 1}, {1, 110 * ms, false, 1},
		{2, 1000 * ms, false, 2}, {2, 0, false, 3}, {2, 1<<63 - 1, false, 4}, {3, 100 * ms, true, 4},
		{3, 110 * ms, false, 5}} {
		p.Shares[0].Orphan = false // what a new life of the leader means is another rule's
		now := 1000*ms + int64(i+1)*ms
		var out []PactEffect
		p, out = StepPact(p, &PactEvent{Kind: PingCame, Store: 7, Life: c.life, At: now, Lease: c.lease, Vows: []Vow{{0, 1}},
			Now: now}, nil)
		vows, answered := 0, p.Shares[0].Answered == now
		for _, fx := range out {
			if fx.Kind == TooLong {
				noted++
			}
			if fx.Kind == SendPong {
				vows += len(fx.Vows)
			}
		}
		if c.life == 1 && (vows == 1) != c.promised || vows > 0 && !c.promised || answered != (vows == 1) ||
			noted != c.notes {
			t.Errorf("lease %d of life %d: %d promises, answered %v, %d notes; want %+v",
				c.lease, c.life, vows, answered, noted, c)
		}
	}
}

// TestWhatAFormerProcessPromisedIsWaitedOut, if it kept its promises for longer than this one does.
func TestWhatAFormerProcessPromisedIsWaitedOut(t *testing.T) {
	for _, c := range [][3]int64{{0, 120, 0}, {120, 120, 0}, {120, 1200, 0}, {1200, 120, 1200}} {
		if got := WaitOut(c[0], c[1]); got != c[2] {
			t.Errorf("former %d, now %d: %d, want %d", c[0], c[1], got, c[2])
		}
	}
}
