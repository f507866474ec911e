package main

import (
	"time"

	"tandem/shard"
	"tandem/wire"
)

// failure is why a try brought no answer; it labels the retries in the metrics.
type failure string

const (
	none        failure = ""
	silence     failure = "silence" // no answer in the time of a try
	unsent      failure = "unsent"  // there was no connection, or its queue was full
	broken      failure = "broken"  // the connection broke after the frame may have left
	notLeader   failure = "not_leader"
	unavailable failure = "unavailable"
	overdue     failure = "overdue"
	busy        failure = "busy"
	diskError   failure = "disk"
	stuck       failure = "stuck" // the replica has not been able to serve for so long that trying it again is of no use
	unreachable failure = "gone"  // there has been no connection for so long
	notHere     failure = "not_here"
	unsure      failure = "unsure" // a refusal while an earlier try may still be done
	outdated    failure = "view"   // another node has become the leader meanwhile
	uncovered   failure = "cover"  // of a count or a list: a node failed, and others are asked
)

// failures has the refusals after which the same request, with the same request id, is sent again.
var failures = map[wire.Code]failure{wire.NotLeader: notLeader, wire.Unavailable: unavailable, wire.Overdue: overdue,
	wire.Busy: busy,
	wire.Disk: diskError, wire.NotHere: notHere, wire.Stuck: stuck, wire.AnswerLost: broken}

// notExecuted has the failures after which the try's write has certainly not been done. A leader that is replaced
// refuses what it had sequenced, and the new one may have stored it.
var notExecuted = map[failure]bool{none: true, unsent: true, unreachable: true, overdue: true, busy: true,
	notHere: true}

// persistent has the failures that will not pass within a deadline. When both replicas have one, the request is given
// up at once.
var persistent = map[failure]bool{stuck: true, unreachable: true}

const (
	pauseStep        = 5 * time.Millisecond  // by so much longer is each pause after a try that failed at once
	maxPause         = 15 * time.Millisecond // until it is so long
	unavailablePause = 10 * time.Millisecond // the pause after a node said that it cannot serve the shard now
	againAfter       = 15 * time.Millisecond // how long a node is waited for that has left an earlier try unanswered
)

// retryState is how far the tries of a request have got. The leader is asked first, and without an answer both replicas
// in turn: either the leader is well and the connection was not, or the other one is about to take over.
type retryState struct {
	view       shard.View // the newest one seen
	node       int        // asked last if waiting is set, else the next to be asked
	waiting    bool
	due        int64   // ns on the boot-time clock: when its time is over if waiting is set, else when it is asked
	last       failure // of the try before
	immediate  int     // how many tries failed at once
	persistent int     // how many failures one after the other were persistent, each at the other replica
}

// nextTry decides which replica is asked next, and when. what became of the try under way; it is none while that goes
// on. view is the shard's view as it is now.
func nextTry(retry retryState, view shard.View, what failure, now int64) retryState {
	newer := view.Epoch > retry.view.Epoch
	moved := newer && view.Leader != retry.node
	if newer {
		retry.view, retry.persistent = view, 0
	}
	if what == none && (moved || newer && !retry.waiting) {
		retry.node, retry.waiting = view.Leader, false
		retry.due, retry.last = now, outdated
		return retry
	}
	if what == none {
		return retry
	}
	if retry.persistent++; !persistent[what] || newer {
		retry.persistent = 0
	}
	pause := min(time.Duration(retry.immediate)*pauseStep, maxPause)
	switch {
	case moved:
		retry.node, pause = view.Leader, 0
	case retry.node == retry.view.Leader && (what == busy || what == overdue || what == unsure):
		// it is well, and nobody else can do better
		pause = unavailablePause
	case !newer:
		retry.node = retry.view.Leader + retry.view.Backup - retry.node
	}
	switch what {
	case silence, stuck, unreachable:
		pause = 0
	case unavailable, diskError, notHere, busy:
		pause = max(unavailablePause, pause)
	case unsent, broken, notLeader:
		retry.immediate++
	}
	// the other replica may be well
	if moved || what == unsent && retry.last != unsent && !persistent[retry.last] {
		pause = 0
	}
	retry.waiting, retry.due, retry.last = false, now+int64(pause), what
	return retry
}
