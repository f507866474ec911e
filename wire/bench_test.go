package wire

import (
	"runtime"
	"testing"
)

// hot has the kinds of frame that most requests need, with a user of ordinary size.
func hot() map[string]*Message {
	r := Record{"0198c0de-7a11-7000-8000-0123456789ab", "Ada Lovelace", "ada.lovelace@example.org", 7, 3, 123456}
	batch := &Message{Kind: Append, Shard: 5, Epoch: 3, LSN: 123441, Applied: 123440}
	for i := range uint64(16) {
		batch.Entries = append(batch.Entries, Entry{RequestID{byte(i)}, Updated, r.ID, r.Name, r.Email, r.Group, 3,
			123441 + i, 1790000000000})
	}
	return map[string]*Message{
		"get": {Kind: Get, ID: 70000, Shard: 5, Record: Record{ID: r.ID}},
		"write": {Kind: Write, ID: 70000, Shard: 5, Deadline: 1 << 50, Request: RequestID{1}, Op: Update,
			Fields: HasName, Record: r},
		"outcome":   {Kind: Outcome, ID: 70000, Result: Found, Touched: 1, Record: r},
		"append-16": batch,
	}
}

func BenchmarkAppendFrame(b *testing.B) {
	for name, m := range hot() {
		b.Run(name, func(b *testing.B) {
			buffer := NewCodec().AppendFrame(nil, m)
			b.SetBytes(int64(len(buffer)))
			b.ReportAllocs()
			for b.Loop() {
				buffer = NewCodec().AppendFrame(buffer[:0], m)
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, m := range hot() {
		b.Run(name, func(b *testing.B) {
			body := NewCodec().AppendFrame(nil, m)[HeadSize:]
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				got, err := decoded(body)
				if err != nil {
					b.Fatal(err)
				}
				runtime.KeepAlive(got)
			}
		})
	}
}

func BenchmarkCheck(b *testing.B) {
	for name, m := range hot() {
		b.Run(name, func(b *testing.B) {
			body := NewCodec().AppendFrame(nil, m)[HeadSize:]
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if err := Check(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
