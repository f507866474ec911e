package replica

import (
	"tandem/shard"
	"testing"
)

var alone = shard.View{Epoch: 2, Leader: 0, Backup: 1}

// leaderAlone returns the leader of shard 0, alone in epoch 2, with a stream to its backup on which it has asked where
// the backup's log ends.
func leaderAlone(lease int64) State {
	r := replicaAt(0, alone, lease)
	r, _ = drive(r, Event{Kind: StreamUp, Stream: 1})
	return r
}

func position(lsn, ends uint64) Event {
	return Event{Kind: PeerPosition, Stream: 1, Epoch: 2, LSN: lsn, LastEpoch: ends}
}

// A log that fits is fed from where it ends; one that is ahead, or of another epoch, is given the whole shard.
func TestWhereFeedingBegins(t *testing.T) {
	for name, c := range map[string]struct {
		at   Event
		snap int
	}{
		"far behind":    {position(0, 0), 0},
		"at the end":    {position(7, 1), 0},
		"ahead":         {position(8, 1), 1},
		"another epoch": {position(7, 2), 1},
	} {
		_, effects := drive(leaderAlone(1000), c.at)
		if count(effects, FeedSnapshot) != c.snap || notices(effects, shard.AckRequired) != 1-c.snap {
			t.Errorf("%s: %+v", name, effects)
		}
	}
}

// A backup that says it has a snapshot may still have what it had before: only its "stored" ends that, be the shard
// empty or not.
func TestSnapshotIsOwedUntilStored(t *testing.T) {
	r := New(0, 0, "db-1", 0, nil, nil, 0)
	r, _ = drive(r, Event{Kind: ViewLearnt, View: alone}, Event{Kind: LeaseCame, Epoch: 2, Until: 1000},
		Event{Kind: StreamUp, Stream: 1})
	r, effects := drive(r, position(3, 1), Event{Kind: FeedDone, Stream: 1, Epoch: 2, LSN: 0}, Event{Kind: Ticked})
	if count(effects, FeedSnapshot) != 1 || notices(effects, shard.AckRequired) != 0 || !r.Repair.Owed {
		t.Fatalf("before stored: %+v", effects)
	}
	if r, effects = drive(r, Event{Kind: PeerStored, Stream: 1, Epoch: 2, LSN: 0}); notices(effects,
		shard.AckRequired) != 1 ||
		r.Repair.Owed {
		t.Errorf("after stored: %+v", effects)
	}
}

// When the WAL does not reach back, the whole shard is sent, and what the backup had does not count any more.
func TestFeedThatFailsBecomesASnapshot(t *testing.T) {
	r := leaderAlone(0)
	r.Log.Applied, r.Log.Submitted, r.Leading.Next = 200, 200, 200
	r, effects := drive(r, position(7, 1))
	if count(effects, Feed) != 1 || r.Stream.PeerStored != 7 {
		t.Fatalf("fed: %+v", effects)
	}
	r, effects = drive(r, Event{Kind: FeedFailed, Stream: 1, Epoch: 2})
	if count(effects, FeedSnapshot) != 1 || r.Stream.PeerStored != 0 || !r.Repair.Snapshot || !r.Repair.Owed {
		t.Errorf("%+v, %+v", effects, r.Repair)
	}
	if r, effects = drive(r, Event{Kind: FeedDone, Stream: 2, Epoch: 2, LSN: 200}); !r.Repair.Busy || len(effects) > 0 {
		t.Errorf("what another stream was fed counts: %+v", effects)
	}
}

// A backup that reports a gap, and a repair that stands still, get a stream that begins anew.
func TestStreamsThatBeginAnew(t *testing.T) {
	r := leaderAlone(0)
	if _, effects := drive(r, Event{Kind: PeerStreamError, Stream: 1, Epoch: 2, Broken: true}); count(effects,
		BreakStream) != 1 {
		t.Errorf("a gap: %+v", effects)
	}
	r.Log.Applied, r.Log.Submitted, r.Leading.Next = 200, 200, 200
	r, effects := drive(r, position(7, 1), Event{Kind: FeedDone, Stream: 1, Epoch: 2, LSN: 27, Now: 5},
		Event{Kind: Ticked, Now: StallFor + 5})
	if count(effects, BreakStream) != 0 {
		t.Fatalf("too early: %+v", effects)
	}
	if _, effects = drive(r, Event{Kind: Ticked, Now: StallFor + 6}); count(effects, BreakStream) != 1 {
		t.Errorf("standing still: %+v", effects)
	}
}

