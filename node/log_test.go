package main

import (
	"errors"
	"testing"

	"tandem/node/store"
	"tandem/shard"
)

// logWiring is a node whose write log has the entries of two shards, a few of each in turn, and knows where they stand.
func logWiring(t *testing.T, most uint64) *wiring {
	t.Helper()
	wiring := serviceWiring(t, t.TempDir(), testLayout, 0)
	var err error
	if wiring.DB, err = store.AddFamilies(wiring.DB, []int{2, 5}); err != nil {
		t.Fatal(err)
	}
	points, l := make([][]indexPoint, wiring.Layout.Shards), logFor(t, wiring)
	for first := uint64(1); first <= most; first += 30 {
		parts, last := []store.Part{}, min(first+29, most)
		for _, s := range []int{2, 5} {
			entries := []shard.Entry{}
			for lsn := first; lsn <= last; lsn++ {
				entries = append(entries, loggedEntry(s, lsn, 1))
			}
			part := store.EntriesPart(testLayout, s, store.FamilyID(wiring.DB, s), entries, first == 1,
				&store.Buckets{}, 1)
			parts = append(parts, part)
		}
		l = storeForTest(t, wiring, l, parts...)
		stored := []storedPosition{{Shard: 2, LSN: last}, {Shard: 5, LSN: last}}
		points = addPoints(points, indexNote{store.StateOf(l).Sequence, stored})
	}
	wiring.Lookups = make(chan indexAsk)
	go runIndex(&wiring.Storage, points)
	return wiring
}

// startReader starts a reader of such a log, for as long as the test runs.
func startReader(t *testing.T, most uint64) (*wiring, chan<- logAsk) {
	wiring, asks := logWiring(t, most), make(chan logAsk, 4)
	t.Cleanup(func() { close(asks) })
	go runReader(&wiring.Node, &wiring.Storage, asks)
	return wiring, asks
}

// askLog asks a reader and checks that it gives the entries from first to last.
func askLog(t *testing.T, asks chan<- logAsk, s int, first, most, last uint64) {
	t.Helper()
	found := make(chan logAnswer, 1)
	asks <- logAsk{s, []shard.Position{{Epoch: 1, LSN: 1}}, first, 1 << 20, int(most), found}
	answer := <-found
	if answer.err != nil || len(answer.entries) == 0 {
		t.Fatalf("shard %d from %d: %d entries, %v", s, first, len(answer.entries), answer.err)
	}
	for i, n := range answer.entries {
		if want := loggedEntry(s, first+uint64(i), 1); n != want {
			t.Fatalf("shard %d: expected %+v, found %+v", s, want, n)
		}
	}
	if end := answer.entries[len(answer.entries)-1].LSN; end != last {
		t.Errorf("shard %d from %d: expected entries up to %d, found them up to %d", s, first, last, end)
	}
}

// One pass over the log serves several shards, in any order of asking and from wherever each is; the end of the log is
// no end.
func TestReaderServesShardsInTurn(t *testing.T) {
	_, asks := startReader(t, 3000)
	asks <- logAsk{shard: 5, first: 400}
	askLog(t, asks, 2, 1000, 500, 1499)
	askLog(t, asks, 5, 400, 500, 899)
	askLog(t, asks, 5, 900, 500, 1399)
	askLog(t, asks, 2, 1500, 2000, 3000)
	askLog(t, asks, 2, 1500, 10, 1509) // again, as after a stream that broke
	askLog(t, asks, 5, 1400, 2000, 3000)
	askLog(t, asks, 5, 2999, 10, 3000)
}

// A shard that is not asked for does not pile up what is read for another.
func TestReaderForgetsWhoDoesNotKeepUp(t *testing.T) {
	_, asks := startReader(t, 4000)
	asks <- logAsk{shard: 5, first: 1}
	askLog(t, asks, 2, 1, 4000, 4000)
	askLog(t, asks, 5, 1, 500, 500)
}

// A batch may hold more of a shard than is kept of one that does not keep up.
func TestReaderTakesAGreatBatch(t *testing.T) {
	wiring, asks := startReader(t, 1)
	entries := []shard.Entry{}
	for lsn := uint64(2); lsn <= 4096; lsn++ {
		entries = append(entries, loggedEntry(2, lsn, 1))
	}
	part := store.EntriesPart(testLayout, 2, store.FamilyID(wiring.DB, 2), entries, false, &store.Buckets{}, 1)
	storeForTest(t, wiring, logFor(t, wiring), part)
	for first := uint64(1); first < 4096; first += 512 {
		askLog(t, asks, 2, first, 512, first+511)
	}
}

// What the log does not have, or has of another history only, is an error and not a log with a hole.
func TestReaderFindsNoOtherHistory(t *testing.T) {
	_, asks := startReader(t, 20)
	for _, c := range []struct {
		name        string
		first, last uint64
		history     []shard.Position
	}{
		{"behind the end", 21, 30, []shard.Position{{Epoch: 1, LSN: 1}}},
		{"another epoch", 5, 10, []shard.Position{{Epoch: 1, LSN: 1}, {Epoch: 3, LSN: 4}}},
		{"before the beginning", 0, 10, []shard.Position{{Epoch: 1, LSN: 1}}},
	} {
		found := make(chan logAnswer, 1)
		asks <- logAsk{2, c.history, c.first, c.last, 100, found}
		if answer := <-found; !errors.Is(answer.err, errPurged) {
			t.Errorf("%s: expected ErrPurged, found %d entries, %v", c.name, len(answer.entries), answer.err)
		}
	}
	found := make(chan logAnswer, 1)
	asks <- logAsk{2, []shard.Position{{Epoch: 1, LSN: 1}, {Epoch: 3, LSN: 8}}, 5, 10, 100, found}
	if answer := <-found; answer.err != nil || len(answer.entries) != 3 {
		t.Errorf("expected the 3 entries before the other epoch, found %d, %v", len(answer.entries), answer.err)
	}
}

