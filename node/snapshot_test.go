package main

import (
	"strings"
	"testing"

	"tandem/node/store"
	"tandem/shard"
	"tandem/shard/replica"
	"tandem/wire"
)

// The end of a snapshot brings the whole request-id window, in frames that fit, and the position in the last one only.
func TestEndFramesFit(t *testing.T) {
	window := make([]shard.Entry, 3000)
	for i := range window {
		window[i] = shard.Entry{Request: shard.RequestID{byte(i), byte(i >> 8)}, Result: shard.Created, ID: "u",
			Name: strings.Repeat("n", 16000), LSN: uint64(i + 1), Epoch: 3}
	}
	got := 0
	frames := endFrames(5, 7, 2500, []shard.Position{{Epoch: 3, LSN: 1}}, window)
	for i, m := range frames {
		if bytes := wire.NewCodec().AppendFrame(nil, m); len(bytes) > wire.MaxFrame/2 {
			t.Fatalf("a frame of %d bytes", len(bytes))
		}
		if last := i == len(frames)-1; (m.LSN == 2500) != last || (len(m.History) > 0) != last || m.Shard != 5 ||
			m.Epoch != 7 {
			t.Errorf("frame %d of %d: LSN %d, history %v", i, len(frames), m.LSN, m.History)
		}
		for _, n := range m.Entries {
			if got++; n.LSN != uint64(got) {
				t.Fatalf("entry %d has LSN %d", got, n.LSN)
			}
		}
	}
	if got != 2500 {
		t.Errorf("%d entries of 2500", got)
	}
	if frames = endFrames(5, 7, 0, nil, nil); len(frames) != 1 || frames[0].LSN != 0 || len(frames[0].Entries) != 0 {
		t.Errorf("of an empty shard: %+v", frames)
	}
}

// What a snapshot stores is read back at the next start: counts, history and the request-id window; one that was broken
// off is dropped.
func TestSnapshotsAreStored(t *testing.T) {
	wiring := serviceWiring(t, t.TempDir(), testLayout, 0)
	held := heldBy(testLayout, 0)
	var err error
	if wiring.DB, err = store.AddFamilies(wiring.DB, held); err != nil {
		t.Fatal(err)
	}
	records := []shard.Record{{ID: "a", Name: "Ada", Epoch: 3, LSN: 7}, {ID: "b", Name: "Bob", Epoch: 4, LSN: 9}}
	window := []shard.Entry{{Request: shard.RequestID{1}, Result: shard.Updated, ID: "b", Name: "Bob", Epoch: 4, LSN: 9}}
	for s, whole := range map[int]bool{held[0]: true, held[1]: false} {
		r := &owned{state: replica.State{Shard: s}, db: wiring.DB}
		parts := storeEntries(wiring.Layout, r, &replica.Effect{Entries: []shard.Entry{{ID: "old", Result: shard.Created,
			Epoch: 1,
			LSN:   1}}}, 1)
		parts = append(parts, storeNothing(wiring.Layout, r, nil, 1)...)
		parts = append(parts, storeRecords(wiring.Layout, r, &replica.Effect{Records: records}, 1)...)
		if whole {
			parts = append(parts, storeWhole(wiring.Layout, r, &replica.Effect{LSN: 9, LastEpoch: 4,
				History: []shard.Position{{Epoch: 3, LSN: 1}, {Epoch: 4, LSN: 8}}, Entries: window}, 1)...)
		}
		if err = store.WriteBatch(wiring.DB, store.JoinParts(nil, parts)); err != nil {
			t.Fatal(err)
		}
	}
	all := loadReplicas(starting{wiring: wiring, held: held, log: logFor(t, wiring)})
	if all.err != nil {
		t.Fatal(all.err)
	}
	if at := all.loaded[held[0]]; at.Last != 9 || len(at.History) != 2 ||
		at.History[1] != (shard.Position{Epoch: 4, LSN: 8}) || store.Total(at.Counts) != 2 || len(at.Log) != 1 ||
		at.Log[0] != window[0] {
		t.Errorf("the whole one: %+v", at)
	}
	if at := all.loaded[held[1]]; at.Last != 0 || store.Total(at.Counts) != 0 {
		t.Errorf("the broken one: %+v", at)
	}
	for _, s := range held[:2] {
		users := 0
		see := func(_, _ []byte) bool { users++; return true }
		err = store.WalkScan(store.OpenScan(wiring.DB, s), []byte{shard.UserPrefix}, 0, see)
		if err != nil || users != map[bool]int{true: 2}[s == held[0]] {
			t.Errorf("shard %d holds %d users, %v", s, users, err)
		}
	}
}
