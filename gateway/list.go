package main

import (
	"time"

	"tandem/shard"
	"tandem/wire"
)

// planPage cuts a page into frames for the nodes of the cover.
func planPage(l shard.Layout, q Query, c census) []routed {
	frames := []routed{}
	segments := shard.PlanOffset(c.counts, q.Offset, q.Limit)
	var after []byte
	if q.Walk && q.After != "" {
		first, _ := shard.Place(l, q.After)
		segments, after = shard.PlanAfter(c.counts, first, q.Limit), []byte(q.After)
	}
	for i, part := range segments {
		m := &wire.Message{Kind: wire.List, Shard: uint64(part.Shard), Offset: part.Offset, Limit: part.Limit}
		if i == 0 {
			m.After = after
		}
		frames = append(frames, routed{c.cover[part.Shard], m})
	}
	return frames
}

// readPage reads the users that frames ask for, in their order, up to limit. A page that the node had to cut is asked for again behind
// its last user; within is the time for each round.
func readPage(room *Room, frames []routed, limit uint64, within time.Duration) (users []wire.Record, failed int, err error) {
	parts := make([][]wire.Record, len(frames))
	open := make([]int, len(frames)) // which part each frame under way belongs to
	for i := range open {
		open[i] = i
	}
	for len(frames) > 0 {
		answers, failed, err := askAll(room, frames, within)
		if err != nil {
			return nil, failed, err
		}
		further, still := []routed{}, []int{}
		for i, a := range answers {
			part, ask := open[i], frames[i].message
			parts[part] = append(parts[part], a.Records...)
			if !a.More || len(a.Records) == 0 || uint64(len(a.Records)) >= ask.Limit {
				continue
			}
			next := &wire.Message{Kind: wire.List, Shard: ask.Shard, After: []byte(a.Records[len(a.Records)-1].ID), Limit: ask.Limit - uint64(len(a.Records))}
			further, still = append(further, routed{frames[i].node, next}), append(still, part)
		}
		frames, open = further, still
	}
	for _, part := range parts {
		users = append(users, part[:min(uint64(len(part)), limit-uint64(len(users)))]...)
	}
	return users, -1, nil
}
