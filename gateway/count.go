package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"tandem/shard"
	"tandem/wire"
	"tandem/wire/proc"
)

// nodeFrame is a frame for a node.
type nodeFrame struct {
	node    int
	message *wire.Message
	kin     [2]int // of a count that a node has refused as a whole: the leader and the backup of the shards in it
}

// askAll sends reads to their nodes at once and waits for all answers, no longer than within when nothing comes, and no
// longer than most in all. failed is the frame whose answer is missing, with err; -1 if none is.
func askAll(wiring *wiring, frames []nodeFrame, within, most time.Duration) (
	answers []*wire.Message, failed int, err error) {
	requests, progress := make([]request, len(frames)), make(chan struct{}, 1)
	for i, f := range frames {
		requests[i] = request{message: f.message, reply: make(chan reply, 1), progress: progress}
		links := wiring.Links[f.node]
		select {
		case links[len(links)-1].In <- requests[i]:
		default:
			requests[i].reply <- reply{err: queueFull(wiring.Members[f.node].Name)}
		}
	}
	late, over := time.NewTimer(within), time.NewTimer(most)
	defer func() { late.Stop(); over.Stop() }()
	for i, f := range frames {
		got := reply{}
		for open := true; open; {
			open = false
			select {
			case got = <-requests[i].reply:
			case <-progress: // a part of an answer
				open = true
				late.Reset(within)
			case <-late.C:
				got.err = isSilent(wiring.Members[f.node].Name)
			case <-over.C:
				got.err = isSilent(wiring.Members[f.node].Name)
			}
		}
		if got.err == nil && got.message.Kind == wire.Error {
			got.err = fmt.Errorf("%s: %s", wiring.Members[f.node].Name, got.message.Text)
			if got.message.Code == wire.Stuck {
				got.err = classified{got.err, []error{errPersistent}}
			}
		}
		if got.err != nil {
			return nil, i, got.err
		}
		answers = append(answers, got.message)
	}
	return answers, -1, nil
}

// readTimeout is how long a round of reads waits: a third of what is left, so that a node that stalls leaves time to
// ask others twice.
func readTimeout(try time.Duration, left int64) time.Duration {
	return min(time.Duration(left), max(time.Duration(left/3), try))
}

// shardCounts is the number of users of each shard, and the node that was asked for it.
type shardCounts struct {
	counts  []uint64
	nodes   []int
	touched int
	total   uint64
}

// excluded has what is left out of a count or a list: the nodes that said nothing, unreachable those of them for which
// waiting is of no use; and {node, shard} that were refused, stuck those of them for which waiting is of no use. A node
// in split has refused several shards at once, so that it is asked for those with the same roles only.
type excluded struct {
	silent, unreachable, split []bool
	refused, stuck             map[[2]int]bool
}

// noneExcluded leaves nothing out.
func noneExcluded(l shard.Layout) excluded {
	return excluded{make([]bool, l.Nodes), make([]bool, l.Nodes), make([]bool, l.Nodes), map[[2]int]bool{},
		map[[2]int]bool{}}
}

// exclude leaves out what a frame has failed for: the node, if it said nothing; or else the shards that it was asked
// for, but first it is asked for fewer at once. It may well answer for those that it leads and not for those that it
// backs, or those that it shares with one neighbour and not with the other.
func exclude(without excluded, f nodeFrame, err error) {
	persistent, asked := errors.Is(err, errPersistent), f.message.Set
	if f.message.Kind == wire.List {
		asked = []uint64{f.message.Shard}
	}
	switch {
	case errors.Is(err, errLink):
		without.silent[f.node], without.unreachable[f.node] = true, persistent
	case len(asked) > 1 && !without.split[f.node]:
		without.split[f.node] = true
	default:
		for _, s := range asked {
			without.refused[[2]int{f.node, int(s)}], without.stuck[[2]int{f.node, int(s)}] = true, persistent
		}
	}
}

// planCount makes the frames that ask the nodes of a cover for the counts of their shards, and tells how many nodes
// those are.
func planCount(l shard.Layout, views []shard.View, cover []int, split []bool) (frames []nodeFrame, touched int) {
	asked := make([]bool, l.Nodes)
	for s, node := range cover {
		kin := [2]int{}
		if split[node] {
			kin = [2]int{views[s].Leader, views[s].Backup}
		}
		at := slices.IndexFunc(frames, func(f nodeFrame) bool { return f.node == node && f.kin == kin })
		if at < 0 {
			at, frames = len(frames), append(frames, nodeFrame{node, &wire.Message{Kind: wire.Count}, kin})
		}
		frames[at].message.Set = append(frames[at].message.Set, uint64(s))
		if !asked[node] {
			asked[node] = true
			touched++
		}
	}
	return frames, touched
}

// countAll asks a cover of nodes for the counts of all shards. without has what failed before, and grows. When that
// leaves a shard without a replica, those that refused are asked again after a pause, for views may have changed, and
// the silent nodes too when that does not help.
func countAll(wiring *wiring, without excluded, turn int, until int64) (shardCounts, error) {
	reason, known := errUnasked, currentViews(wiring.Views).Views
	for try := 0; proc.Clock() < until; try++ {
		views := currentViews(wiring.Views).Views
		if &views[0] != &known[0] { // what could not succeed may succeed now
			known = views
			clear(without.stuck)
			clear(without.unreachable)
		}
		cover, err := shard.Cover(wiring.Layout, views, without.silent, without.refused, turn)
		if err != nil {
			if try == 0 {
				reason = err
			}
			if len(without.refused) == 0 {
				clear(without.silent)
			}
			clear(without.refused)
			if _, err = shard.Cover(wiring.Layout, views, without.unreachable, without.stuck, turn); err != nil {
				break
			}
			time.Sleep(min(unavailablePause, time.Duration(until-proc.Clock())))
			continue
		}
		frames, touched := planCount(wiring.Layout, views, cover, without.split)
		left := until - proc.Clock()
		answers, failed, err := askAll(wiring, frames, readTimeout(wiring.Config.Try, left), time.Duration(left))
		c := shardCounts{make([]uint64, wiring.Layout.Shards), cover, touched, 0}
		if err == nil {
			c, failed, err = addCounts(wiring, frames, answers, c)
		}
		if err == nil {
			return c, nil
		}
		wiring.Metrics.Retries.WithLabelValues(string(uncovered)).Inc()
		exclude(without, frames[failed], err)
		reason = err
	}
	return shardCounts{}, unanswered(proc.Clock() >= until, reason)
}

// addCounts adds the answers to frames. failed is one that was not answered for each shard exactly once, with err.
func addCounts(wiring *wiring, frames []nodeFrame, answers []*wire.Message, c shardCounts) (
	filled shardCounts, failed int, err error) {
	seen := make([]bool, len(c.counts))
	for i, a := range answers {
		node := frames[i].node
		good := a.Kind == wire.Counts && len(a.Counts) == len(frames[i].message.Set)
		for _, n := range a.Counts {
			if good = good && n.Shard < uint64(len(seen)) && c.nodes[n.Shard] == node && !seen[n.Shard]; !good {
				break
			}
			seen[n.Shard], c.counts[n.Shard] = true, n.Users
			c.total += n.Users
		}
		if !good {
			return c, i, fmt.Errorf("%s has not answered for each shard once", wiring.Members[node].Name)
		}
	}
	return c, -1, nil
}
