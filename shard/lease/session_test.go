package lease

import (
	"tandem/shard"
	"testing"
)

const ms = int64(1000 * 1000)

var (
	inSync = shard.View{Epoch: 1, Leader: 0, Backup: 1, InSync: true}
	alone  = shard.View{Epoch: 2, Leader: 0, Backup: 1}
)

// sessionAt returns the lease session of node 0 with node 1 over shard 0 of a cluster of three, that began at 0 and
// knows a view.
func sessionAt(self int, v shard.View, now int64) Session {
	p := New(shard.Layout{Nodes: 3, Shards: 3}, self, 1-self, []int{0}, nil, 1, 0, DefaultTiming())
	p, _ = Step(p, &Event{Kind: Ticked, Now: now}, nil)
	p, _ = Step(p, &Event{Kind: ViewsLearnt, Now: now, Store: 7, Views: []shard.View{{Epoch: v.Epoch - 1}, {}, {}}}, nil)
	p, _ = Step(p, &Event{Kind: ViewsLearnt, Now: now, Store: 7, Views: []shard.View{v, {}, {}}}, nil)
	p.Shares[0].Restarted = false
	return p
}

func stepAll(p Session, events ...Event) (Session, []Effect) {
	var out []Effect
	for i := range events {
		p, out = Step(p, &events[i], out)
	}
	return p, out
}

// ticks are what a lease session that is not paused gets every 5 ms.
func ticksOf(from, to int64) (list []Event) {
	for now := from; now <= to; now += 5 * ms {
		list = append(list, Event{Kind: Ticked, Now: now})
	}
	return list
}

func countEffects(effects []Effect, kind EffectKind) (n int, last Effect) {
	for _, fx := range effects {
		if fx.Kind == kind {
			n, last = n+1, fx
		}
	}
	return n, last
}

// Good-bye is a ping of the next start: nothing is promised or asked for after it, and what the peer had promised is
// free at once.
func TestGoodbyeFreesThePeer(t *testing.T) {
	leaver, out := stepAll(sessionAt(1, inSync, 1000*ms), Event{Kind: GoodbyeAsked, Now: 1000 * ms})
	_, bye := countEffects(out, SendPing)
	if bye.Start != 2 {
		t.Fatalf("%+v", out)
	}
	_, out = stepAll(leaver, append(ticksOf(1005*ms, 1300*ms),
		Event{Kind: PingReceived, Store: 7, Start: 1, At: 1, Lease: 100 * ms, Claims: []Claim{{0, 1}}, Now: 1300 * ms})...)
	if len(out) != 0 {
		t.Errorf("after good-bye: %+v", out)
	}
	stayer, _ := stepAll(sessionAt(0, inSync, 1000*ms),
		Event{Kind: PingReceived, Store: 7, Start: 1, At: 1, Lease: 100 * ms, Claims: []Claim{{0, 1}}, Now: 1000 * ms})
	_, out = stepAll(stayer,
		Event{Kind: PingReceived, Store: 7, Start: bye.Start, At: 2, Lease: bye.Lease, Now: 1001 * ms},
		Event{Kind: ViewsLearnt, Store: 7, Now: 1002 * ms, Views: []shard.View{alone, {}, {}}})
	if n, told := countEffects(out, TellView); n != 1 || told.FreeFrom > 1002*ms {
		t.Errorf("the leader that stays is free from %d: %+v", told.FreeFrom, out)
	}
}

// A backup whose leader says that its former process is gone takes the shard at once (rule R9).
func TestBackupOfARestartedLeader(t *testing.T) {
	p, _ := stepAll(sessionAt(1, inSync, 1000*ms),
		Event{Kind: PingReceived, Store: 7, Start: 1, At: 1, Lease: 100 * ms, Claims: []Claim{{0, 1}}, Now: 1000 * ms})
	_, out := stepAll(p,
		Event{Kind: PingReceived, Store: 7, Start: 2, At: 2, Lease: 100 * ms, Claims: []Claim{{0, 1}}, Now: 1001 * ms},
		Event{Kind: Ticked, Now: 1002 * ms})
	_, pong := countEffects(out, SendPong)
	n, asked := countEffects(out, Propose)
	if len(pong.Claims) != 0 || n != 1 || asked.Proposals[0].View != (shard.View{Epoch: 2, Leader: 1, Backup: 0,
		InSync: false}) {
		t.Errorf("%+v", out)
	}
}

