package main

import (
	"testing"
)

// What a shard holds is known again after a restart.
func TestCountsAndPositionAreReadBack(t *testing.T) {
	held := heldBy(testLayout, 0)
	room := councilRoom(t, t.TempDir(), testLayout, 0)
	var err error
	if room.Store, err = addFamilies(room.Store, held); err != nil {
		t.Fatal(err)
	}
	entries := someEntries()
	part := buildPart(testLayout, held[0], room.Store.ids[held[0]], entries, true, &buckets{}, 1)
	if err := writeBatch(room.Store, joinParts(nil, []Part{part})); err != nil {
		t.Fatal(err)
	}
	out := make(chan opened, 1)
	loadReplicas(room, unwritten(held), out)
	all := <-out
	if all.err != nil {
		t.Fatal(all.err)
	}
	for i, want := range []struct{ users, last uint64 }{{1, 10}, {0, 0}} {
		if at := all.loaded[held[i]]; total(at.Counts) != want.users || at.Last != want.last {
			t.Errorf("shard %d: %d users up to LSN %d, expected %d up to %d", held[i], total(at.Counts), at.Last,
				want.users, want.last)
		}
	}
	if s, _, ok := readBucket(appendBucket(nil, 300, 1<<40)); s != 300 || !ok {
		t.Errorf("%d users read back, %v", s, ok)
	}
	if _, _, ok := readBucket([]byte{1, 2, 3}); ok {
		t.Error("a value with a rest was taken")
	}
}
