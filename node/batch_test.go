package main

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"tandem/shard"
)

var testLayout = shard.Layout{Nodes: 3, Shards: 24}

func someEntries() []shard.Entry {
	return []shard.Entry{
		{Request: shard.RequestID{1}, Result: shard.Created, ID: "13AE742", Name: "Ada", Email: "ada@example.org",
			Group: -5, Epoch: 3, LSN: 7, Wall: 1790000000123},
		{Request: shard.RequestID{2}, Result: shard.Updated, ID: "13AE742", Name: "Ada L.", Email: "", Group: 1 << 60,
			Epoch: 3, LSN: 8},
		{Request: shard.RequestID{3}, Result: shard.Created, ID: "0b3c1a52-8a4e-4c5e-9d6f-0123456789ab", Name: "é",
			Email: "x", Epoch: 3, LSN: 9},
		{Request: shard.RequestID{4}, Result: shard.Deleted, ID: "13AE742", Epoch: 3, LSN: 10, Wall: -1},
	}
}

func TestBatchIsReadBackAsItWasWritten(t *testing.T) {
	entries := someEntries()
	counts := buckets{}
	one := buildPart(testLayout, 5, 9, entries, false, &counts, 1234)
	two := buildPart(testLayout, 6, 10, entries[:1], false, &buckets{}, 1235)
	if total(counts) != 1 || one.Last != 10 {
		t.Errorf("%d users and last LSN %d, want 1 and 10", total(counts), one.Last)
	}
	parts, err := readBatch(joinParts(nil, []Part{one, two}), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []Logged{{Shard: 5, Stamp: 1234, Entries: entries}, {Shard: 6, Stamp: 1235, Entries: entries[:1]}}
	if !reflect.DeepEqual(parts, want) {
		t.Errorf("\n got %+v\nwant %+v", parts, want)
	}
}

func TestCutBatchIsRefused(t *testing.T) {
	part := buildPart(testLayout, 5, 9, someEntries(), false, &buckets{}, 1)
	whole := joinParts(nil, []Part{part})
	refused := 0
	for cut := range whole {
		if _, err := readBatch(whole[:cut], nil); errors.Is(err, ErrBatch) || errors.Is(err, ErrValue) {
			refused++
		}
	}
	// A cut between two records is no error of the format: RocksDB's own checksum covers the record.
	if refused < len(whole)*3/4 {
		t.Errorf("%d of %d cuts were refused", refused, len(whole))
	}
}

func FuzzReadBatch(f *testing.F) {
	part := buildPart(testLayout, 5, 9, someEntries(), false, &buckets{}, 1)
	f.Add(joinParts(nil, []Part{part, part}))
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x05\x01\x02ua\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		parts, err := readBatch(bytes.Clone(b), nil)
		if err == nil && len(b) < batchHead && len(parts) > 0 {
			t.Error("entries without bytes")
		}
	})
}

func FuzzDecodeValue(f *testing.F) {
	f.Add(appendValue(nil, &someEntries()[0]))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeValue(b)
		if err != nil {
			return
		}
		n := shard.Entry{Name: r.Name, Email: r.Email, Group: r.Group, Epoch: r.Epoch, LSN: r.LSN}
		again, err := decodeValue(appendValue(nil, &n))
		if err != nil || again != r {
			t.Errorf("%+v became %+v (%v)", r, again, err)
		}
	})
}

func BenchmarkBuildPart(b *testing.B) {
	entries, counts := someEntries(), buckets{}
	b.ReportAllocs()
	for b.Loop() {
		buildPart(testLayout, 5, 9, entries, false, &counts, 1)
	}
}

// What a node writes of its own facts, and what it drops, stands in the same write log as its shards.
func TestFactsAndWipesAreReadOver(t *testing.T) {
	room := councilRoom(t, t.TempDir(), testLayout, 0)
	var err error
	if room.Store, err = addFamilies(room.Store, []int{5}); err != nil {
		t.Fatal(err)
	}
	part := buildPart(testLayout, 5, room.Store.ids[5], someEntries(), true, &buckets{}, 1)
	for _, err := range []error{putFact(room.Store, "x", []byte("y")),
		writeBatch(room.Store, joinParts(nil, []Part{part})),
		writeBatch(room.Store, joinParts(nil, []Part{wipePart(5, room.Store.ids[5]), part}))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	parts, found := make(chan Logged, logAhead), 0
	go streamLog(room.Store, parts, make(chan struct{}))
	for p := range parts {
		if p.Err != nil {
			t.Fatal(p.Err)
		}
		if found++; len(p.Entries) != len(someEntries()) || p.Entries[0] != someEntries()[0] {
			t.Errorf("%+v", p)
		}
	}
	if found != 2 {
		t.Errorf("%d shares of shards found, expected 2", found)
	}
}
