package lease

import (
	"tandem/shard"
	"testing"
)

// A backup that has restarted together with its leader does not take over with a log that ends before the leader's,
// however long the leader asks for no lease; one whose log has all of it does, once it has been told. Who has not
// restarted needs no word (rule R24).
func TestBackupsThatRestartAskTheLeader(t *testing.T) {
	ping := func(at int64, ends ...LastEntry) Event {
		return Event{Kind: PingReceived, Store: 7, Start: 4, At: at, Lease: 100 * ms, LastEntries: ends, Now: at}
	}
	end := func(epoch, lsn uint64) LastEntry { return LastEntry{0, 1, shard.Position{Epoch: epoch, LSN: lsn}} }
	views := Event{Kind: ViewsLearnt, Store: 7, Now: 510 * ms, Views: []shard.View{inSync, {}, {}}}
	cases := []struct {
		name     string
		end      *LastEntry // what the leader tells from 700 ms on; nil: nothing
		silent   bool       // the leader says nothing at all
		compared bool       // the leader has compared the logs in this process
		by       int64      // ms: proposed by then, and not before the word
	}{
		{"level", &LastEntry{0, 1, shard.Position{Epoch: 1, LSN: 9}}, false, false, 710},
		{"the leader has less", &LastEntry{0, 1, shard.Position{Epoch: 1, LSN: 8}}, false, false, 710},
		{"behind in LSN", &LastEntry{0, 1, shard.Position{Epoch: 1, LSN: 10}}, false, false, 0},
		{"behind in epoch", &LastEntry{0, 1, shard.Position{Epoch: 2, LSN: 9}}, false, false, 0},
		{"told of another view", &LastEntry{0, 2, shard.Position{Epoch: 1, LSN: 9}}, false, false, 1520},
		{"never told", nil, false, false, 1520},
		{"no leader is there", nil, true, false, 640},
		{"compared before", nil, false, true, 640},
	}
	for _, c := range cases {
		p := New(shard.Layout{Nodes: 3, Shards: 3}, 1, 0, []int{0}, []shard.Position{{Epoch: 1, LSN: 9}, {}, {}}, 2, 500*ms,
			DefaultTiming())
		p, _ = stepAll(p, views)
		if c.compared {
			p, _ = stepAll(p, Event{Kind: NoticeGiven, Notice: shard.LogsCompared, Epoch: 1, Now: 511 * ms})
		}
		first, lacks := int64(0), 0
		for now := 515 * ms; now < 3000*ms && first == 0; now += 5 * ms {
			events := []Event{{Kind: Ticked, Now: now}}
			switch {
			case c.silent || now%(10*ms) != 0:
			case c.end != nil && now >= 700*ms:
				events = append(events, ping(now, *c.end))
			default:
				events = append(events, ping(now))
			}
			var out []Effect
			p, out = stepAll(p, events...)
			if n, _ := countEffects(out, Propose); n > 0 {
				first = now / ms
			}
			n, _ := countEffects(out, LogBehind)
			lacks += n
		}
		told := c.end != nil && c.by > 0 && c.by < 1000 && first < 700
		if (first > 0) != (c.by > 0) || first > c.by || told || (lacks > 0) != (c.by == 0) || lacks > 1 {
			t.Errorf("%s: proposed at %d ms, expected by %d; says %d times what it lacks", c.name, first, c.by, lacks)
		}
	}
	// learnt, and then backup all along
	p, _ := stepAll(sessionAt(1, inSync, 1000*ms),
		Event{Kind: PingReceived, Store: 7, Start: 1, At: 1, Lease: 100 * ms, Now: 1000 * ms})
	p.Shares[0].Unverified = false
	anew := Event{Kind: PingReceived, Store: 7, Start: 2, At: 2, Lease: 100 * ms, Now: 1001 * ms}
	anew.LastEntries = []LastEntry{end(5, 99)}
	if _, out := stepAll(p, anew, Event{Kind: Ticked, Now: 1002 * ms}); len(out) == 0 {
		t.Error("it says nothing")
	} else if n, _ := countEffects(out, Propose); n != 1 {
		t.Errorf("who has not restarted waits for a word: %+v", out)
	}
}

// A proposal that was made before the leader was heard is repeated no more once the leader has said what is lacking,
// and nothing is promised either.
func TestProposalsOfABackupThatLacksWrites(t *testing.T) {
	p := New(shard.Layout{Nodes: 3, Shards: 3}, 1, 0, []int{0}, []shard.Position{{Epoch: 1, LSN: 9}, {}, {}}, 2, 500*ms,
		DefaultTiming())
	p, _ = stepAll(p, Event{Kind: ViewsLearnt, Store: 7, Now: 510 * ms, Views: []shard.View{inSync, {}, {}}})
	p, out := stepAll(p, ticksOf(515*ms, 700*ms)...)
	if n, _ := countEffects(out, Propose); n < 2 {
		t.Fatalf("%+v", out)
	}
	ping := Event{Kind: PingReceived, Store: 7, Start: 4, At: 1,
		LastEntries: []LastEntry{{0, 1, shard.Position{Epoch: 1, LSN: 10}}},
		Claims:      []Claim{{0, 1}}, Now: 701 * ms}
	_, out = stepAll(p, append(append([]Event{ping}, ticksOf(705*ms, 1000*ms)...),
		Event{Kind: RaftElected, Now: 1001 * ms})...)
	if n, _ := countEffects(out, Propose); n > 0 {
		t.Errorf("it proposes on: %+v", out)
	}
	if n, pong := countEffects(out, SendPong); n != 1 || len(pong.Claims) > 0 {
		t.Errorf("it promises: %+v", out)
	}
}

// A leader that has restarted says where its logs end until it learns another view.
func TestRestartedLeaderTellsItsLogsEnd(t *testing.T) {
	p := New(shard.Layout{Nodes: 3, Shards: 3}, 0, 1, []int{0}, []shard.Position{{Epoch: 1, LSN: 9}, {}, {}}, 2, 500*ms,
		DefaultTiming())
	p, _ = stepAll(p, Event{Kind: ViewsLearnt, Store: 7, Now: 510 * ms, Views: []shard.View{inSync, {}, {}}})
	p, out := stepAll(p, ticksOf(515*ms, 545*ms)...)
	if n, fx := countEffects(out, SendPing); n == 0 || len(fx.LastEntries) != 1 ||
		fx.LastEntries[0] != (LastEntry{0, 1, shard.Position{Epoch: 1, LSN: 9}}) ||
		len(fx.Claims) > 0 {
		t.Errorf("%+v", out)
	}
	learnt := Event{Kind: ViewsLearnt, Store: 7, Now: 550 * ms,
		Views: []shard.View{{Epoch: 2, Leader: 1, Backup: 0, InSync: false}, {}, {}}}
	_, out = stepAll(p, append([]Event{learnt}, ticksOf(570*ms, 580*ms)...)...)
	if n, fx := countEffects(out, SendPing); n == 0 || len(fx.LastEntries) != 0 {
		t.Errorf("in another view: %+v", out)
	}
}