// A handing over that takes too long is called off.
func TestHandingOverIsCalledOff(t *testing.T) {
	p := sessionAt(0, inSync, 1000*ms)
	p, _ = stepAll(p, Event{Kind: PongReceived, Store: 7, At: 1000 * ms, Claims: []Claim{{0, 1}}, Now: 1001 * ms},
		Event{Kind: LeaveAsked, Now: 1002 * ms})
	p, out := stepAll(p, Event{Kind: Ticked, Now: 1005 * ms})
	if n, told := countEffects(out, TellDrain); n != 1 || told.Until == 0 {
		t.Fatalf("%+v", out)
	}
	p, out = stepAll(p, ticksOf(1010*ms, 1055*ms)...)
	if n, _ := countEffects(out, TellDrain); n != 0 {
		t.Errorf("called off too early: %+v", out)
	}
	p, out = stepAll(p, Event{Kind: Ticked, Now: 1060 * ms})
	if n, told := countEffects(out, TellDrain); n != 1 || told.Until != 0 {
		t.Errorf("not called off: %+v", out)
	}
	_, out = stepAll(p, Event{Kind: NoticeGiven, Notice: shard.Drained, Epoch: 1, Now: 1061 * ms})
	if n, _ := countEffects(out, Propose); n != 0 {
		t.Errorf("handed over after it was called off: %+v", out)
	}
}

// Who has handed a leadership over does not take it back before the new leader has had the time to ask for a promise,
// and not at all while it is leaving.
func TestWhatIsHandedOverIsNotTakenBack(t *testing.T) {
	handed := shard.View{Epoch: 2, Leader: 1, Backup: 0, InSync: true}
	for _, leaves := range []bool{false, true} {
		p, _ := stepAll(sessionAt(0, inSync, 1000*ms), ticksOf(1005*ms, 1040*ms)...)
		p, _ = stepAll(p, Event{Kind: PongReceived, Store: 7, At: 1040 * ms, Claims: []Claim{{0, 1}}, Now: 1041 * ms})
		p.LastTick, p.Shares[0].Unverified = 1499*ms, false
		learnt := []Event{{Kind: ViewsLearnt, Store: 7, Now: 1500 * ms, Views: []shard.View{handed, {}, {}}}}
		if leaves {
			learnt = append(learnt, Event{Kind: LeaveAsked, Now: 1500 * ms})
		}
		p, out := stepAll(p, append(learnt, ticksOf(1501*ms, 1615*ms)...)...)
		if n, _ := countEffects(out, Propose); n != 0 {
			t.Errorf("leaves %v: taken back at once", leaves)
		}
		_, out = stepAll(p, ticksOf(1620*ms, 3000*ms)...)
		if n, _ := countEffects(out, Propose); leaves != (n == 0) {
			t.Errorf("leaves %v: proposed %d times after a grace in which the new leader said nothing", leaves, n)
		}
	}
}

// A leader that goes on after a pause waits for answers before it takes its backup for silent; one that was not paused
// does not.
func TestPauseIsNoSilence(t *testing.T) {
	p := sessionAt(0, inSync, 1000*ms)
	p, _ = stepAll(p, Event{Kind: PongReceived, Store: 7, At: 1000 * ms, Claims: []Claim{{0, 1}}, Now: 1001 * ms},
		Event{Kind: Ticked, Now: 1001 * ms})
	paused, out := stepAll(p, Event{Kind: Ticked, Now: 1120 * ms})
	if n, _ := countEffects(out, Propose); n != 0 {
		t.Errorf("alone at once: %+v", out)
	}
	_, out = stepAll(paused, ticksOf(1125*ms, 1170*ms)...)
	if n, _ := countEffects(out, Propose); n != 1 {
		t.Errorf("still silent: %+v", out)
	}
	_, out = stepAll(sessionAt(0, inSync, 1000*ms), ticksOf(1005*ms, 1085*ms)...)
	if n, _ := countEffects(out, Propose); n != 1 {
		t.Errorf("silent all the time: %+v", out)
	}
}

