package replica

import (
	"tandem/shard"
	"testing"
)

// drive gives events to a replica and returns it with all effects.
func drive(r State, events ...Event) (State, []Effect) {
	var all []Effect
	for i := range events {
		r, all = Step(r, &events[i], all)
	}
	return r, all
}

func count(effects []Effect, kind EffectKind) (n int) {
	for i := range effects {
		if effects[i].Kind == kind {
			n++
		}
	}
	return n
}

// notices counts the effects that give a notice to the lease session.
func notices(effects []Effect, notice shard.Notice) (n int) {
	for i := range effects {
		if effects[i].Kind == Notify && effects[i].Notice == notice {
			n++
		}
	}
	return n
}

var inSync = shard.View{Epoch: 1, Leader: 0, Backup: 1, InSync: true}

// replicaAt returns a replica of shard 0 whose log ends at LSN 7 of epoch 1, in a view and with a lease until until.
func replicaAt(self int, view shard.View, until int64) State {
	r := New(0, self, []string{"db-1", "db-0"}[self], 7, []shard.Position{{Epoch: 1, LSN: 1}}, nil, 0)
	r, _ = drive(r, Event{Kind: ViewLearnt, View: view}, Event{Kind: LeaseCame, Epoch: view.Epoch, Until: until})
	return r
}

// A backup that restarts knows nothing of what its leader has applied, and its counts and lists wait for it: every
// stream must tell it anew, without a write.
func TestEveryStreamTellsTheBackupWhatIsApplied(t *testing.T) {
	r := replicaAt(0, inSync, 1000)
	for stream := uint64(1); stream <= 2; stream++ {
		var effects []Effect
		r, effects = drive(r, Event{Kind: StreamUp, Stream: stream}, Event{Kind: PeerPosition, Stream: stream, Epoch: 1,
			LSN: 7, LastEpoch: 1}, Event{Kind: Ticked})
		if count(effects, SendAsk) != 1 || count(effects, SetAlarm) != 1 || count(effects, SendApplied) != 1 {
			t.Errorf("stream %d: %+v", stream, effects)
		}
		r, _ = drive(r, Event{Kind: StreamDown, Stream: stream})
	}
}

// A backup answers a count once its leader has applied what was counted (rule R2) and while it has a lease, and refuses
// it when nobody waits any more.
func TestCountOfABackupWaitsForItsLeader(t *testing.T) {
	stream := new(int)
	r := replicaAt(1, inSync, 100+WaitFor)
	r, effects := drive(r, Event{Kind: PositionAsked, Epoch: 1, Caller: stream},
		Event{Kind: CountAsked, Caller: "at once", Now: 1})
	// its log may have lost what it once had (rule R24)
	if count(effects, Answer) != 1 || effects[len(effects)-1].Reply.Refusal != shard.Unavailable {
		t.Fatalf("answered before the leader has compared the logs: %+v", effects)
	}
	r, effects = drive(r, Event{Kind: LeaderTold, LSN: 6, Epoch: 1, Caller: stream, Now: 1},
		Event{Kind: CountAsked, Caller: "early", Users: 3, Now: 1})
	if notices(effects, shard.LogsCompared) != 1 {
		t.Errorf("the lease session is not told that the logs fit: %+v", effects)
	}
	if count(effects, Answer) != 0 {
		t.Fatalf("answered before the leader's word: %+v", effects)
	}
	r, effects = drive(r, Event{Kind: LeaderTold, LSN: 7, Epoch: 1, Caller: stream, Now: 2})
	if count(effects, Answer) != 1 || effects[0].Caller != "early" || effects[0].Reply.Users != 3 {
		t.Errorf("the leader has applied it: %+v", effects)
	}
	entry := shard.Entry{LSN: 8, Epoch: 1, Result: shard.Created, ID: "a"}
	r, effects = drive(r, Event{Kind: EntriesCame, Caller: stream, Epoch: 1, Entries: []shard.Entry{entry}, Now: 3},
		Event{Kind: DiskStored, LSN: 8, Now: 4},
		Event{Kind: CountAsked, Caller: "late", Now: 5}, Event{Kind: LeaderTold, LSN: 8, Epoch: 1, Caller: stream,
			Now: 6 + WaitFor + 100})
	if count(effects, Persist) != 1 || count(effects, SendStored) != 1 || count(effects, Answer) != 1 ||
		len(r.Waiting) != 0 {
		t.Fatalf("%+v, waiting %+v", effects, r.Waiting)
	}
	for _, fx := range effects {
		// whoever asked is told, or its place would be taken for ever
		if fx.Kind == Answer && (fx.Caller != "late" || fx.Reply.Refusal != shard.Unavailable) {
			t.Errorf("%+v", fx)
		}
	}
}

