package lease

import (
	"tandem/shard"
	"testing"
)

// TestWhoseDiskIsDistrusted: of a neighbour that can take over, nothing is asked once a slow write is done, and it is
// promised nothing, until the disk is trusted; but of one that was slow, too, that leaves or that is gone it makes no
// difference, nor where the neighbour is out of sync. A leader goes on alone at once when its neighbour is gone.
func TestWhoseDiskIsDistrusted(t *testing.T) {
	barrier := []Event{{Kind: NoticeGiven, Notice: shard.AckRequired, Epoch: 2, Now: 1000 * ms}}
	caught := Event{Kind: NoticeGiven, Notice: shard.CaughtUp, Epoch: 2, Now: 1200 * ms}
	for name, c := range map[string]struct {
		view      shard.View
		before    []Event
		unhealthy bool // the peer was, while this node's disk was slow
		leaves    bool
		gone      bool // since before the write was done
		part      bool // this node asks for a lease
		promises  bool
		alone     bool // it proposes to lead alone
		lets      bool // a backup that has caught up is let in
	}{
		"the neighbour is well":            {view: inSync},
		"the neighbour was slow, too":      {view: inSync, unhealthy: true, part: true, promises: true},
		"the neighbour leaves":             {view: inSync, leaves: true, part: true, promises: true},
		"the neighbour is gone":            {view: inSync, gone: true, alone: true},
		"the neighbour is out of sync":     {view: alone, part: true},
		"the neighbour is to be let in":    {view: alone, before: barrier, part: true},
		"both were slow, and it is let in": {view: alone, before: barrier, unhealthy: true, part: true, lets: true},
	} {
		ping := Event{Kind: PingReceived, Store: 7, Start: 1, At: 1190 * ms, Lease: 100 * ms, Unhealthy: c.unhealthy,
			Leaving: c.leaves, Claims: []Claim{{0, c.view.Epoch}}, Now: 1190 * ms}
		pong := Event{Kind: PongReceived, Store: 7, At: 1190 * ms, Now: 1190 * ms}
		if !c.view.InSync {
			pong.Claims = []Claim{{0, c.view.Epoch}}
		}
		p, _ := stepAll(sessionAt(0, c.view, 1000*ms), append(c.before,
			Event{Kind: DiskChanged, Disk: shard.DiskSlow, Now: 1000 * ms})...)
		p, _ = stepAll(p, ticksOf(1005*ms, 1185*ms)...)
		if !c.gone {
			p, _ = stepAll(p, ping, pong)
		}
		p, _ = stepAll(p, Event{Kind: DiskChanged, Disk: shard.DiskDistrusted, Now: 1195 * ms})
		var out []Effect
		ping.At, ping.Unhealthy, ping.Now = 1196*ms, false, 1196*ms
		if !c.gone {
			p, out = stepAll(p, ping)
			_, pong := countEffects(out, SendPong)
			if len(pong.Claims) > 0 != c.promises {
				t.Errorf("%s: promises %+v", name, pong)
			}
		}
		p, out = stepAll(p, Event{Kind: Ticked, Now: 1199 * ms}, caught)
		n, asked := countEffects(out, Propose)
		if c.alone != (n > 0 && !asked.Proposals[0].View.InSync) || c.lets != (n > 0 && asked.Proposals[0].View.InSync) {
			t.Errorf("%s: proposes %+v", name, asked)
		}
		_, out = stepAll(p, Event{Kind: Ticked, Now: 1210 * ms})
		if _, fx := countEffects(out, SendPing); len(fx.Claims) > 0 != c.part {
			t.Errorf("%s: asks %+v", name, fx)
		}
	}
}

// TestWhatAStallOfBothDisksOwes: a "stored" that is owed when both go on gets a moment to come.
func TestWhatAStallOfBothDisksOwes(t *testing.T) {
	ping := Event{Kind: PingReceived, Store: 7, Start: 1, At: 1100 * ms, Lease: 100 * ms, Unhealthy: true,
		Now: 1100 * ms}
	owed := Event{Kind: NoticeGiven, Notice: shard.BackupTimedOut, Epoch: 1, Now: 1101 * ms}
	p, out := stepAll(sessionAt(0, inSync, 1000*ms), Event{Kind: DiskChanged, Disk: shard.DiskSlow, Now: 1000 * ms}, ping,
		Event{Kind: DiskChanged, Disk: shard.DiskDistrusted, Now: 1100 * ms}, owed)
	if n, _ := countEffects(out, Propose); n != 0 {
		t.Errorf("at once it goes on alone: %+v", out)
	}
	p.Shares[0].Heard, p.LastHeard, owed.Now = 1140*ms, 1140*ms, 1145*ms
	if _, out = stepAll(p, owed); len(out) == 0 {
		t.Error("it says nothing")
	} else if n, _ := countEffects(out, Propose); n != 1 {
		t.Errorf("it never goes on alone: %+v", out)
	}
}
