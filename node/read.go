package main

import (
	"fmt"
	"time"

	"tandem/shard"
	"tandem/shard/replica"
	"tandem/wire"
)

// answerWithin is how long a count or a list waits for the replicas: a backup's answer may have to wait for its leader
// (rule R2).
const answerWithin = 200 * time.Millisecond

// countShards asks the replicas of the shards in m.Set and answers with their counts.
func countShards(handles *Handles, conn *conn, m *wire.Message) {
	replies := make([]chan shard.Reply, len(m.Set))
	for i, s := range m.Set {
		replies[i] = make(chan shard.Reply, 1)
		handles.ByShard[s].In <- []*replica.Event{{Kind: replica.CountAsked, Shard: int(s), Caller: replies[i]}}
	}
	late := time.NewTimer(answerWithin)
	defer late.Stop()
	frame := &wire.Message{Kind: wire.Counts, ID: m.ID}
	for i, s := range m.Set {
		select {
		case reply := <-replies[i]:
			if reply.Refusal != 0 {
				deliver(conn, answers{Message: &wire.Message{Kind: wire.Error, ID: m.ID, Code: codes[reply.Refusal],
					Text: fmt.Sprintf("shard %d: %s", s, reply.Reason)}})
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

func tooLate(id uint64) *wire.Message {
	return &wire.Message{Kind: wire.Error, ID: id, Code: wire.Unavailable,
		Text: "the shard's leader has not confirmed in time what this backup holds"}
}