// A stream of an epoch that is not known here yet waits until it is; one of an older epoch is passed over.
func TestStreamOfALaterEpochWaits(t *testing.T) {
	stream := new(int)
	r, effects := drive(replicaAt(1, inSync, 1000), Event{Kind: PositionAsked, Epoch: 2, Caller: stream})
	if len(effects) != 0 {
		t.Fatalf("answered in an epoch that is not known: %+v", effects)
	}
	r, effects = drive(r, Event{Kind: ViewLearnt, View: alone})
	if count(effects, SendPosition) != 1 || effects[0].Epoch != 2 || effects[0].LSN != 7 || effects[0].LastEpoch != 1 {
		t.Errorf("%+v", effects)
	}
	if _, effects = drive(r, Event{Kind: PositionAsked, Epoch: 1, Caller: new(int)}); len(effects) != 0 {
		t.Errorf("an older epoch: %+v", effects)
	}
}

// A backup that comes and goes is let in later each time; after a calm time in sync the waiting begins with the least
// again.
func TestFlappingBackupWaitsLonger(t *testing.T) {
	r, now, epoch := replicaAt(0, inSync, 1), int64(1), uint64(1)
	var holds []int64
	for range 6 {
		epoch++
		r, _ = drive(r, Event{Kind: ViewLearnt, View: shard.View{Epoch: epoch, Leader: 0, Backup: 1}, Now: now})
		holds = append(holds, (r.Leading.BackoffUntil-now)/BackoffFor)
		epoch++
		r, _ = drive(r, Event{Kind: ViewLearnt, View: shard.View{Epoch: epoch, Leader: 0, Backup: 1, InSync: true},
			Now: now + 1})
		now += 2
	}
	for i, want := range []int64{1, 2, 4, 8, 8, 8} {
		if holds[i] != want {
			t.Errorf("it waits %v times HoldFor", holds)
			break
		}
	}
	now += CalmFor
	r, _ = drive(r, Event{Kind: ViewLearnt, View: shard.View{Epoch: epoch + 1, Leader: 0, Backup: 1}, Now: now},
		Event{Kind: LeaseCame, Epoch: epoch + 1, Until: now + 2*BackoffFor},
		Event{Kind: StreamUp, Stream: 1, Now: now})
	r, effects := drive(r, Event{Kind: PeerPosition, Stream: 1, Epoch: epoch + 1, LSN: 7, LastEpoch: 1, Now: now},
		Event{Kind: Ticked, Now: now + BackoffFor - 1})
	if notices(effects, shard.AckRequired) != 0 || r.Leading.Backoff != BackoffFor {
		t.Errorf("held for %d: %+v", r.Leading.Backoff, effects)
	}
	if _, effects = drive(r, Event{Kind: Ticked, Now: now + BackoffFor}); notices(effects, shard.AckRequired) != 1 {
		t.Errorf("after the waiting: %+v", effects)
	}
}

// A damaged replica serves nothing. It begins with nothing once it is out of sync, but not in the epoch in which the
// damage was found: in that one it may have said that it has all.
func TestDamagedReplicaBeginsAnew(t *testing.T) {
	r, effects := drive(replicaAt(1, inSync, 1000), Event{Kind: DataDamaged, Reason: "block 5"},
		Event{Kind: CountAsked, Caller: "x"})
	if notices(effects, shard.CopyDamaged) == 0 || count(effects, Answer) != 1 ||
		effects[len(effects)-1].Reply.Refusal != shard.Unavailable {
		t.Fatalf("in sync: %+v", effects)
	}
	r, effects = drive(r, Event{Kind: ViewLearnt, View: alone})
	if count(effects, Drop) != 1 || notices(effects, shard.CopyRestored) != 1 || r.Log.Submitted != 0 ||
		r.Log.Wiping != 1 {
		t.Errorf("out of sync in a later epoch: %+v", effects)
	}
	r = replicaAt(1, alone, 0)
	r, effects = drive(r, Event{Kind: PositionAsked, Epoch: 2, Caller: "stream"}, Event{Kind: DataDamaged,
		Reason: "block 5"})
	if count(effects, SendPosition) != 1 || notices(effects, shard.CopyDamaged) == 0 || count(effects, Drop) != 0 {
		t.Fatalf("out of sync: %+v", effects)
	}
	granted, effects := drive(r, Event{Kind: ViewLearnt, View: shard.View{Epoch: 3, Leader: 0, Backup: 1, InSync: true}})
	if count(effects, Drop) != 0 || granted.Damage.Reason == "" {
		t.Errorf("the proposal of that epoch was accepted: %+v", effects)
	}
	again := New(0, 1, "db-0", 7, []shard.Position{{Epoch: 1, LSN: 1}}, nil, 0)
	again, effects = drive(again, Event{Kind: DataDamaged, Reason: "block 5"}, Event{Kind: ViewLearnt, View: alone})
	if count(effects, Drop) != 0 || again.Damage.Epoch != 2 {
		t.Errorf("found before a view was known: %+v", effects)
	}
}

