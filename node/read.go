package main

import (
	"fmt"
	"time"

	"tandem/shard"
	"tandem/wire"
)

// answerWithin is how long a count or a list waits for the replicas: a backup's answer may have to wait for its leader (rule R2).
const answerWithin = 200 * time.Millisecond

// countShards asks the replicas of the shards in m.Set and answers with their counts.
func countShards(room *Room, conn *Conn, m *wire.Message) {
	replies := make([]chan shard.Reply, len(m.Set))
	for i, s := range m.Set {
		replies[i] = make(chan shard.Reply, 1)
		room.Desks[s].In <- []*shard.Event{{Kind: shard.CountAsked, Shard: int(s), Caller: replies[i]}}
	}
	late := time.NewTimer(answerWithin)
	defer late.Stop()
	frame := &wire.Message{Kind: wire.Counts, ID: m.ID}
	for i, s := range m.Set {
		select {
		case reply := <-replies[i]:
			if reply.Refusal != 0 {
				deliver(conn, answers{Message: &wire.Message{Kind: wire.Error, ID: m.ID, Code: codes[reply.Refusal], Text: fmt.Sprintf("shard %d: %s", s, reply.Reason)}})
				return
			}
			frame.Counts = append(frame.Counts, wire.ShardCount{Shard: s, Users: reply.Users})
		case <-late.C:
			deliver(conn, answers{Message: tooLate(m.ID)})
			return
		}
	}
	deliver(conn, answers{Message: frame})
}

// listPage reads a page of a shard and answers with it once the replica says that what was read is committed.
func listPage(room *Room, conn *Conn, m *wire.Message) {
	counts, began := make(chan buckets, 1), clock()
	room.Desks[m.Shard].Counts <- countsAsk{int(m.Shard), counts}
	room.Scans <- struct{}{}
	page, err := readPage(room.Store, room.Layout, m, <-counts)
	<-room.Scans
	if isDamage(err) {
		room.Desks[m.Shard].In <- []*shard.Event{{Kind: shard.DataLost, Shard: int(m.Shard), Reason: err.Error()}}
	}
	if err != nil {
		deliver(conn, answers{Message: &wire.Message{Kind: wire.Error, ID: m.ID, Code: wire.Disk, Text: err.Error()}})
		return
	}
	reply := make(chan shard.Reply, 1)
	room.Desks[m.Shard].In <- []*shard.Event{{Kind: shard.ScanDone, Shard: int(m.Shard), Caller: reply, Began: began}}
	late := time.NewTimer(answerWithin)
	defer late.Stop()
	select {
	case r := <-reply:
		if r.Refusal != 0 {
			page = &wire.Message{Kind: wire.Error, ID: m.ID, Code: codes[r.Refusal], Text: r.Reason}
		}
		deliver(conn, answers{Message: page})
	case <-late.C:
		deliver(conn, answers{Message: tooLate(m.ID)})
	}
}

func tooLate(id uint64) *wire.Message {
	return &wire.Message{Kind: wire.Error, ID: id, Code: wire.Unavailable, Text: "the shard's leader has not confirmed in time what this backup holds"}
}

// readPage reads up to m.Limit users of shard m.Shard behind the id m.After, or from m.Offset on, in the order (bucket, id). Whole
// buckets before the offset are skipped by their counts. A page is cut at wire.PageBytes; More says that it was.
func readPage(st Store, l shard.Layout, m *wire.Message, counts buckets) (*wire.Message, error) {
	s, page, size, skip := int(m.Shard), &wire.Message{Kind: wire.Page, ID: m.ID, Shard: m.Shard}, 0, m.Offset
	bucket := 0
	for ; m.After == nil && bucket < len(counts) && skip >= counts[bucket]; bucket++ {
		skip -= counts[bucket]
	}
	if bucket == len(counts) {
		return page, nil // the offset lies behind the last user
	}
	start := []byte{shard.UserPrefix, byte(bucket)}
	if m.After != nil {
		_, bucket := shard.Place(l, string(m.After))
		start, skip = append(shard.AppendKey(nil, bucket, string(m.After)), 0), 0
	}
	var damaged error
	take := func(key, value []byte) bool {
		id, _ := shard.KeyID(key)
		var r shard.Record
		r, damaged = decodeValue(value)
		if page.More = size+len(value) > wire.PageBytes; damaged != nil || page.More {
			return false
		}
		r.ID = id
		page.Records = append(page.Records, wire.Record(r))
		size += len(value) + len(id) + entrySize
		return uint64(len(page.Records)) < m.Limit
	}
	if err := walk(st, s, start, skip, take); err != nil {
		return nil, err
	}
	return page, damaged
}
