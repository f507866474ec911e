package store

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"tandem/shard"
	"tandem/shard/views"
)

func TestBatchIsReadBackAsItWasWritten(t *testing.T) {
	entries := someEntries()
	counts := Buckets{}
	one := EntriesPart(testLayout, 5, 9, entries, false, &counts, 1234)
	two := EntriesPart(testLayout, 6, 10, entries[:1], false, &Buckets{}, 1235)
	if Total(counts) != 1 || one.Last != 10 {
		t.Errorf("%d users and last LSN %d, want 1 and 10", Total(counts), one.Last)
	}
	parts, err := ReadBatch(JoinParts(nil, []Part{one, two}), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []Logged{{Shard: 5, Stamp: 1234, Entries: entries}, {Shard: 6, Stamp: 1235, Entries: entries[:1]}}
	if !reflect.DeepEqual(parts, want) {
		t.Errorf("\n got %+v\nwant %+v", parts, want)
	}
}

func TestCutBatchIsRefused(t *testing.T) {
	part := EntriesPart(testLayout, 5, 9, someEntries(), false, &Buckets{}, 1)
	whole := JoinParts(nil, []Part{part})
	refused := 0
	for cut := range whole {
		if _, err := ReadBatch(whole[:cut], nil); errors.Is(err, ErrBatch) || errors.Is(err, ErrValue) {
			refused++
		}
	}
	// A cut between two records is no error of the format: RocksDB's own checksum covers the record.
	if refused < len(whole)*3/4 {
		t.Errorf("%d of %d cuts were refused", refused, len(whole))
	}
}

func FuzzReadBatch(f *testing.F) {
	part := EntriesPart(testLayout, 5, 9, someEntries(), false, &Buckets{}, 1)
	f.Add(JoinParts(nil, []Part{part, part}))
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x05\x01\x02ua\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		parts, err := ReadBatch(bytes.Clone(b), nil)
		if err == nil && len(b) < batchHead && len(parts) > 0 {
			t.Error("entries without bytes")
		}
	})
}

func FuzzDecodeValue(f *testing.F) {
	f.Add(appendValue(nil, &someEntries()[0]))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeValue(b)
		if err != nil {
			return
		}
		n := shard.Entry{Name: r.Name, Email: r.Email, Group: r.Group, Epoch: r.Epoch, LSN: r.LSN}
		again, err := DecodeValue(appendValue(nil, &n))
		if err != nil || again != r {
			t.Errorf("%+v became %+v (%v)", r, again, err)
		}
	})
}

func BenchmarkBuildPart(b *testing.B) {
	entries, counts := someEntries(), Buckets{}
	b.ReportAllocs()
	for b.Loop() {
		EntriesPart(testLayout, 5, 9, entries, false, &counts, 1)
	}
}

func TestBucketsAreReadBack(t *testing.T) {
	if s, _, ok := ReadBucket(appendBucket(nil, 300, 1<<40)); s != 300 || !ok {
		t.Errorf("%d users read back, %v", s, ok)
	}
	if _, _, ok := ReadBucket([]byte{1, 2, 3}); ok {
		t.Error("a value with a rest was taken")
	}
}

func TestSavedEntriesShareABatchWithShards(t *testing.T) {
	entries := someEntries()
	one := EntriesPart(testLayout, 5, 9, entries, false, &Buckets{}, 1234)
	part := SavedPart(7, []views.SavedEntry{{Key: "e\x00\x01", Value: []byte("entry")}, {Key: "e\x00\x02", Delete: true},
		{Key: "h", Value: nil}}, nil)
	want := []Logged{{Shard: 5, Stamp: 1234, Entries: entries}}
	for _, parts := range [][]Part{{part, one}, {one, part}, {part, one, part}} {
		got, err := ReadBatch(JoinParts(nil, parts), nil)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v\n got %+v\nwant %+v", err, got, want)
		}
	}
	if got, err := ReadBatch(JoinParts(nil, []Part{part}), nil); err != nil || len(got) != 0 {
		t.Errorf("%v %v", got, err)
	}
}