// A backup in sync that comes back with less than it has said to be stored is found out, applied here or not.
func TestBackupThatComesBackWithLess(t *testing.T) {
	r := replicaAt(0, inSync, 1000)
	write := Event{Kind: WriteAsked, Caller: "x", Change: shard.Change{Op: shard.Create, ID: "a",
		Request: shard.RequestID{1}},
		Deadline: 1 << 40}
	r, effects := drive(r, Event{Kind: StreamUp, Stream: 1},
		Event{Kind: PeerPosition, Stream: 1, Epoch: 1, LSN: 7, LastEpoch: 1}, write,
		Event{Kind: PeerStored, Stream: 1, Epoch: 1, LSN: 8})
	if count(effects, Persist) != 1 {
		t.Fatalf("%+v", effects)
	}
	r, _ = drive(r, Event{Kind: StreamDown, Stream: 1}, Event{Kind: StreamUp, Stream: 2})
	for lsn, complains := range map[uint64]int{6: 1, 7: 1, 8: 0} {
		next := r
		next.Log.Window, next.Waiting = map[shard.RequestID]Done{}, nil
		next, effects = drive(next, Event{Kind: PeerPosition, Stream: 2, Epoch: 1, LSN: lsn, LastEpoch: 1})
		if notices(effects, shard.BackupTimedOut) != complains || next.Stream.Agreed == (complains == 1) {
			t.Errorf("its log ends at %d: %+v", lsn, effects)
		}
	}
}

// What was read while a replica was not in sync is not given out after it has come to be.
func TestPageThatIsOlderThanThePart(t *testing.T) {
	r := replicaAt(1, alone, 0)
	r, _ = drive(r, Event{Kind: PositionAsked, Epoch: 2, Caller: "stream"},
		Event{Kind: ViewLearnt, View: shard.View{Epoch: 3, Leader: 0, Backup: 1, InSync: true}, Now: 50},
		Event{Kind: LeaseCame, Epoch: 3, Until: 1000, Now: 51}, Event{Kind: LeaderTold, Epoch: 3, LSN: 7,
			Caller: "stream", Now: 52})
	r.Backing.LeaderApplied = 7
	for began, want := range map[int64]shard.Refusal{49: shard.Unavailable, 50: 0, 60: 0} {
		_, effects := drive(r, Event{Kind: PageAsked, Caller: "x", Began: began, Now: 70})
		if count(effects, Answer) != 1 || effects[0].Reply.Refusal != want {
			t.Errorf("read from %d on: %+v", began, effects)
		}
	}
}

// A leader that hands over takes nothing new, says so once nothing is pending, and goes on when it is called off.
func TestHandingOver(t *testing.T) {
	get := Event{Kind: GetAsked, Caller: "x", Exists: true, Now: 1}
	r := replicaAt(0, inSync, 1000)
	if _, effects := drive(r, Event{Kind: DrainAsked, Epoch: 1}); notices(effects, shard.Drained) != 0 {
		t.Errorf("it hands over to a backup whose log it has not compared since that came back: %+v", effects)
	}
	r = replicaAt(0, inSync, 1000)
	r, effects := drive(r, Event{Kind: StreamUp, Stream: 1},
		Event{Kind: PeerPosition, Stream: 1, Epoch: 1, LSN: 7, LastEpoch: 1}, Event{Kind: DrainAsked, Epoch: 1}, get)
	if notices(effects, shard.Drained) == 0 || count(effects, Answer) != 1 {
		t.Fatalf("%+v", effects)
	}
	for _, fx := range effects {
		if fx.Kind == Answer && fx.Reply.Refusal != shard.Unavailable {
			t.Errorf("it serves on: %+v", fx)
		}
	}
	if _, effects = drive(r, Event{Kind: DrainOff, Epoch: 1}, get); count(effects, Answer) != 1 ||
		effects[0].Reply.Refusal != 0 {
		t.Errorf("called off: %+v", effects)
	}
}

