package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"tandem/wire"
	"tandem/wire/proc"
)

// errLate is the class of a request that was not answered within its deadline.
var errLate = errors.New("no answer within the deadline")

// errUnavailable is the class of a request that was given up before its deadline, as nobody can answer it.
var errUnavailable = errors.New("it cannot be answered now")

// errNode is the class of a request that a node refused for good.
var errNode = errors.New("a node refused the request")

// tryMargin is by how much earlier than the gateway gives a try up a node may no longer begin it.
const tryMargin = 2 * time.Millisecond

// triesAtNode bounds the tries of one request that wait for an answer of the same node: one on each of two connections.
const triesAtNode = 2

// errUnasked is the reason of a request for which there was no time.
var errUnasked = errors.New("no node was asked")

// askLeader sends a get or a write to the leader of its shard until it is answered: again with the same request id
// after a broken connection, a try without an answer and a refusal that may pass, at the replica that nextTry says.
// Every try is listened to until the end, so an outcome counts that comes after its try was given up. One that the
// deadline cuts short tells little. began, from when
// on the deadline counts, is in ns on the boot-time clock, and just now. uncertainTries is how many tries there were,
// if one of them may have done a write although err is not nil, else 0. The message belongs to the links from then on.
// Errors: errLate and errUnavailable with the last reason that tells something, errNode.
func askLeader(wiring *wiring, m *wire.Message, began int64) (answer *wire.Message, uncertainTries int, err error) {
	set := currentViews(wiring.Views)
	view, most := set.Views[m.Shard], min(wiring.Config.Links, triesAtNode)
	retry, nodes := retryState{view: view, node: view.Leader, due: began}, [2]int{view.Leader, view.Backup}
	var replies [2]chan reply // by node, as are the numbers of tries that wait for an answer, and of all tries
	var pending, sent [2]int
	open, reason := make([]try, 0, 4), errUnasked // open: tries of a write that a node may have begun, or may yet begin
	told := none                                  // of what kind the reason is
	var uncertain, accepted bool
	until, late := began+int64(wiring.Config.Deadline), time.NewTimer(min(wiring.Config.Try, wiring.Config.Deadline))
	defer func() { late.Stop(); wiring.Metrics.Tries.Observe(float64(sent[0] + sent[1])) }()
	for now := began; now < until; now = proc.Clock() {
		side := slices.Index(nodes[:], retry.node)
		if !retry.waiting && retry.due <= now {
			retry.waiting, retry.due = true, now+int64(patienceWith(wiring.Config.Try, pending[side]))
			if replies[side] == nil {
				replies[side] = make(chan reply, most)
			}
			if pending[side] < most {
				at := try{now, min(until, now+int64(wiring.Config.Try-tryMargin))}
				if sent[0]+sent[1] > 0 {
					wiring.Metrics.Retries.WithLabelValues(string(retry.last)).Inc()
				}
				links := wiring.Links[retry.node] // first tries share a connection, and so its system calls
				sendTry(links[sent[side]%len(links)], m, replies[side], at)
				open, pending[side], sent[side] = append(open, at), pending[side]+1, sent[side]+1
			}
		}
		if now > began { // in the first round it has just been set
			late.Reset(time.Duration(min(retry.due, until) - now))
		}
		got, from := awaitReply(replies, late.C, set.Changed)
		if open, accepted = acceptReply(open, got, m.Kind == wire.Write); accepted {
			return got.message, 0, nil
		}
		now = proc.Clock()
		what, why := none, error(nil)
		switch {
		case from >= 0:
			what, why = classifyReply(got, wiring.Members[nodes[from]].Name)
			pending[from], uncertain = pending[from]-1, uncertain || !notExecuted[what]
			if what == none {
				return nil, countUncertain(m, uncertain, pending, sent), fmt.Errorf("%w: %w", errNode, why)
			}
		case retry.waiting && (now >= retry.due || now >= until && (told == none || told == notLeader)):
			what, why, from = silence, isSilent(wiring.Members[retry.node].Name), side
		}
		if why != nil && tellsMore(told, what) {
			reason, told = why, what
		}
		if !retry.waiting || from != side { // of an earlier try
			what = none
		}
		set = refreshViews(wiring.Views, set)
		if retry = nextTry(retry, set.Views[m.Shard], what, now); retry.persistent >= len(nodes) {
			break
		}
	}
	return nil, countUncertain(m, uncertain, pending, sent), unanswered(proc.Clock() >= until, reason)
}

