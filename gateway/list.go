package main

import (
	"fmt"

	"tandem/shard"
	"tandem/wire"
)

// planPage cuts a page into frames for the nodes of the cover. A walk reads from shard first on, and each of its frames asks for a whole page,
// so that what was inserted since the count pushes nobody out. behind is the first shard with users that the page does not reach.
func planPage(l shard.Layout, q Query, first int, c census) (frames []routed, behind int) {
	segments, after := shard.PlanOffset(c.counts, q.Offset, q.Limit), []byte(nil)
	home, _ := shard.Place(l, q.After)
	switch {
	case q.Walk && q.After != "" && first == home:
		segments, after = shard.PlanAfter(c.counts, first, q.Limit), []byte(q.After)
	case q.Walk:
		rest := append(make([]uint64, first), c.counts[first:]...)
		segments = shard.PlanOffset(rest, 0, q.Limit)
	}
	behind = first
	for i, part := range segments {
		m := &wire.Message{Kind: wire.List, Shard: uint64(part.Shard), Offset: part.Offset, Limit: part.Limit}
		if q.Walk {
			m.Limit = q.Limit
		}
		if i == 0 {
			m.After = after
		}
		frames, behind = append(frames, routed{c.cover[part.Shard], m}), part.Shard+1
	}
	for behind < l.Shards && c.counts[behind] == 0 {
		behind++
	}
	return frames, behind
}

// readPage reads the users that frames ask for, in their order, up to limit. A page that the node had to cut is asked for again behind
// its last user. failed is the node whose answer is missing or wrong, with err.
func readPage(room *Room, frames []routed, limit uint64, until int64) (users []wire.Record, failed int, err error) {
	parts := make([][]wire.Record, len(frames))
	open := make([]int, len(frames)) // which part each frame under way belongs to
	for i := range open {
		open[i] = i
	}
	for len(frames) > 0 {
		answers, failed, err := askAll(room, frames, roundTime(room.Config.Try, until-clock()))
		if err != nil {
			return nil, failed, err
		}
		further, still := []routed{}, []int{}
		for i, a := range answers {
			part, ask, got := open[i], frames[i].message, uint64(len(a.Records))
			if a.Kind != wire.Page || a.Shard != ask.Shard || got > ask.Limit {
				return nil, frames[i].node, fmt.Errorf("%s has not answered with the page asked for", room.Members[frames[i].node].Name)
			}
			parts[part] = append(parts[part], a.Records...)
			if !a.More || got == 0 || got == ask.Limit {
				continue
			}
			next := &wire.Message{Kind: wire.List, Shard: ask.Shard, After: []byte(a.Records[got-1].ID), Limit: ask.Limit - got}
			further, still = append(further, routed{frames[i].node, next}), append(still, part)
		}
		frames, open = further, still
	}
	for _, part := range parts {
		users = append(users, part[:min(uint64(len(part)), limit-uint64(len(users)))]...)
	}
	return users, -1, nil
}
