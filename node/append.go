package main

import (
	"tandem/shard"
	"tandem/wire"
)

// entrySize is an upper bound in bytes on an entry's fields other than its texts on the wire.
const entrySize = 90

// sizeOf returns about how many bytes an entry takes on the wire or in memory, at most.
func sizeOf(n *shard.Entry) int { return entrySize + len(n.ID) + len(n.Name) + len(n.Email) }

// cutAppend makes append frames of entries, each within wire.PageBytes or of one entry.
func cutAppend(s int, epoch, applied uint64, entries []shard.Entry) []*wire.Message {
	frames := []*wire.Message{}
	var m *wire.Message
	size := 0
	for i := range entries {
		n := &entries[i]
		need := entrySize + len(n.ID) + len(n.Name) + len(n.Email)
		if m == nil || size+need > wire.PageBytes {
			m = &wire.Message{Kind: wire.Append, Shard: uint64(s), Epoch: epoch, LSN: n.LSN, Applied: applied,
				Entries: make([]wire.Entry, 0, len(entries)-i)}
			frames, size = append(frames, m), 0
		}
		m.Entries = append(m.Entries, wire.Entry(*n))
		size += need
	}
	return frames
}

// takeAppend makes the core's entries of those of an append frame.
func takeAppend(m *wire.Message) []shard.Entry {
	entries := make([]shard.Entry, len(m.Entries))
	for i := range m.Entries {
		entries[i] = shard.Entry(m.Entries[i])
	}
	return entries
}

// takeRecords makes the core's records of those of a snapshot's frame.
func takeRecords(m *wire.Message) []shard.Record {
	records := make([]shard.Record, len(m.Records))
	for i := range m.Records {
		records[i] = shard.Record(m.Records[i])
	}
	return records
}

// takeHistory makes the core's history of that of a snapshot's last frame.
func takeHistory(m *wire.Message) []shard.Position {
	history := make([]shard.Position, len(m.History))
	for i := range m.History {
		history[i] = shard.Position(m.History[i])
	}
	return history
}
