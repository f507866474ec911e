package shard

import "testing"

// A backup that has restarted together with its leader does not take over with a log that ends before the leader's,
// however long the leader asks for no lease; one whose log has all of it does, once it has been told. Who has not
// restarted needs no word (rule R24).
func TestBackupsThatRestartAskTheLeader(t *testing.T) {
	ping := func(at int64, ends ...ShardEnd) PactEvent {
		return PactEvent{Kind: PingCame, Store: 7, Life: 4, At: at, Lease: 100 * ms, Ends: ends, Now: at}
	}
	end := func(epoch, lsn uint64) ShardEnd { return ShardEnd{0, 1, Position{epoch, lsn}} }
	views := PactEvent{Kind: ViewsCame, Store: 7, Now: 510 * ms, Views: []View{inSync, {}, {}}}
	cases := []struct {
		name     string
		end      *ShardEnd // what the leader tells from 700 ms on; nil: nothing
		silent   bool      // the leader says nothing at all
		compared bool      // the leader has compared the logs in this life
		by       int64     // ms: proposed by then, and not before the word
	}{
		{"level", &ShardEnd{0, 1, Position{1, 9}}, false, false, 710},
		{"the leader has less", &ShardEnd{0, 1, Position{1, 8}}, false, false, 710},
		{"behind in LSN", &ShardEnd{0, 1, Position{1, 10}}, false, false, 0},
		{"behind in epoch", &ShardEnd{0, 1, Position{2, 9}}, false, false, 0},
		{"told of another view", &ShardEnd{0, 2, Position{1, 9}}, false, false, 1520},
		{"never told", nil, false, false, 1520},
		{"no leader is there", nil, true, false, 640},
		{"compared before", nil, false, true, 640},
	}
	for _, c := range cases {
		p := NewPact(Layout{3, 3}, 1, 0, []int{0}, []Position{{1, 9}, {}, {}}, 2, 500*ms, DefaultPactTiming())
		p, _ = stepPacts(p, views)
		if c.compared {
			p, _ = stepPacts(p, PactEvent{Kind: LeaderWants, Notice: LogsCompared, Epoch: 1, Now: 511 * ms})
		}
		first, lacks := int64(0), 0
		for now := 515 * ms; now < 3000*ms && first == 0; now += 5 * ms {
			events := []PactEvent{{Kind: PactTick, Now: now}}
			switch {
			case c.silent || now%(10*ms) != 0:
			case c.end != nil && now >= 700*ms:
				events = append(events, ping(now, *c.end))
			default:
				events = append(events, ping(now))
			}
			var out []PactEffect
			p, out = stepPacts(p, events...)
			if n, _ := countPact(out, Propose); n > 0 {
				first = now / ms
			}
			n, _ := countPact(out, LogBehind)
			lacks += n
		}
		told := c.end != nil && c.by > 0 && c.by < 1000 && first < 700
		if (first > 0) != (c.by > 0) || first > c.by || told || (lacks > 0) != (c.by == 0) || lacks > 1 {
			t.Errorf("%s: proposed at %d ms, expected by %d; says %d times what it lacks", c.name, first, c.by, lacks)
		}
	}
	// learnt, and then backup all along
	p, _ := stepPacts(pactAt(1, inSync, 1000*ms),
		PactEvent{Kind: PingCame, Store: 7, Life: 1, At: 1, Lease: 100 * ms, Now: 1000 * ms})
	p.Shares[0].Doubtful = false
	anew := PactEvent{Kind: PingCame, Store: 7, Life: 2, At: 2, Lease: 100 * ms, Now: 1001 * ms}
	anew.Ends = []ShardEnd{end(5, 99)}
	if _, out := stepPacts(p, anew, PactEvent{Kind: PactTick, Now: 1002 * ms}); len(out) == 0 {
		t.Error("it says nothing")
	} else if n, _ := countPact(out, Propose); n != 1 {
		t.Errorf("who has not restarted waits for a word: %+v", out)
	}
}

// A proposal that was made before the leader was heard is repeated no more once the leader has said what is lacking,
// and nothing is promised either.
func TestProposalsOfABackupThatLacksWrites(t *testing.T) {
	p := NewPact(Layout{3, 3}, 1, 0, []int{0}, []Position{{1, 9}, {}, {}}, 2, 500*ms, DefaultPactTiming())
	p, _ = stepPacts(p, PactEvent{Kind: ViewsCame, Store: 7, Now: 510 * ms, Views: []View{inSync, {}, {}}})
	p, out := stepPacts(p, ticksOf(515*ms, 700*ms)...)
	if n, _ := countPact(out, Propose); n < 2 {
		t.Fatalf("%+v", out)
	}
	ping := PactEvent{Kind: PingCame, Store: 7, Life: 4, At: 1, Ends: []ShardEnd{{0, 1, Position{1, 10}}},
		Vows: []Vow{{0, 1}}, Now: 701 * ms}
	_, out = stepPacts(p, append(append([]PactEvent{ping}, ticksOf(705*ms, 1000*ms)...),
		PactEvent{Kind: RaftLeads, Now: 1001 * ms})...)
	if n, _ := countPact(out, Propose); n > 0 {
		t.Errorf("it proposes on: %+v", out)
	}
	if n, pong := countPact(out, SendPong); n != 1 || len(pong.Vows) > 0 {
		t.Errorf("it promises: %+v", out)
	}
}

// A leader that has restarted says where its logs end until it learns another view.
func TestRestartedLeaderTellsItsLogsEnd(t *testing.T) {
	p := NewPact(Layout{3, 3}, 0, 1, []int{0}, []Position{{1, 9}, {}, {}}, 2, 500*ms, DefaultPactTiming())
	p, _ = stepPacts(p, PactEvent{Kind: ViewsCame, Store: 7, Now: 510 * ms, Views: []View{inSync, {}, {}}})
	p, out := stepPacts(p, ticksOf(515*ms, 545*ms)...)
	if n, fx := countPact(out, SendPing); n == 0 || len(fx.Ends) != 1 || fx.Ends[0] != (ShardEnd{0, 1, Position{1, 9}}) ||
		len(fx.Vows) > 0 {
		t.Errorf("%+v", out)
	}
	learnt := PactEvent{Kind: ViewsCame, Store: 7, Now: 550 * ms, Views: []View{{2, 1, 0, false}, {}, {}}}
	_, out = stepPacts(p, append([]PactEvent{learnt}, ticksOf(570*ms, 580*ms)...)...)
	if n, fx := countPact(out, SendPing); n == 0 || len(fx.Ends) != 0 {
		t.Errorf("in another view: %+v", out)
	}
}
