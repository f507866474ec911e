package main

import (
	"encoding/binary"
	"testing"

	"tandem/shard"
)

// What a shard holds is known again after a restart, from the keys that are written now and from those that were before.
func TestCountsAndPositionAreReadBack(t *testing.T) {
	held := heldBy(testLayout, 0)
	room := councilRoom(t, t.TempDir(), testLayout, 0)
	var err error
	if room.Store, err = addFamilies(room.Store, held); err != nil {
		t.Fatal(err)
	}
	entries := someEntries()
	_, bucket := shard.Place(testLayout, entries[0].ID)
	old := func(s int, lsn uint64) Part {
		put := binary.AppendUvarint([]byte{tagFamilyPut}, uint64(room.Store.ids[s]))
		b := appendBytes(appendBytes(put, append([]byte(oldBucket), bucket)), binary.BigEndian.AppendUint64(nil, 3))
		b = appendBytes(appendBytes(append(b, put...), append([]byte(oldBucket), bucket+1)), binary.BigEndian.AppendUint64(nil, 4))
		b = appendBytes(appendBytes(append(b, put...), []byte(oldPosition)), binary.BigEndian.AppendUint64(make([]byte, 8), lsn))
		return Part{Shard: s, Records: 3, Bytes: b}
	}
	onlyNew := buildPart(testLayout, held[0], room.Store.ids[held[0]], entries, true, &buckets{}, 1)
	before := buckets{}
	before[bucket] = 3
	both := buildPart(testLayout, held[2], room.Store.ids[held[2]], entries[:1], true, &before, 1)
	if err := writeBatch(room.Store, joinParts(nil, []Part{onlyNew, old(held[1], 6), old(held[2], 6), both})); err != nil {
		t.Fatal(err)
	}
	out := make(chan opened, 1)
	loadReplicas(room, unwritten(held), out)
	all := <-out
	if all.err != nil {
		t.Fatal(all.err)
	}
	for i, want := range []struct{ users, last uint64 }{{1, 10}, {7, 6}, {8, 7}, {0, 0}} {
		if at := all.loaded[held[i]]; total(at.Counts) != want.users || at.Last != want.last {
			t.Errorf("shard %d: %d users up to LSN %d, expected %d up to %d", held[i], total(at.Counts), at.Last, want.users, want.last)
		}
	}
	if s, _, ok := readBucket(appendBucket(nil, 300, 1<<40)); s != 300 || !ok {
		t.Errorf("%d users read back, %v", s, ok)
	}
	if _, _, ok := readBucket([]byte{1, 2, 3}); ok {
		t.Error("a value with a rest was taken")
	}
}