// What is said on another stream than the present one, or of an older epoch than its question, does not count (rule
// R15).
func TestStoredOfAnotherStream(t *testing.T) {
	r := leaderAlone(0)
	r.Log.Applied, r.Log.Submitted, r.Leading.Next = 200, 200, 200
	r, _ = drive(r, position(7, 1), Event{Kind: FeedFailed, Stream: 1, Epoch: 2})
	for _, e := range []Event{{Kind: PeerStored, Stream: 2, Epoch: 2, LSN: 200},
		{Kind: PeerStored, Stream: 1, Epoch: 1, LSN: 200}} {
		if next, _ := drive(r, e); next.Stream.PeerStored != 0 || !next.Repair.Owed {
			t.Errorf("%+v counts", e)
		}
	}
	if next, _ := drive(r, Event{Kind: PeerStored, Stream: 1, Epoch: 2, LSN: 200}); next.Stream.PeerStored != 200 ||
		next.Repair.Owed {
		t.Errorf("that of the present stream does not")
	}
}

// Between a wipe and the disk's word that it is done a replica says nothing about what it has stored.
func TestNothingIsStoredBeforeTheWipe(t *testing.T) {
	r := replicaAt(1, alone, 0)
	r, _ = drive(r, Event{Kind: PositionAsked, Epoch: 2, Caller: "stream"})
	r, effects := drive(r, Event{Kind: SnapshotBegun, Epoch: 2, Caller: "stream"},
		Event{Kind: SnapshotEnded, Epoch: 2, Caller: "stream", LSN: 5, History: []shard.Position{{Epoch: 2, LSN: 1}}},
		Event{Kind: DiskStored, LSN: 7})
	if count(effects, SendStored) != 0 || r.Log.Applied != 0 {
		t.Fatalf("what was there before counts: %+v", effects)
	}
	if r, effects = drive(r, Event{Kind: DiskWiped}, Event{Kind: DiskStored, LSN: 5}); count(effects,
		SendStored) == 0 || r.Log.Applied != 5 {
		t.Errorf("%+v", effects)
	}
}

// A leader says that its backup has caught up only when that has stored all that was sequenced before the barrier (rule
// R7).
func TestCaughtUpWaitsForTheBarrier(t *testing.T) {
	r := leaderAlone(1000)
	r.Log.Applied, r.Log.Submitted, r.Leading.Next = 9, 9, 9
	r, effects := drive(r, position(7, 1), Event{Kind: Ticked, Now: 1},
		Event{Kind: FeedDone, Stream: 1, Epoch: 2, LSN: 9, Now: 2})
	if notices(effects, shard.AckRequired) != 1 || count(effects, Feed) != 1 || notices(effects, shard.CaughtUp) != 0 ||
		r.Repair.Barrier != 9 {
		t.Fatalf("%+v", effects)
	}
	r.LeaseUntil = 2 * CaughtUpEvery
	if _, effects = drive(r, Event{Kind: PeerStored, Stream: 1, Epoch: 2, LSN: 8, Now: CaughtUpEvery + 2},
		Event{Kind: PeerStored, Stream: 1, Epoch: 2, LSN: 9, Now: CaughtUpEvery + 3}); notices(effects, shard.CaughtUp) != 1 {
		t.Errorf("%+v", effects)
	}
}

// A damaged backup does not say where its log ends, so that no leader feeds it.
func TestDamagedBackupIsNotFed(t *testing.T) {
	r := replicaAt(1, alone, 0)
	r, _ = drive(r, Event{Kind: DataDamaged, Reason: "block 5"})
	if _, effects := drive(r, Event{Kind: PositionAsked, Epoch: 2, Caller: "stream"}); count(effects, SendPosition) != 0 {
		t.Errorf("damaged: %+v", effects)
	}
	whole := replicaAt(1, alone, 0)
	if _, effects := drive(whole, Event{Kind: PositionAsked, Epoch: 2, Caller: "stream"}); count(effects,
		SendPosition) != 1 {
		t.Errorf("whole: %+v", effects)
	}
}
