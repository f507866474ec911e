package main

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"tandem/node/store"
	"tandem/shard"
)

// A segment that cannot be removed is tried again, with those behind it; one that is gone is no matter.
func TestASegmentThatCannotBeRemovedIsTriedAgain(t *testing.T) {
	node := &Node{Config: config{Data: t.TempDir()}, Log: slog.New(slog.DiscardHandler)}
	segments, err := []segmentNote{}, os.Mkdir(filepath.Join(node.Config.Data, "wal"), 0o700)
	for n := uint64(1); n <= 4; n++ {
		path := store.SegmentPath(node.Config.Data, n)
		switch n {
		case 1: // gone
		case 2:
			err = errors.Join(err, os.MkdirAll(filepath.Join(path, "x"), 0o700))
		default:
			err = errors.Join(err, os.WriteFile(path, []byte("x"), 0o600))
		}
		segments = append(segments, segmentNote{Number: n, Last: n, Bytes: 1, Closed: -2 * shard.KeepLogFor})
	}
	if err != nil {
		t.Fatal(err)
	}
	if segments = prune(node, segments, 4, true, false); len(segments) != 3 || segments[0].Number != 2 {
		t.Fatalf("left: %+v", segments)
	}
	if err = os.RemoveAll(store.SegmentPath(node.Config.Data, 2)); err != nil {
		t.Fatal(err)
	}
	if segments = prune(node, segments, 4, true, false); len(segments) > 0 {
		t.Errorf("left: %+v", segments)
	}
}

// A store that has lost its log goes on behind what its data has of it: what is written then is not taken for the end of
// a log that is short of the data at the next start.
func TestTheLogGoesOnBehindTheData(t *testing.T) {
	wiring := serviceWiring(t, t.TempDir(), testLayout, 0)
	l := logFor(t, wiring)
	for range 5 {
		l = storeForTest(t, wiring, l, store.SavedPart(store.RaftFamilyID(wiring.DB), nil, nil))
	}
	held := []int{}
	for range 2 {
		found, err := store.RecoverLog(wiring.Config.Data)
		if err = errors.Join(err, os.RemoveAll(filepath.Join(wiring.Config.Data, "wal"))); err != nil {
			t.Fatal(err)
		}
		lost := starting{wiring: wiring, held: held}
		if lost = replayLog(judgeEnd(lost)); lost.err != nil || lost.verdict.End != shard.DamagedEnd {
			t.Fatalf("without its log: %+v, %v", lost.verdict, lost.err)
		}
		if at := store.StateOf(lost.log).Sequence; at < found.Last {
			t.Errorf("the log goes on behind batch %d, and the data has %d", at, found.Last)
		}
		storeForTest(t, wiring, lost.log, store.SavedPart(store.RaftFamilyID(wiring.DB), nil, nil))
		again := starting{wiring: wiring, held: held}
		if again.recovery, err = store.RecoverLog(wiring.Config.Data); err != nil {
			t.Fatal(err)
		}
		if again = judgeEnd(again); again.err != nil || again.verdict.End == shard.DamagedEnd {
			t.Errorf("at the next start: %+v, %v", again.verdict, again.err)
		}
	}
}
