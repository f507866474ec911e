package replica

import (
	"encoding/binary"
	"tandem/shard"
	"testing"
	"unsafe"
)

// BenchmarkWrite takes a write through the decisions of both replicas: sequenced and sent, stored at the backup, stored
// at the leader and answered.
func BenchmarkWrite(b *testing.B) {
	leader, backup := replicaAt(0, inSync, 1<<62), replicaAt(1, inSync, 1<<62)
	leader, _ = drive(leader, Event{Kind: StreamUp, Stream: 1}, Event{Kind: PeerPosition, Stream: 1, Epoch: 1, LSN: 7,
		LastEpoch: 1})
	backup, _ = drive(backup, Event{Kind: PositionAsked, Epoch: 1, Caller: 1})
	var out []Effect
	lsn := uint64(7)
	b.ReportAllocs()
	for b.Loop() {
		lsn++
		now := int64(lsn) * 100_000
		change := shard.Change{Op: shard.Create, ID: "0198c0de-7a11-7000-8000-0123456789ab", Name: "Ada Lovelace",
			Email: "ada.lovelace@example.org", Group: 7}
		binary.BigEndian.PutUint64(change.Request[:], lsn)
		leader, out = Step(leader, &Event{Kind: WriteAsked, Now: now, Deadline: now + 1, Change: change, Caller: 1}, out[:0])
		if len(out) == 0 || out[0].Kind != SendAppend {
			b.Fatalf("%+v", out)
		}
		backup, out = Step(backup, &Event{Kind: EntriesCame, Now: now, Epoch: 1, LSN: lsn, Applied: lsn - 1,
			Entries: out[0].Entries, Caller: 1}, out[:0])
		backup, out = Step(backup, &Event{Kind: DiskStored, Now: now, LSN: lsn}, out[:0])
		if len(out) == 0 || out[0].Kind != SendStored {
			b.Fatalf("%+v", out)
		}
		leader, out = Step(leader, &Event{Kind: PeerStored, Now: now, Stream: 1, Epoch: 1, LSN: lsn}, out[:0])
		leader, out = Step(leader, &Event{Kind: DiskStored, Now: now, LSN: lsn}, out[:0])
		if len(out) == 0 || out[0].Kind != Answer || out[0].Reply.Result != shard.Created {
			b.Fatalf("%+v", out)
		}
	}
	b.ReportMetric(float64(unsafe.Sizeof(leader)), "bytes/state")
	b.ReportMetric(float64(unsafe.Sizeof(out[0])), "bytes/effect")
}

// BenchmarkRead takes a get through the leader's decision.
func BenchmarkRead(b *testing.B) {
	leader := replicaAt(0, inSync, 1<<62)
	var out []Effect
	e := &Event{Kind: GetAsked, Now: 1, Exists: true, Current: shard.Record{ID: "13AE742", Name: "Ada", Epoch: 1, LSN: 3},
		Caller: 1}
	b.ReportAllocs()
	for b.Loop() {
		if leader, out = Step(leader, e, out[:0]); out[0].Reply.Result != shard.Found {
			b.Fatalf("%+v", out)
		}
	}
}
