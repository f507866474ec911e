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

// triesUnderWay bounds the tries of one request that wait for an answer.
const triesUnderWay = 4

// mayRetry tells the refusals after which the same request, with the same request id, is sent again.
var mayRetry = map[wire.Code]bool{wire.NotLeader: true, wire.Unavailable: true, wire.Overdue: true, wire.Busy: true, wire.Disk: true}

// The marks of a try whose frame certainly did not leave, and of one that got no answer in its time.
var (
	errNotSent = errors.New("not sent")
	errLate    = errors.New("the node has not answered in time")
)

// askLeader sends a get or a write to the leader of its shard until it is answered: again with the same request id after a broken
// connection, a try without an answer and a refusal that may pass. sent tells whether a write may have been done although err is
// not nil. The tries share one channel, so that an answer counts that comes after its try was given up. The message belongs to the links from
// then on. Errors: ErrUnavailable with the last reason that tells something, ErrNode.
func askLeader(room *Room, m *wire.Message, until time.Time) (answer *wire.Message, sent bool, err error) {
	reason, replies, owed := errors.New("no node was asked"), make(chan reply, triesUnderWay), 0
	if m.Kind == wire.Write {
		m.Deadline = clock() + int64(time.Until(until)) // the clock first: so the sum is never later than until
	}
	for try := 0; ; try++ {
		left := time.Until(until)
		if left <= 0 {
			return nil, sent, fmt.Errorf("%w: %w", ErrUnavailable, reason)
		}
		if try > 0 {
			room.Metrics.Retries.Inc()
		}
		leader, wait := room.Views[m.Shard].Leader, min(room.Config.Try, left)
		links := room.Links[leader]
		if owed < cap(replies) {
			give(links[try%len(links)], m, replies) // first tries share a connection, and so its system calls
			owed++
		}
		got := await(replies, wait)
		late := got.err == errLate
		if late {
			got.err = fmt.Errorf("%w: %s: %w: %v", ErrLink, room.Members[leader].Name, errLate, wait)
		} else {
			owed--
		}
		switch {
		case got.err != nil:
			sent = sent || m.Kind == wire.Write && !errors.Is(got.err, errNotSent)
			if !late || try == 0 || wait == room.Config.Try { // a last try that the deadline cut short tells nothing
				reason = got.err
			}
		case got.message.Kind == wire.Outcome:
			return got.message, true, nil
		case got.message.Kind != wire.Error:
			return nil, sent, fmt.Errorf("%w: %s answered with a frame of kind %d", ErrNode, room.Members[leader].Name, got.message.Kind)
		case mayRetry[got.message.Code]:
			reason = fmt.Errorf("%s: %s", room.Members[leader].Name, got.message.Text)
		default:
			return nil, sent, fmt.Errorf("%w: %s: %s", ErrNode, room.Members[leader].Name, got.message.Text)
		}
		if !late {
			time.Sleep(min(retryPause, left))
		}
	}
}

// give hands a request to a link, or fails it at once. It never waits.
func give(link *Link, m *wire.Message, replies chan reply) {
	select {
	case link.In <- request{m, replies}:
	default:
		replies <- reply{err: fmt.Errorf("%w: %w: too many requests wait for the node", ErrLink, errNotSent)}
	}
}

// await waits for a reply; after some time it is errLate.
func await(replies <-chan reply, wait time.Duration) reply {
	late := time.NewTimer(wait)
	defer late.Stop()
	select {
	case got := <-replies:
		return got
	case <-late.C:
		return reply{err: errLate}
	}
}

// routed is a frame for a node.
type routed struct {
	node    int
	message *wire.Message
}

// askAll sends reads to their nodes at once and waits for all answers, no longer than within. failed is the node whose answer is
// missing, with err; -1 if none is.
func askAll(room *Room, frames []routed, within time.Duration) (answers []*wire.Message, failed int, err error) {
	requests := make([]request, len(frames))
	for i, f := range frames {
		requests[i] = request{f.message, make(chan reply, 1)}
		links := room.Links[f.node]
		select {
		case links[len(links)-1].In <- requests[i]:
		default:
			requests[i].reply <- reply{err: fmt.Errorf("%w: too many requests wait for %s", ErrLink, room.Members[f.node].Name)}
		}
	}
	late := time.NewTimer(within)
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

// roundTime is how long a round of reads waits: half of what is left, so that a node that stalls leaves time to ask others.
func roundTime(room *Room, until time.Time) time.Duration {
	left := time.Until(until)
	return min(left, max(left/2, room.Config.Try))
}

// census is the users of each shard, and the node that was asked for it.
type census struct {
	counts  []uint64
	cover   []int
	touched int
	total   uint64
}

// countAll asks a cover of nodes for the counts of all shards. down has the nodes that did not answer before, and grows; when they leave a
// shard without a replica, all are asked again after a pause.
func countAll(room *Room, down []bool, turn int, until time.Time) (census, error) {
	reason := errors.New("no node was asked")
	for try := 0; time.Now().Before(until); try++ {
		cover, err := shard.Cover(room.Layout, room.Views, down, turn)
		if err != nil {
			if try == 0 {
				reason = err
			}
			clear(down)
			time.Sleep(min(retryPause, time.Until(until)))
			continue
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
		answers, failed, err := askAll(room, frames, roundTime(room, until))
		c := census{make([]uint64, room.Layout.Shards), cover, len(frames), 0}
		if err == nil {
			c, failed, err = tally(room, frames, answers, c)
		}
		if err == nil {
			return c, nil
		}
		down[failed], reason = true, err
	}
	return census{}, fmt.Errorf("%w: %w", ErrUnavailable, reason)
}

// tally fills a census with the answers to frames. failed is a node that did not answer for each shard exactly once, with err.
func tally(room *Room, frames []routed, answers []*wire.Message, c census) (filled census, failed int, err error) {
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
			return c, node, fmt.Errorf("%s has not answered for each shard once", room.Members[node].Name)
		}
	}
	return c, -1, nil
}
