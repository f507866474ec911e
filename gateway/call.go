package main

import (
	"errors"
	"fmt"
	"time"

	"tandem/shard"
	"tandem/wire"
)

// ErrUnavailable is the class of a request that could not be answered within its deadline.
var ErrUnavailable = errors.New("no answer within the deadline")

// ErrNode is the class of a request that a node refused for good.
var ErrNode = errors.New("a node refused the request")

// retryPause lies between two tries that failed at once.
const retryPause = 5 * time.Millisecond

// mayRetry tells the refusals after which the same request, with the same request id, is sent again.
var mayRetry = map[wire.Code]bool{wire.NotLeader: true, wire.Unavailable: true, wire.Overdue: true, wire.Busy: true, wire.Disk: true}

// askLeader sends a get or a write to the leader of its shard until it is answered: again with the same request id after a broken
// connection, a try without an answer and a refusal that may pass. until is in ns on the boot-time clock. sent tells whether a
// write may have been done although err is not nil. Errors: ErrUnavailable with the last reason, ErrNode.
func askLeader(room *Room, m *wire.Message, until int64) (answer *wire.Message, sent bool, err error) {
	reason := errors.New("no node was asked")
	for try := 0; ; try++ {
		left := time.Duration(until - clock())
		if left <= 0 {
			return nil, sent, fmt.Errorf("%w: %w", ErrUnavailable, reason)
		}
		if try > 0 {
			room.Metrics.Retries.Inc()
		}
		links := room.Links[room.Views[m.Shard].Leader]
		link := links[(int(m.Shard)+try)%len(links)]
		r := try1(link, m, until, min(room.Config.Try, left))
		switch {
		case r.err != nil:
			reason = r.err
			sent = sent || !errors.Is(r.err, errNotSent)
		case r.message.Kind != wire.Error:
			return r.message, true, nil
		case mayRetry[r.message.Code]:
			reason = errors.New(r.message.Text)
		default:
			return nil, sent, fmt.Errorf("%w: %s", ErrNode, r.message.Text)
		}
		time.Sleep(min(retryPause, max(left, 0)))
	}
}

// errNotSent marks a try whose frame certainly did not leave.
var errNotSent = errors.New("not sent")

// try1 sends a copy of the frame, which the link changes, and waits for its answer.
func try1(link *Link, m *wire.Message, until int64, wait time.Duration) reply {
	frame := *m
	r := request{&frame, until, make(chan reply, 1)}
	select {
	case link.In <- r:
	default:
		return reply{err: fmt.Errorf("%w: %w: too many requests wait for the node", ErrLink, errNotSent)}
	}
	late := time.NewTimer(wait)
	defer late.Stop()
	select {
	case got := <-r.reply:
		return got
	case <-late.C:
		return reply{err: fmt.Errorf("%w: the node has not answered within %v", ErrLink, wait)}
	}
}

// routed is a frame for a node.
type routed struct {
	node    int
	message *wire.Message
}

// askAll sends reads to their nodes at once and waits for all answers, no longer than within. failed is the node whose answer is missing, with err; -1 if
// none is.
func askAll(room *Room, frames []routed, within time.Duration) (answers []*wire.Message, failed int, err error) {
	requests := make([]request, len(frames))
	for i, f := range frames {
		requests[i] = request{f.message, 0, make(chan reply, 1)}
		links := room.Links[f.node]
		select {
		case links[i%len(links)].In <- requests[i]:
		default:
			requests[i].reply <- reply{err: fmt.Errorf("%w: too many requests wait for %s", ErrLink, room.Members[f.node].Name)}
		}
	}
	late := time.NewTimer(min(4*room.Config.Try, max(within, 0)))
	defer late.Stop()
	for i, f := range frames {
		got := reply{}
		select {
		case got = <-requests[i].reply:
		case <-late.C:
			got.err = fmt.Errorf("%w: %s has not answered in time", ErrLink, room.Members[f.node].Name)
		}
		if got.err == nil && got.message.Kind == wire.Error {
			got.err = fmt.Errorf("%s: %s", room.Members[f.node].Name, got.message.Text)
		}
		if got.err != nil {
			return nil, f.node, got.err
		}
		answers = append(answers, got.message)
	}
	return answers, -1, nil
}

// census is the users of each shard, and the node that was asked for it.
type census struct {
	counts  []uint64
	cover   []int
	touched int
	total   uint64
}

// countAll asks a cover of nodes for the counts of all shards; down has the nodes that did not answer before, and grows.
func countAll(room *Room, down []bool, turn int, until int64) (census, error) {
	reason := error(nil)
	for clock() < until {
		cover, err := shard.Cover(room.Layout, room.Views, down, turn)
		if err != nil {
			return census{}, fmt.Errorf("%w: %w: %w", ErrUnavailable, err, reason)
		}
		frames, sets := []routed{}, make([][]uint64, room.Layout.Nodes)
		for s, node := range cover {
			sets[node] = append(sets[node], uint64(s))
		}
		for node, set := range sets {
			if len(set) > 0 {
				frames = append(frames, routed{node, &wire.Message{Kind: wire.Count, Set: set}})
			}
		}
		answers, failed, err := askAll(room, frames, time.Duration(until-clock()))
		if err != nil {
			down[failed], reason = true, err
			continue
		}
		c := census{make([]uint64, room.Layout.Shards), cover, len(frames), 0}
		for _, a := range answers {
			for _, n := range a.Counts {
				c.counts[n.Shard%uint64(len(c.counts))] = n.Users
				c.total += n.Users
			}
		}
		return c, nil
	}
	return census{}, fmt.Errorf("%w: %w", ErrUnavailable, reason)
}