// A backup that goes on after a pause gives the leader's pings a moment before it takes the shard; a leader that says
// nothing loses it.
func TestBackupAfterAPause(t *testing.T) {
	ping := func(now int64) Event {
		return Event{Kind: PingReceived, Store: 7, Start: 1, At: now, Lease: 100 * ms, Claims: []Claim{{0, 1}}, Now: now}
	}
	wake := []Event{ping(1000 * ms), {Kind: Ticked, Now: 1001 * ms}, {Kind: Ticked, Now: 1200 * ms},
		{Kind: Ticked, Now: 1205 * ms}}
	p, out := stepAll(sessionAt(1, inSync, 1000*ms), wake...)
	if n, _ := countEffects(out, Propose); n != 0 {
		t.Errorf("taken at once: %+v", out)
	}
	_, out = stepAll(p, append([]Event{ping(1210 * ms)}, ticksOf(1215*ms, 1300*ms)...)...)
	if n, _ := countEffects(out, Propose); n != 0 {
		t.Errorf("taken from a leader that is there: %+v", out)
	}
	p, _ = stepAll(sessionAt(1, inSync, 1000*ms), wake...)
	_, out = stepAll(p, ticksOf(1210*ms, 1225*ms)...)
	if n, _ := countEffects(out, Propose); n != 1 {
		t.Errorf("not taken: %+v", out)
	}
	p, _ = stepAll(sessionAt(1, inSync, 1000*ms), wake[:3]...)
	_, out = stepAll(p, Event{Kind: Ticked, Now: 1260 * ms}) // always late, but no ping has come since
	if n, _ := countEffects(out, Propose); n != 1 {
		t.Errorf("not taken between pauses: %+v", out)
	}
}

// A backup that is damaged while it is not in sync asks for a new epoch, once.
func TestDamagedBackupAsksForAnEpoch(t *testing.T) {
	_, out := stepAll(sessionAt(1, alone, 1000*ms), Event{Kind: NoticeGiven, Notice: shard.CopyDamaged, Epoch: 2,
		Now: 1000 * ms}, Event{Kind: Ticked, Now: 1001 * ms}, Event{Kind: Ticked, Now: 1002 * ms})
	if n, asked := countEffects(out, Propose); n != 1 || asked.Proposals[0] != (shard.Proposal{Shard: 0, Epoch: 2,
		View: shard.View{Epoch: 3, Leader: 0, Backup: 1, InSync: false}}) {
		t.Errorf("%+v", out)
	}
}

// A process promises nothing that its former process may have promised otherwise: its first view is free a grace after
// its start (rule R5).
func TestStartIsTakenForAPromise(t *testing.T) {
	p := New(shard.Layout{Nodes: 3, Shards: 3}, 1, 0, []int{0}, nil, 2, 500*ms, DefaultTiming())
	p, out := stepAll(p, Event{Kind: ViewsLearnt, Store: 7, Now: 510 * ms, Views: []shard.View{inSync, {}, {}}})
	if n, told := countEffects(out, TellView); n != 1 || told.FreeFrom != 620*ms {
		t.Errorf("%+v", out)
	}
	p, out = stepAll(p, ticksOf(515*ms, 630*ms)...)
	if n, _ := countEffects(out, Propose); n != 0 {
		t.Errorf("it takes over before: %+v", out)
	}
	_, out = stepAll(p, Event{Kind: Ticked, Now: 631 * ms})
	if n, _ := countEffects(out, Propose); n != 1 {
		t.Errorf("it does not take over after: %+v", out)
	}
}

// A process that is older than a grace when it learns its views has heeded no ping before: it gives the leader a grace
// to be heard (rule R24).
func TestViewsThatComeLateGiveTheLeaderTime(t *testing.T) {
	p := New(shard.Layout{Nodes: 3, Shards: 3}, 1, 0, []int{0}, []shard.Position{{Epoch: 1, LSN: 9}, {}, {}}, 2, 500*ms,
		DefaultTiming())
	p, _ = stepAll(p, ticksOf(505*ms, 895*ms)...)
	p, _ = stepAll(p, Event{Kind: ViewsLearnt, Store: 7, Now: 900 * ms, Views: []shard.View{inSync, {}, {}}})
	for now := 905 * ms; now < 1300*ms; now += 5 * ms {
		var out []Effect
		p, out = stepAll(p, Event{Kind: Ticked, Now: now})
		if n, _ := countEffects(out, Propose); n != 0 {
			t.Fatalf("it takes over at %d ms, though its leader is there", now/ms)
		}
		if now >= 920*ms && now%(10*ms) == 0 {
			p, _ = stepAll(p, Event{Kind: PingReceived, Store: 7, Start: 4, At: now, Lease: 100 * ms,
				LastEntries: []LastEntry{{0, 1, shard.Position{Epoch: 1, LSN: 10}}}, Now: now})
		}
	}
}

