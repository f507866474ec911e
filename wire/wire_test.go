package wire

import (
	"bufio"
	"bytes"
	"errors"
	"reflect"
	"testing"
)

// TestPreconditions: each shape of a write's preconditions is read as it was written.
func TestPreconditions(t *testing.T) {
	most := Condition{Kind: OneOf}
	for i := range maxMatch {
		most.Versions = append(most.Versions, LogPosition{uint64(i), 1 << 60})
	}
	shapes := []Condition{{}, {Kind: AnyVersion}, {Kind: OneOf}, {OneOf, []LogPosition{{1, 2}}}, most}
	for _, match := range shapes {
		for _, unless := range shapes {
			m := &Message{Kind: Write, Op: Delete, Match: match, Unless: unless}
			if got, err := decoded(NewCodec().AppendFrame(nil, m)[HeadSize:]); err != nil ||
				!reflect.DeepEqual(got, m) {
				t.Errorf("%+v: %v", got, err)
			}
		}
	}
}

// samples has one message of every kind with every field of its layout set.
func samples() []*Message {
	r := Record{"13AE742", "Ada", "ada@example.org", -7, 1, 42}
	g := Greeting{Least: Least, Most: Most, Cluster: "tandem", Role: "node", Name: "db-0", Build: "v1.0.0",
		Incarnation: [16]byte{0xa1, 15: 0x0f}, Ring: 1 << 63, Shards: 24,
		Lease: 100e6, Grace: 120e6, Store: 1 << 40, Start: StoreStart{1 << 60, 1 << 50}}
	return []*Message{
		{Kind: Error, ID: 1, Code: NotLeader, Text: "db-1 leads"},
		{Kind: Hello, ID: 1, Greeting: g},
		{Kind: Welcome, ID: 1, Greeting: g, Clock: 1 << 40, Founders: []uint64{1 << 40, 7, 9},
			Known: StoreStart{1 << 60, 3}},
		{Kind: Ping, ID: 2},
		{Kind: Pong, ID: 2, Clock: 5},
		{Kind: Get, ID: 3, Shard: 23, Record: Record{ID: "13AE742"}},
		{Kind: Write, ID: 4, Shard: 1, Deadline: 1 << 50, Request: RequestID{1, 2, 15: 9}, Op: Update,
			Fields: HasName | HasGroup, Record: r, Match: Condition{OneOf, []LogPosition{{1, 2}, {3, 4}}},
			Unless: Condition{Kind: AnyVersion}},
		{Kind: Outcome, ID: 4, Result: Updated, Touched: 2, Record: r},
		{Kind: Count, ID: 5, Set: []uint64{0, 7, 23}},
		{Kind: Counts, ID: 5, Counts: []ShardCount{{0, 12}, {7, 1 << 33}}},
		{Kind: List, ID: 6, Shard: 2, Offset: 100000, After: []byte("u\x01k"), Limit: 100},
		{Kind: Page, ID: 6, Shard: 2, Users: 1000, More: true, Records: []Record{r, r}},
		{Kind: Ask, Shard: 1, Epoch: 2},
		{Kind: Position, Shard: 1, Epoch: 2, LSN: 3, LastEpoch: 1},
		{Kind: Append, Shard: 1, Epoch: 2, LSN: 3, Applied: 2,
			Entries: []Entry{{RequestID{5}, Created, "a", "n", "e", 4, 2, 3, 1790000000123},
				{RequestID{6}, Deleted, "a", "", "", 0, 2, 4, -1}}},
		{Kind: Stored, Shard: 1, Epoch: 2, LSN: 3},
		{Kind: Applied, Shard: 1, Epoch: 2, LSN: 3},
		{Kind: StreamError, Shard: 1, Epoch: 2, Code: Disk, Text: "no space left on device"},
		{Kind: SnapBegin, Shard: 1, Epoch: 2, LSN: 3},
		{Kind: SnapData, Shard: 1, Epoch: 2, Records: []Record{r, {ID: "b", Epoch: 1, LSN: 2}}},
		{Kind: SnapEnd, Shard: 1, Epoch: 2, LSN: 3, History: []LogPosition{{1, 1}, {2, 3}},
			Entries: []Entry{{RequestID{5}, Created, "a", "n", "e", 4, 2, 3, 1790000000123}}},
		{Kind: LeasePing, Start: 5, At: 1 << 50, Lease: 100e6, State: IsUnhealthy | IsLeaving,
			Claims: []Claim{{0, 1}, {23, 1 << 40}}, LastEntries: []LastEntry{{3, 7, 6, 1 << 33}}},
		{Kind: LeasePong, At: 1 << 50, Claims: []Claim{{23, 1 << 40}}},
		{Kind: Raft, Data: []byte{8, 1, 16, 2, 0xff}},
		{Kind: Views, Views: []View{{1, 0, 1, true}, {7, 2, 1, false}}},
	}
}

func TestEveryKindSurvivesTheWire(t *testing.T) {
	var stream []byte
	for _, m := range samples() {
		stream = NewCodec().AppendFrame(stream, m)
	}
	in := bufio.NewReader(bytes.NewReader(stream))
	for i, want := range samples() {
		if int(want.Kind) != i {
			t.Fatalf("sample %d has kind %d", i, want.Kind)
		}
		body, err := ReadFrame(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decoded(body)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("kind %d:\n got %+v\nwant %+v", want.Kind, got, want)
		}
	}
	if len(samples()) != int(kindEnd) {
		t.Errorf("%d samples for %d kinds", len(samples()), kindEnd)
	}
}

func TestEveryCutAndEveryFlippedByteIsNoticed(t *testing.T) {
	for _, m := range samples() {
		body := NewCodec().AppendFrame(nil, m)[HeadSize:]
		for cut := range body {
			if _, err := decoded(body[:cut]); !errors.Is(err, ErrFrame) {
				t.Errorf("kind %d cut at %d: %v", m.Kind, cut, err)
			}
		}
		for at := 0; carriesData[m.Kind] && at < len(body); at++ {
			broken := bytes.Clone(body)
			broken[at] ^= 0x10
			if got, err := decoded(broken); err == nil {
				t.Errorf("kind %d with byte %d flipped decoded as %+v", m.Kind, at, got)
			}
		}
	}
}

// decoded decodes a body into a message of its own.
func decoded(body []byte) (*Message, error) {
	m := &Message{}
	if err := NewCodec().Decode(m, body); err != nil {
		return nil, err
	}
	return m, nil
}
