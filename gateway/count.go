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
}

// askAll sends reads to their nodes at once and waits for all answers, no longer than within when nothing comes, and no
// longer than most in all. failed is the node whose answer is missing, with err; -1 if none is.
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
			return nil, f.node, got.err
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

// excludedNodes has the nodes that are left out of a count or a list: failed has all of them, silent those that said
// nothing, persistent those for which waiting is of no use, as they are unreachable or one of their shards is stuck.
type excludedNodes struct{ failed, silent, persistent, unreachable []bool }

// noneExcluded leaves no node out.
func noneExcluded(l shard.Layout) excludedNodes {
	return excludedNodes{make([]bool, l.Nodes), make([]bool, l.Nodes), make([]bool, l.Nodes), make([]bool, l.Nodes)}
}

// countAll asks a cover of nodes for the counts of all shards. excluded has the nodes that failed before, and grows.
// When they leave a shard without a replica in sync, those that refused are asked again after a pause, for views may
// have changed, and the silent ones too when that does not help.
func countAll(wiring *wiring, excluded excludedNodes, turn int, until int64) (shardCounts, error) {
	reason, known := errUnasked, currentViews(wiring.Views).Views
	for try := 0; proc.Clock() < until; try++ {
		views := currentViews(wiring.Views).Views
		if &views[0] != &known[0] { // what could not succeed may succeed now
			known = views
			clear(excluded.persistent)
			clear(excluded.unreachable)
		}
		cover, err := shard.Cover(wiring.Layout, views, excludeOutOfSync(views, excluded.failed), turn)
		if err != nil {
			cover, err = shard.Cover(wiring.Layout, views, excluded.failed, turn)
		}
		if err == nil {
			cover, err = inSync(views, cover, excluded.failed)
		}
		if err != nil {
			if try == 0 {
				reason = err
			}
			if slices.Equal(excluded.failed, excluded.silent) {
				clear(excluded.silent)
			}
			copy(excluded.failed, excluded.silent)
			rest, uncoverable := shard.Cover(wiring.Layout, views, excluded.persistent, turn)
			if uncoverable == nil {
				_, uncoverable = inSync(views, rest, excluded.unreachable)
			}
			if uncoverable != nil {
				break
			}
			time.Sleep(min(unavailablePause, time.Duration(until-proc.Clock())))
			continue
		}
		frames, sets := []nodeFrame{}, make([][]uint64, wiring.Layout.Nodes)
		for s, node := range cover {
			sets[node] = append(sets[node], uint64(s))
		}
		for node, set := range sets {
			if len(set) > 0 {
				frames = append(frames, nodeFrame{node, &wire.Message{Kind: wire.Count, Set: set}})
			}
		}
		left := until - proc.Clock()
		answers, failed, err := askAll(wiring, frames, readTimeout(wiring.Config.Try, left), time.Duration(left))
		c := shardCounts{make([]uint64, wiring.Layout.Shards), cover, len(frames), 0}
		if err == nil {
			c, failed, err = addCounts(wiring, frames, answers, c)
		}
		if err == nil {
			return c, nil
		}
		wiring.Metrics.Retries.WithLabelValues(string(uncovered)).Inc()
		excluded.failed[failed], excluded.silent[failed], reason = true, errors.Is(err, errLink), err
		excluded.persistent[failed] = errors.Is(err, errPersistent)
		excluded.unreachable[failed] = excluded.persistent[failed] && excluded.silent[failed]
	}
	return shardCounts{}, unanswered(proc.Clock() >= until, reason)
}

// excludeOutOfSync adds to the nodes that are down those whose replica of some shard is not in sync: a cover without
// them asks the fewest nodes.
func excludeOutOfSync(views []shard.View, down []bool) []bool {
	all := slices.Clone(down)
	for _, v := range views {
		all[v.Backup] = all[v.Backup] || !v.InSync
	}
	return all
}

// inSync puts the leader in the place of each backup that is not in sync. Error: shard.ErrUncovered, if it is down.
func inSync(views []shard.View, cover []int, down []bool) ([]int, error) {
	for s, v := range views {
		if cover[s] != v.Backup || v.InSync {
			continue
		}
		if down[v.Leader] {
			return nil, fmt.Errorf("%w: shard %d: node %d is down and node %d is not in sync", shard.ErrUncovered, s,
				v.Leader, v.Backup)
		}
		cover[s] = v.Leader
	}
	return cover, nil
}

// addCounts adds the answers to frames. failed is a node that did not answer for each shard exactly once, with err.
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
			return c, node, fmt.Errorf("%s has not answered for each shard once", wiring.Members[node].Name)
		}
	}
	return c, -1, nil
}