// tellsMore tells whether why a try has failed is of more use to a client than why an earlier one has: who does not
// lead says little, and that the other replica cannot be reached hides why the one that can be does not serve.
func tellsMore(earlier, what failure) bool {
	switch {
	case earlier == none, earlier == notLeader:
		return true
	case earlier == stuck:
		return what != unreachable && what != unsent && what != notLeader
	}
	return what != notLeader
}

// patienceWith is how long a try is waited for at a node that has left so many earlier ones unanswered.
func patienceWith(try time.Duration, unanswered int) time.Duration {
	if unanswered > 0 {
		return againAfter
	}
	return try
}

// countUncertain returns how many tries there were, if one of them may have done a write: one that still waits for its
// answer, or one whose failure leaves that open. Else it is 0.
func countUncertain(m *wire.Message, uncertain bool, pending, sent [2]int) int {
	if m.Kind == wire.Write && (uncertain || pending[0]+pending[1] > 0) {
		return sent[0] + sent[1]
	}
	return 0
}

// unanswered is the error of a request that got no answer, with the reason: that its deadline has passed it says only
// if it has.
func unanswered(late bool, reason error) error {
	if late {
		return fmt.Errorf("%w: %w", errLate, reason)
	}
	return fmt.Errorf("%w: %w", errUnavailable, reason)
}

// acceptReply takes a reply's try off the list of those that a node may have begun, or may yet begin, and tells whether
// the reply is accepted: an outcome is, but for the refusal of a write while an earlier try may still be done after it
// (rule R20). A try whose connection broke, or whose answer a node lost, stays on the list.
func acceptReply(open []try, got reply, write bool) ([]try, bool) {
	outcome := got.err == nil && got.message != nil && got.message.Kind == wire.Outcome
	rest, accepted := open[:0], outcome
	for _, t := range open {
		if t == got.try && (got.err == nil && got.message.Code != wire.AnswerLost || errors.Is(got.err, errNotSent)) {
			continue
		}
		rest = append(rest, t)
		if write && outcome && got.message.Result >= wire.Missing && got.try.sent < t.until {
			accepted = false
		}
	}
	return rest, accepted
}

// classifyReply tells why a reply of a node is no outcome; none stands for a refusal that will not pass.
func classifyReply(got reply, node string) (failure, error) {
	switch {
	case errors.Is(got.err, errPersistent):
		return unreachable, got.err
	case errors.Is(got.err, errNotSent):
		return unsent, got.err
	case got.err != nil:
		return broken, got.err
	case got.message.Kind == wire.Outcome:
		return unsure, fmt.Errorf("%s refused the write, but an earlier try of it may yet be done", node)
	case got.message.Kind != wire.Error:
		return none, fmt.Errorf("%s answered with a frame of kind %d", node, got.message.Kind)
	}
	return failures[got.message.Code], fmt.Errorf("%s: %s", node, got.message.Text)
}

// sendTry hands a request to a link, or fails it at once. It never waits.
func sendTry(link *linkHandle, m *wire.Message, replies chan reply, at try) {
	select {
	case link.In <- request{message: m, reply: replies, try: at}:
	default:
		replies <- reply{err: queueFull(link.Name), try: at}
	}
}

// awaitReply waits for a reply and says of which node it is; when it is late, or when the views have changed, -1.
func awaitReply(replies [2]chan reply, late <-chan time.Time, changed <-chan struct{}) (got reply, from int) {
	select {
	case got = <-replies[0]:
		return got, 0
	case got = <-replies[1]:
		return got, 1
	case <-late:
	case <-changed:
	}
	return reply{}, -1
}
