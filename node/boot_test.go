package main

import (
	"testing"

	"tandem/node/store"
)

// What a shard holds is known again after a restart.
func TestCountsAndPositionAreReadBack(t *testing.T) {
	held := heldBy(testLayout, 0)
	wiring := serviceWiring(t, t.TempDir(), testLayout, 0)
	var err error
	if wiring.DB, err = store.AddFamilies(wiring.DB, held); err != nil {
		t.Fatal(err)
	}
	entries := someEntries()
	part := store.EntriesPart(testLayout, held[0], store.FamilyID(wiring.DB, held[0]), entries, true, &store.Buckets{},
		1)
	if err := store.WriteBatch(wiring.DB, store.JoinParts(nil, []store.Part{part})); err != nil {
		t.Fatal(err)
	}
	all := loadReplicas(starting{wiring: wiring, held: held, log: logFor(t, wiring)})
	if all.err != nil {
		t.Fatal(all.err)
	}
	for i, want := range []struct{ users, last uint64 }{{1, 10}, {0, 0}} {
		if at := all.loaded[held[i]]; store.Total(at.Counts) != want.users || at.Last != want.last {
			t.Errorf("shard %d: %d users up to LSN %d, expected %d up to %d", held[i], store.Total(at.Counts), at.Last,
				want.users, want.last)
		}
	}
}