// Pings and answers of another store are dropped (rule R13).
func TestAnotherStoreIsNotHeard(t *testing.T) {
	for _, e := range []Event{
		{Kind: PingReceived, Store: 8, Start: 1, At: 1, Lease: 100 * ms, Claims: []Claim{{0, 1}}, Now: 1001 * ms},
		{Kind: PongReceived, Store: 8, At: 1000 * ms, Claims: []Claim{{0, 1}}, Now: 1001 * ms},
	} {
		p, _ := stepAll(sessionAt(0, inSync, 1000*ms), Event{Kind: Ticked, Now: 1000 * ms})
		if next, out := stepAll(p, e); len(out) != 0 || next.LastHeard != p.LastHeard {
			t.Errorf("%+v is answered: %+v", e, out)
		}
	}
}

// A node whose disk is unhealthy neither asks nor promises, but says how it is; two that are unhealthy together, as
// when they share a disk, go on as if they were well, since nobody could take over from them (rule R12).
func TestUnhealthyNodesTogether(t *testing.T) {
	ping := Event{Kind: PingReceived, Store: 7, Start: 1, At: 1000 * ms, Lease: 100 * ms, Claims: []Claim{{0, 1}},
		Now: 1000 * ms}
	p, out := stepAll(sessionAt(0, inSync, 1000*ms), Event{Kind: DiskChanged, Disk: shard.DiskSlow, Now: 1000 * ms}, ping)
	if n, fx := countEffects(out, SendPing); n != 1 || !fx.Unhealthy || len(fx.Claims) > 0 {
		t.Fatalf("it turns unhealthy: %+v", out)
	}
	if n, _ := countEffects(out, SendPong); n != 0 {
		t.Fatalf("alone it promises: %+v", out)
	}
	ping.Unhealthy, ping.At, ping.Now = true, 1010*ms, 1010*ms
	p, out = stepAll(p, ping, Event{Kind: NoticeGiven, Notice: shard.BackupTimedOut, Epoch: 1, Now: 1010 * ms},
		Event{Kind: Ticked, Now: 1020 * ms})
	_, pong := countEffects(out, SendPong)
	_, asks := countEffects(out, SendPing)
	if len(pong.Claims) != 1 || len(asks.Claims) != 1 || !asks.Unhealthy {
		t.Errorf("both are unhealthy: %+v", out)
	}
	if n, _ := countEffects(out, Propose); n != 0 {
		t.Errorf("it blames a backup that waits for the disk as it does: %+v", out)
	}
	ping.Unhealthy, ping.At, ping.Now = false, 1015*ms, 1025*ms // a ping that is older than the newest would not count
	p, out = stepAll(p, ping)
	if n, _ := countEffects(out, SendPong); n != 0 {
		t.Errorf("the peer is well again: %+v", out)
	}
	_, out = stepAll(p, append([]Event{{Kind: DiskChanged, Now: 1150 * ms}}, ticksOf(1150*ms, 1180*ms)...)...)
	if n, _ := countEffects(out, Propose); n != 0 {
		t.Errorf("well again, it takes its own silence for the peer's: %+v", out)
	}
	if n, fx := countEffects(out, SendPing); n == 0 || fx.Unhealthy || len(fx.Claims) != 1 {
		t.Errorf("well again: %+v", out)
	}
}

