package main

import (
	"fmt"
	"time"

	"tandem/shard"
	"tandem/wire"
	"tandem/wire/proc"
)

// planPage cuts a page into frames for the nodes of the cover. Each asks for a whole page, so that what was inserted
// since the count pushes nobody out; the last one of a page at an offset asks for what the others are to leave of it. A
// walk reads from shard first on. behind is the first shard with users that the page does not reach.
func planPage(l shard.Layout, q query, first int, c shardCounts) (frames []nodeFrame, behind int) {
	segments, after := shard.PlanOffset(c.counts, q.Offset, q.Limit), []byte(nil)
	home, _ := shard.ShardOf(l, q.After)
	switch {
	case q.Walk && q.After != "" && first == home:
		segments, after = shard.PlanAfter(c.counts, first, q.Limit), []byte(q.After)
	case q.Walk:
		rest := append(make([]uint64, first), c.counts[first:]...)
		segments = shard.PlanOffset(rest, 0, q.Limit)
	}
	behind, left := first, q.Limit
	for i, part := range segments {
		m := &wire.Message{Kind: wire.List, Shard: uint64(part.Shard), Offset: part.Offset, Limit: q.Limit}
		if !q.Walk && i == len(segments)-1 {
			m.Limit = left
		}
		left -= part.Limit
		if i == 0 {
			m.After = after
		}
		frames, behind = append(frames, nodeFrame{node: c.nodes[part.Shard], message: m}), part.Shard+1
	}
	for behind < l.Shards && c.counts[behind] == 0 {
		behind++
	}
	return frames, behind
}

// readPage reads the users that frames ask for, in their order, up to limit. What a node gives of a shard is of one
// moment, and so is the number of the shard's users, which takes the place of its count: total is the sum after that.
// failed is the frame whose answer is missing or wrong, with err.
func readPage(wiring *wiring, frames []nodeFrame, c shardCounts, limit uint64, until int64) (
	users []wire.Record, total uint64, failed int, err error) {
	left := until - proc.Clock()
	answers, failed, err := askAll(wiring, frames, readTimeout(wiring.Config.Try, left), time.Duration(left))
	if err != nil {
		return nil, 0, failed, err
	}
	total = c.total
	for i, a := range answers {
		ask, got := frames[i].message, uint64(len(a.Records))
		if a.Kind != wire.Page || a.Shard != ask.Shard || got > ask.Limit || a.Users < got {
			name := wiring.Members[frames[i].node].Name
			return nil, 0, i, fmt.Errorf("%s has not answered with the page asked for", name)
		}
		total += a.Users - c.counts[ask.Shard]
		users = append(users, a.Records[:min(got, limit-uint64(len(users)))]...)
	}
	return users, total, -1, nil
}
