package lease

import (
	"tandem/shard"
	"testing"
)

// TestTicksAndPingsGoByTheBeat: a lease session to which nothing can come due pings and is ticked at each beat of its
// clock, however late the tick before was; one to which something can is ticked in between, too.
func TestTicksAndPingsGoByTheBeat(t *testing.T) {
	p := sessionAt(0, inSync, 1000*ms)
	for _, c := range []struct{ now, after, pings int64 }{{1000, 10, 0}, {1013, 7, 1}, {1020, 10, 1}, {1029, 1, 0}, {1031, 9, 1},
		{1041, 4, 1}, {1045, 5, 0}, {1050, 5, 1}} { // the last answer is of 1,000 ms
		var out []Effect
		p, out = stepAll(p, Event{Kind: Ticked, Now: c.now * ms})
		if n, _ := countEffects(out, SendPing); int64(n) != c.pings || TickAfter(&p, c.now*ms) != c.after*ms {
			t.Errorf("at %d ms: %d pings, the next tick after %d", c.now, n, TickAfter(&p, c.now*ms))
		}
	}
	pong := Event{Kind: PongReceived, Store: 7, At: 1050 * ms, Claims: []Claim{{0, 1}}, Now: 1051 * ms}
	for name, c := range map[string]struct {
		self  int
		view  shard.View
		event Event
		after int64
	}{
		"a leader that was answered": {0, inSync, pong, 9},
		"a leader alone":             {0, alone, Event{Kind: NoticeGiven}, 9},
		"a backup that has promised": {1, inSync, Event{Kind: PingReceived, Store: 7, Start: 1, At: 1, Lease: 100 * ms,
			Claims: []Claim{{0, 1}}}, 9},
		"a backup that has not for long": {1, inSync, Event{Kind: RaftElected}, 4},
		"an open proposal":               {0, inSync, Event{Kind: NoticeGiven, Notice: shard.BackupTimedOut, Epoch: 1}, 4},
		"a slow disk":                    {0, alone, Event{Kind: DiskChanged, Disk: shard.DiskSlow}, 4},
		"a node that leaves":             {0, alone, Event{Kind: LeaveAsked}, 4},
		"a broken connection":            {0, inSync, Event{Kind: LinkBroken}, 4},
	} {
		from := 1000 * ms
		if name == "a backup that has not for long" {
			from = 980 * ms
		}
		p := sessionAt(c.self, c.view, from)
		c.event.Now = 1051 * ms
		if p, _ = stepAll(p, c.event); TickAfter(&p, 1051*ms) != c.after*ms {
			t.Errorf("%s: the next tick after %d ns", name, TickAfter(&p, 1051*ms))
		}
	}
}