// A reader that has been open while the log moved on to another file goes on there, and takes the end of its own files
// for no end.
func TestReaderGoesOnInNewFiles(t *testing.T) {
	wiring, asks := startReader(t, 100)
	askLog(t, asks, 2, 1, 50, 50)
	lsn, l := uint64(101), logFor(t, wiring)
	for range 3 {
		for range 30 {
			part := store.EntriesPart(testLayout, 2, store.FamilyID(wiring.DB, 2),
				[]shard.Entry{loggedEntry(2, lsn, 1)}, false, &store.Buckets{}, 1)
			l = storeForTest(t, wiring, l, part)
			lsn++
		}
		var err error
		if l, err = store.NextSegment(l, 1); err != nil {
			t.Fatal(err)
		}
	}
	for first := uint64(51); first < lsn; {
		found := make(chan logAnswer, 1)
		asks <- logAsk{2, []shard.Position{{Epoch: 1, LSN: 1}}, first, lsn - 1, 40, found}
		answer := <-found
		if answer.err != nil || len(answer.entries) == 0 || answer.entries[0].LSN != first {
			t.Fatalf("from %d: %d entries, %v", first, len(answer.entries), answer.err)
		}
		first += uint64(len(answer.entries))
	}
}

// A log that cannot be opened leaves nothing to be read of any shard: each that is asked for next is told so.
func TestReaderOfALogThatCannotBeOpened(t *testing.T) {
	wiring := *logWiring(t, 60)
	behind := indexNote{1000, []storedPosition{{Shard: 2, LSN: 800},
		{Shard: 5, LSN: 800}}}
	wiring.Lookups = make(chan indexAsk) // an index that names batches that the log does not have
	go runIndex(&wiring.Storage, addPoints(make([][]indexPoint, wiring.Layout.Shards), behind))
	asks := make(chan logAsk, 4)
	t.Cleanup(func() { close(asks) })
	go runReader(&wiring.Node, &wiring.Storage, asks)
	asks <- logAsk{shard: 5, first: 900}
	for _, s := range []int{2, 5, 2} {
		found := make(chan logAnswer, 1)
		asks <- logAsk{s, []shard.Position{{Epoch: 1, LSN: 1}}, 900, 1000, 10, found}
		if answer := <-found; answer.err == nil {
			t.Errorf("shard %d: %d entries", s, len(answer.entries))
		}
	}
}

// What a node drops stands in the same write log as its shards, and what it writes under store-local keys does not.
func TestLocalKeysAndWipesAreReadOver(t *testing.T) {
	wiring := serviceWiring(t, t.TempDir(), testLayout, 0)
	var err error
	if wiring.DB, err = store.AddFamilies(wiring.DB, []int{5}); err != nil {
		t.Fatal(err)
	}
	part := store.EntriesPart(testLayout, 5, store.FamilyID(wiring.DB, 5), someEntries(), true, &store.Buckets{}, 1)
	if err := store.PutLocal(wiring.DB, "x", []byte("y")); err != nil {
		t.Fatal(err)
	}
	l := storeForTest(t, wiring, logFor(t, wiring), part)
	storeForTest(t, wiring, l, store.WipePart(5, store.FamilyID(wiring.DB, 5)), part)
	w, found := logWalk{start: starting{wiring: wiring}}, 0
	w.log, w.err = store.OpenLog(wiring.DB, 0)
	for w.err == nil && !w.over {
		w = readParts(w)
		for _, p := range w.parts {
			if p.Err != nil {
				t.Fatal(p.Err)
			}
			if found++; len(p.Entries) != len(someEntries()) || p.Entries[0] != someEntries()[0] {
				t.Errorf("%+v", p)
			}
		}
	}
	store.CloseLog(w.log)
	if w.err != nil {
		t.Fatal(w.err)
	}
	if found != 2 {
		t.Errorf("%d shares of shards found, expected 2", found)
	}
}

// The walk through the write log at a start goes on behind what cannot be read, and ends where nothing was read since.
func TestTheWalkGoesOnBehindWhatCannotBeRead(t *testing.T) {
	wiring := serviceWiring(t, t.TempDir(), testLayout, 0)
	storeForTest(t, wiring, logFor(t, wiring), store.SavedPart(store.RaftFamilyID(wiring.DB), nil, nil))
	bad := errors.New("bad")
	w := readParts(logWalk{start: starting{wiring: wiring}, end: 1, err: bad})
	if len(w.parts) != 1 || !errors.Is(w.parts[0].Err, bad) || w.over || w.err != nil {
		t.Fatalf("expected that it goes on, found %+v", w)
	}
	if w = readParts(w); w.batch == nil || w.err != nil || w.over {
		t.Errorf("expected the batch behind it, found %+v", w)
	}
	store.CloseLog(w.log)
	if w = readParts(logWalk{start: starting{wiring: wiring}, end: 1, failed: 1, err: bad}); len(w.parts) != 1 || !w.over {
		t.Errorf("expected its end, found %+v", w)
	}
}
