package store

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"tandem/shard"
	"tandem/shard/replica"
	"tandem/shard/views"
)

var update = flag.Bool("update", false, "write the golden bytes instead of comparing with them")

// golden compares bytes with those in testdata/golden: what one version writes, others read.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name+".hex")
	if *update {
		if err := os.WriteFile(path, []byte(hex.Dump(got)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || hex.Dump(got) != string(want) {
		t.Errorf("%s: written as\n%swant\n%s(%v)", path, hex.Dump(got), want, err)
	}
}

// splitRecords returns key and value of each put, delete and range of a part, in order, of which RocksDB keeps what
// begins with a tag.
func splitRecords(t *testing.T, b []byte) (keys, values [][]byte) {
	t.Helper()
	for len(b) > 0 {
		tag := b[0]
		b = b[1:]
		if tag != tagLogData {
			_, n := binary.Uvarint(b)
			b = b[n:]
		}
		key, rest, err := cutBytes(b)
		var value []byte
		if err == nil && tag != tagLogData && tag != tagFamilyDelete {
			value, rest, err = cutBytes(rest)
		}
		if err != nil {
			t.Fatal(err)
		}
		keys, values, b = append(keys, key), append(values, value), rest
	}
	return keys, values
}

func TestGoldenBytes(t *testing.T) {
	entries := someEntries()
	counts := Buckets{}
	part := EntriesPart(testLayout, 5, 9, entries, true, &counts, 1234)
	golden(t, "batch-part", part.Bytes)
	if read, err := ReadBatch(JoinParts(nil, []Part{part}), nil); err != nil ||
		!reflect.DeepEqual(read, []Logged{{Shard: 5, Stamp: 1234, Entries: entries}}) {
		t.Errorf("a part is read as %+v, %v", read, err)
	}
	keys, values := splitRecords(t, part.Bytes)
	golden(t, "logdata-header", keys[0])
	golden(t, "user-key", keys[1])
	golden(t, "user-value", values[1])
	ada := shard.Record{Name: "Ada", Email: "ada@example.org", Group: -5, Epoch: 3, LSN: 7}
	if r, err := DecodeValue(values[1]); err != nil || r != ada {
		t.Errorf("a value is read as %+v, %v", r, err)
	}
	last := len(keys) - 1
	golden(t, "meta-bucket", append(append(bytes.Clone(keys[last-1]), ' '), values[last-1]...))
	golden(t, "meta-epoch", append(append(bytes.Clone(keys[last]), ' '), values[last]...))
	golden(t, "wipe-part", WipePart(5, 9).Bytes)
	records := []shard.Record{{ID: "a", Name: "Ada", Email: "e", Group: 7, Epoch: 3, LSN: 7}}
	golden(t, "records-part", RecordsPart(testLayout, 5, 9, records, &Buckets{}).Bytes)
	whole := WholePart(5, 9, &replica.Effect{LSN: 10, History: []shard.Position{{Epoch: 3, LSN: 7}}, Entries: entries},
		counts)
	_, values = splitRecords(t, whole.Bytes)
	window := values[len(values)-1]
	golden(t, "meta-window", append([]byte(MetaWindow+" "), window...))
	if read, err := ReadWindow(window); err != nil || !reflect.DeepEqual(read, entries) {
		t.Errorf("a window is read as %+v, %v", read, err)
	}
	golden(t, "raft-part", SavedPart(7, []views.SavedEntry{{Key: "e\x00\x01", Value: []byte("entry")},
		{Key: "e\x00\x02", Delete: true}}, nil).Bytes)
	identity := Identity{Format: Format, Cluster: "tandem", Node: "db-0", Ring: "db-0,db-1,db-2", Shards: 24,
		Store: "2f0c5b5e-7a4c-4a52-9d0a-0123456789ab"}
	text, err := json.Marshal(identity)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "identity", text)
	read := Identity{}
	if err = json.Unmarshal(text, &read); err != nil || read != identity {
		t.Errorf("an identity is read as %+v, %v", read, err)
	}
}

// A header of another version is refused by name, whatever follows.
func TestHeadersOfOtherVersionsAreRefused(t *testing.T) {
	part := EntriesPart(testLayout, 5, 9, someEntries(), false, &Buckets{}, 1234)
	_, n := binary.Uvarint(part.Bytes[1:])
	for _, version := range []byte{0, headVersion - 1, headVersion + 1, 255} {
		part.Bytes[1+n] = version
		if _, err := ReadBatch(JoinParts(nil, []Part{part}), nil); !errors.Is(err, ErrBatch) ||
			!strings.Contains(err.Error(), "expected version 3") {
			t.Errorf("version %d: %v", version, err)
		}
	}
}
