package main

import (
	"time"

	"tandem/shard"
	"tandem/wire"
)

// mishap is why a try brought no answer; it labels the retries in the metrics.
type mishap string

const (
	none      mishap = ""
	silence   mishap = "silence" // no answer in the time of a try
	unsent    mishap = "unsent"  // there was no connection, or its queue was full
	broken    mishap = "broken"  // the connection broke after the frame may have left
	notLeader mishap = "not_leader"
	notNow    mishap = "unavailable"
	overdue   mishap = "overdue"
	busy      mishap = "busy"
	sickDisk  mishap = "disk"
	stuck     mishap = "stuck" // the replica has not been able to serve for so long that trying it again is of no use
	gone      mishap = "gone"  // there has been no connection for so long
	notHere   mishap = "not_here"
	unsure    mishap = "unsure" // a refusal while an earlier try may still be done
	outdated  mishap = "view"   // another node has become the leader meanwhile
	uncovered mishap = "cover"  // of a count or a list: a node failed, and others are asked
)

// mishaps has the refusals after which the same request, with the same request id, is sent again.
var mishaps = map[wire.Code]mishap{wire.NotLeader: notLeader, wire.Unavailable: notNow, wire.Overdue: overdue,
	wire.Busy: busy,
	wire.Disk: sickDisk, wire.NotHere: notHere, wire.Stuck: stuck, wire.AnswerLost: broken}

// harmless tells the mishaps after which the try's write has certainly not been done. A leader that is replaced refuses
// what it had sequenced, and the new one may have stored it.
var harmless = map[mishap]bool{none: true, unsent: true, gone: true, overdue: true, busy: true, notHere: true}

// hopeless tells the mishaps that will not pass within a deadline. When both replicas have one, the request is given up
// at once.
var hopeless = map[mishap]bool{stuck: true, gone: true}

const (
	pauseStep   = 5 * time.Millisecond  // by so much longer is each pause after a try that failed at once
	pauseMost   = 15 * time.Millisecond // until it is so long
	failingOver = 10 * time.Millisecond // the pause after a node said that it cannot serve the shard now
	againAfter  = 15 * time.Millisecond // how long a node is waited for that has left an earlier try unanswered
)

// course is where the tries of a request have got to. It asks the leader, and while it gets no answer both replicas in
// turn: either the leader is well and the connection was not, or the other one is about to take over.
type course struct {
	view   shard.View // the newest one seen
	node   int        // asked last if waits is set, else the next to be asked
	waits  bool
	due    int64  // ns on the boot-time clock: when its time is over if waits is set, else when it is asked
	last   mishap // of the try before
	failed int    // tries that failed at once
	lost   int    // tries one after the other that were hopeless, each at the other replica
}

// steer returns the course after what became of the try under way, none if it goes on, with the view of the shard as it
// is now.
func steer(c course, view shard.View, what mishap, now int64) course {
	newer := view.Epoch > c.view.Epoch
	moved := newer && view.Leader != c.node
	if newer {
		c.view, c.lost = view, 0
	}
	if what == none && (moved || newer && !c.waits) {
		c.node, c.waits, c.due, c.last = view.Leader, false, now, outdated
		return c
	}
	if what == none {
		return c
	}
	if c.lost++; !hopeless[what] || newer {
		c.lost = 0
	}
	pause := min(time.Duration(c.failed)*pauseStep, pauseMost)
	switch {
	case moved:
		c.node, pause = view.Leader, 0
	case c.node == c.view.Leader && (what == busy || what == overdue || what == unsure):
		// it is well, and nobody else can do better
		pause = failingOver
	case !newer:
		c.node = c.view.Leader + c.view.Backup - c.node
	}
	switch what {
	case silence, stuck, gone:
		pause = 0
	case notNow, sickDisk, notHere, busy:
		pause = max(failingOver, pause)
	case unsent, broken, notLeader:
		c.failed++
	}
	if moved || what == unsent && c.last != unsent && !hopeless[c.last] { // the other replica may be well
		pause = 0
	}
	c.waits, c.due, c.last = false, now+int64(pause), what
	return c
}