// Entries that repeat what is here are answered "stored"; a gap is refused and breaks the stream; what comes by an
// older stream is dropped.
func TestBackupRefusesGaps(t *testing.T) {
	stream := new(int)
	r := replicaAt(1, inSync, 1000)
	r, _ = drive(r, Event{Kind: PositionAsked, Epoch: 1, Caller: stream},
		Event{Kind: LeaderTold, Epoch: 1, Caller: stream})
	for name, c := range map[string]struct {
		event Event
		want  EffectKind
	}{
		"repeated": {Event{Kind: EntriesCame, Caller: stream, Epoch: 1, Entries: []shard.Entry{{LSN: 7, Epoch: 1}}},
			SendStored},
		"a gap": {Event{Kind: EntriesCame, Caller: stream, Epoch: 1, Entries: []shard.Entry{{LSN: 9, Epoch: 1}}},
			SendStreamError},
	} {
		next, effects := drive(r, c.event)
		if len(effects) != 1 || effects[0].Kind != c.want || next.Log.Submitted != 7 {
			t.Errorf("%s: %+v, submitted %d", name, effects, next.Log.Submitted)
		}
	}
	if _, effects := drive(r, Event{Kind: EntriesCame, Caller: new(int), Epoch: 1,
		Entries: []shard.Entry{{LSN: 8, Epoch: 1}}}); len(effects) != 0 {
		t.Errorf("an older stream still counts: %+v", effects)
	}
}

// Who cannot reach the leader is served by way of the backup (rule R21): it passes gets and writes on, but for those
// that came from the leader's node, and without a connection it refuses them.
func TestBackupPassesRequestsOn(t *testing.T) {
	for name, c := range map[string]struct {
		stream  uint64
		relayed bool
		want    EffectKind
	}{
		"by the stream":           {5, false, Relay},
		"not what was passed on":  {5, true, Answer},
		"not without a stream":    {0, false, Answer},
		"not back without either": {0, true, Answer},
	} {
		for _, kind := range []EventKind{GetAsked, WriteAsked} {
			r := replicaAt(1, inSync, 1000)
			if c.stream > 0 {
				r, _ = drive(r, Event{Kind: StreamUp, Stream: c.stream})
			}
			asked := Event{Kind: kind, Caller: "who", Relayed: c.relayed, Deadline: 100}
			_, effects := Step(r, &asked, nil)
			if len(effects) != 1 || effects[0].Kind != c.want {
				t.Fatalf("%s: %+v", name, effects)
			}
			fx := effects[0]
			if c.want == Relay && (fx.Asked != &asked || fx.Stream != c.stream) || c.want == Answer &&
				(fx.Reply.Refusal != shard.NotLeader || fx.Caller != "who") {
				t.Errorf("%s: %+v", name, fx)
			}
		}
	}
}

// An overdue write is not passed on: once it is, the client may be told that nobody knows whether it was done.
func TestBackupRefusesWhatIsOverdue(t *testing.T) {
	r := replicaAt(1, inSync, 1000)
	r, _ = drive(r, Event{Kind: StreamUp, Stream: 5})
	for now, want := range map[int64]EffectKind{100: Relay, 101: Answer} {
		_, effects := Step(r, &Event{Kind: WriteAsked, Caller: "who", Deadline: 100, Now: now}, nil)
		if len(effects) != 1 || effects[0].Kind != want || want == Answer && effects[0].Reply.Refusal != shard.Overdue {
			t.Errorf("at %d: %+v", now, effects)
		}
	}
}