// Nothing is handed to a neighbour that is about to stop, neither by a node that is leaving too nor because placement
// wants it there.
func TestNothingIsHandedToWhoLeaves(t *testing.T) {
	led := shard.View{Epoch: 2, Leader: 1, Backup: 0, InSync: true} // placement wants node 0
	for name, c := range map[string]struct{ leaves, peerLeaves, handed bool }{
		"placement wants it": {false, false, true}, "the peer leaves": {false, true, false},
		"this node leaves": {true, false, true}, "both leave": {true, true, false},
	} {
		p := sessionAt(1, led, 1000*ms)
		pong := Event{Kind: PongReceived, Store: 7, At: 1000 * ms, Claims: []Claim{{0, 2}}, Now: 1000 * ms}
		ping := Event{Kind: PingReceived, Store: 7, Start: 1, At: 1000 * ms, Lease: 100 * ms, Leaving: c.peerLeaves,
			Now: 1000 * ms}
		p, _ = stepAll(p, pong, ping)
		if c.leaves {
			p, _ = stepAll(p, Event{Kind: LeaveAsked, Now: 1000 * ms})
		}
		p.Timing.Silent = 1 << 40 // no answers are wanted here
		_, out := stepAll(p, ticksOf(1005*ms, 2100*ms)...)
		if n, _ := countEffects(out, TellDrain); n > 0 != c.handed {
			t.Errorf("%s: %d times", name, n)
		}
	}
}

// What a neighbour's process has said of itself counts no longer once another store has taken its place, and that it
// leaves no longer once the connection to it broke: who is there then is waited for by a node that leaves.
func TestWhatAFormerProcessSaidIsForgotten(t *testing.T) {
	said := Event{Kind: PingReceived, Store: 7, Start: 9, At: 5000 * ms, Lease: 1 << 40, Unhealthy: true, Leaving: true,
		Now: 1000 * ms}
	p, _ := stepAll(sessionAt(0, inSync, 1000*ms), said)
	if !p.PeerLeaves || !p.PeerUnhealthy || p.PeerStart != 9 || p.Uncovered == 0 {
		t.Fatalf("%+v", p)
	}
	other, _ := stepAll(p, Event{Kind: ViewsLearnt, Store: 8, Now: 1001 * ms, Views: []shard.View{inSync, {}, {}}})
	if other.PeerLeaves || other.PeerUnhealthy || other.PeerStart != 0 || other.PeerAt != 0 || other.Pinged != 0 ||
		other.Uncovered != 0 {
		t.Errorf("of another store: %+v", other)
	}
	p, _ = stepAll(sessionAt(0, inSync, 1000*ms), said, Event{Kind: LinkBroken, Now: 1002 * ms})
	if p.PeerLeaves || p.PeerStart != 9 {
		t.Errorf("the connection broke: %+v", p)
	}
	said.At, said.Now = 5001*ms, 1003*ms
	if p, _ = stepAll(p, said); !p.PeerLeaves {
		t.Error("it says again that it leaves, and is not heard")
	}
}

// TestALeaseThatTheGraceDoesNotCover is not promised, and that is said once; one that it covers is. Who restarts with
// other times is judged by these.
func TestALeaseThatTheGraceDoesNotCover(t *testing.T) {
	p, noted := sessionAt(1, shard.View{Epoch: 1, Leader: 0, Backup: 1, InSync: true}, 1000*ms), 0
	for i, c := range []struct {
		process, lease int64
		promised       bool
		notes          int // so far
	}{{1, 100 * ms, true, 0}, {1, 109 * ms, true, 0}, {1, 110 * ms, false, 1}, {1, 110 * ms, false, 1},
		{2, 1000 * ms, false, 2}, {2, 0, false, 3}, {2, 1<<63 - 1, false, 4}, {3, 100 * ms, true, 4},
		{3, 110 * ms, false, 5}} {
		p.Shares[0].LeaderRestarted = false // what a new process of the leader means is another rule's
		now := 1000*ms + int64(i+1)*ms
		var out []Effect
		p, out = Step(p, &Event{Kind: PingReceived, Store: 7, Start: c.process, At: now, Lease: c.lease, Claims: []Claim{{0, 1}},
			Now: now}, nil)
		claims, answered := 0, p.Shares[0].Answered == now
		for _, fx := range out {
			if fx.Kind == TooLong {
				noted++
			}
			if fx.Kind == SendPong {
				claims += len(fx.Claims)
			}
		}
		if c.process == 1 && (claims == 1) != c.promised || claims > 0 && !c.promised || answered != (claims == 1) ||
			noted != c.notes {
			t.Errorf("lease %d of process %d: %d promises, answered %v, %d notes; want %+v",
				c.lease, c.process, claims, answered, noted, c)
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
