package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"tandem/shard"
	"tandem/wire"
)

// routed is a frame for a node.
type routed struct {
	node    int
	message *wire.Message
}

// askAll sends reads to their nodes at once and waits for all answers, no longer than within when nothing comes, and no
// longer than most in all. failed is the node whose answer is missing, with err; -1 if none is.
func askAll(wiring *Wiring, frames []routed, within, most time.Duration) (
	answers []*wire.Message, failed int, err error) {
	requests, heard := make([]request, len(frames)), make(chan struct{}, 1)
	for i, f := range frames {
		requests[i] = request{message: f.message, reply: make(chan reply, 1), heard: heard}
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
			case <-heard: // a part of an answer
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
				got.err = marked{got.err, []error{errPersistent}}
			}
		}
		if got.err != nil {
			return nil, f.node, got.err
		}
		answers = append(answers, got.message)
	}
	return answers, -1, nil
}

// roundTime is how long a round of reads waits: a third of what is left, so that a node that stalls leaves time to ask
// others twice.
func roundTime(try time.Duration, left int64) time.Duration {
	return min(time.Duration(left), max(time.Duration(left/3), try))
}

// census is the users of each shard, and the node that was asked for it.
type census struct {
	counts  []uint64
	cover   []int
	touched int
	total   uint64
}

// absent has the nodes that are left out of a count or a list: down of those that have failed it, mute of those among
// them that said nothing, lost of those for which waiting is of no use, as they cannot be reached (away) or one of
// their shards stands still.
type absent struct{ down, mute, lost, away []bool }

// nobody leaves no node out.
func nobody(l shard.Layout) absent {
	return absent{make([]bool, l.Nodes), make([]bool, l.Nodes), make([]bool, l.Nodes), make([]bool, l.Nodes)}
}

// countAll asks a cover of nodes for the counts of all shards. gone has the nodes that failed before, and grows. When
// they leave a shard without a replica in sync, those that refused are asked again after a pause, for views may have
// changed, and the mute ones too when that does not help.
func countAll(wiring *Wiring, gone absent, turn int, until int64) (census, error) {
	reason, known := errUnasked, currentViews(wiring.Views).Views
	for try := 0; clock() < until; try++ {
		views := currentViews(wiring.Views).Views
		if &views[0] != &known[0] { // what could not succeed may succeed now
			known = views
			clear(gone.lost)
			clear(gone.away)
		}
		cover, err := shard.Cover(wiring.Layout, views, wanting(views, gone.down), turn)
		if err != nil {
			cover, err = shard.Cover(wiring.Layout, views, gone.down, turn)
		}
		if err == nil {
			cover, err = inSync(views, cover, gone.down)
		}
		if err != nil {
			if try == 0 {
				reason = err
			}
			if slices.Equal(gone.down, gone.mute) {
				clear(gone.mute)
			}
			copy(gone.down, gone.mute)
			rest, uncoverable := shard.Cover(wiring.Layout, views, gone.lost, turn)
			if uncoverable == nil {
				_, uncoverable = inSync(views, rest, gone.away)
			}
			if uncoverable != nil {
				break
			}
			time.Sleep(min(failingOver, time.Duration(until-clock())))
			continue
		}
		frames, sets := []routed{}, make([][]uint64, wiring.Layout.Nodes)
		for s, node := range cover {
			sets[node] = append(sets[node], uint64(s))
		}
		for node, set := range sets {
			if len(set) > 0 {
				frames = append(frames, routed{node, &wire.Message{Kind: wire.Count, Set: set}})
			}
		}
		left := until - clock()
		answers, failed, err := askAll(wiring, frames, roundTime(wiring.Config.Try, left), time.Duration(left))
		c := census{make([]uint64, wiring.Layout.Shards), cover, len(frames), 0}
		if err == nil {
			c, failed, err = tally(wiring, frames, answers, c)
		}
		if err == nil {
			return c, nil
		}
		wiring.Metrics.Retries.WithLabelValues(string(uncovered)).Inc()
		gone.down[failed], gone.mute[failed], reason = true, errors.Is(err, ErrLink), err
		gone.lost[failed] = errors.Is(err, errPersistent)
		gone.away[failed] = gone.lost[failed] && gone.mute[failed]
	}
	return census{}, unanswered(clock() >= until, reason)
}

// wanting adds to the nodes that are down those whose replica of some shard is not in sync: a cover without them asks
// the fewest nodes.
func wanting(views []shard.View, down []bool) []bool {
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

// tally fills a census with the answers to frames. failed is a node that did not answer for each shard exactly once,
// with err.
func tally(wiring *Wiring, frames []routed, answers []*wire.Message, c census) (filled census, failed int, err error) {
	seen := make([]bool, len(c.counts))
	for i, a := range answers {
		node := frames[i].node
		good := a.Kind == wire.Counts && len(a.Counts) == len(frames[i].message.Set)
		for _, n := range a.Counts {
			if good = good && n.Shard < uint64(len(seen)) && c.cover[n.Shard] == node && !seen[n.Shard]; !good {
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