// A replica that has been barred for a while says that trying again is of no use: a leader without a lease, a backup
// that neither reaches its leader nor may take over. One that could answer a moment ago, or hears of it only now, does
// not.
func TestStuckReplicasSaySo(t *testing.T) {
	for self := range 2 {
		r := replicaAt(self, inSync, 1000)
		r.Backing.Compared = true
		r, _ = drive(r, Event{Kind: CountAsked, Caller: "who", Now: 900}) // it can
		for _, c := range []struct {
			now  int64
			want shard.Refusal
		}{{1000 + shard.StuckFor, [2]shard.Refusal{shard.Unavailable, shard.NotLeader}[self]}, {1001 + shard.StuckFor,
			shard.Stuck}} {
			next, _ := drive(r, Event{Kind: Ticked, Now: 1000}) // its lease has run out
			next, effects := drive(next, Event{Kind: GetAsked, Caller: "who", Now: c.now})
			if len(effects) == 0 || effects[0].Reply.Refusal != c.want || effects[0].Reply.Reason == "" {
				t.Errorf("node %d at %d: %+v", self, c.now, effects)
			}
			next, effects = drive(next, Event{Kind: LeaseCame, Epoch: 1, Until: 2 * c.now, Now: c.now},
				Event{Kind: CountAsked, Now: c.now})
			if next.NotServingSince != 0 {
				t.Errorf("node %d: %+v", self, effects)
			}
		}
	}
}

// What bars a leader alone ends by time. Nothing of that counts when another reason bars it later.
func TestWhatBarredBeforeIsNoReasonToBeStuck(t *testing.T) {
	r := replicaAt(0, inSync, 0)
	r, _ = drive(r, Event{Kind: ViewLearnt, View: alone, FreeFrom: 1000, Now: 900})
	now := int64(2000 + 2*shard.StuckFor)
	r, _ = drive(r, Event{Kind: ViewLearnt, View: shard.View{Epoch: 3, Leader: 0, Backup: 1, InSync: true}, Now: now})
	_, effects := drive(r, Event{Kind: CountAsked, Caller: "who", Now: now + 1})
	if count(effects, Answer) != 1 || effects[len(effects)-1].Reply.Refusal != shard.Unavailable {
		t.Errorf("%+v", effects)
	}
}

// After a pause of its process a leader does not blame its backup: what that has stored may have been waiting to be
// heard. If nothing comes, it complains as late as ever.
func TestPausedLeaderDoesNotBlameItsBackup(t *testing.T) {
	const tick = TellEvery
	r := replicaAt(0, inSync, 1<<40)
	r, _ = drive(r, Event{Kind: StreamUp, Stream: 1}, Event{Kind: PeerPosition, Stream: 1, Epoch: 1, LSN: 7, LastEpoch: 1},
		Event{Kind: WriteAsked, Change: shard.Change{Op: shard.Create, ID: "a"}, Deadline: 1})
	now := int64(tick)
	r, effects := drive(r, Event{Kind: Ticked, Now: now}, Event{Kind: Ticked, Now: now + 10*StoredFor})
	if now += 10 * StoredFor; count(effects, SetAlarm) == 0 || notices(effects, shard.BackupTimedOut) != 0 {
		t.Fatalf("just after a pause: %+v", effects)
	}
	ticks := 0
	for notices(effects, shard.BackupTimedOut) == 0 && ticks < 100 {
		now += tick
		r, effects = drive(r, Event{Kind: Ticked, Now: now})
		ticks++
	}
	if least := (StoredFor - 2*tick) / tick; ticks < int(least) || ticks == 100 {
		t.Errorf("complained after %d ticks", ticks)
	}
}
