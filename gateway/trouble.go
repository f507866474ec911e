package main

import (
	"errors"
	"time"

	"tandem/wire/proc"
)

const (
	logEvery     = time.Second      // at most one line about a node, and the life after which a connection counts as whole
	refusedEvery = 10 * time.Second // a refusal that lasts is said again so often
	nameAfter    = 5 * time.Second  // for so long a gateway that has just started waits for the names of nodes
)

// The kinds of trouble that are no refusal.
const (
	lost    = "lost"    // the connection broke, or none is made
	unknown = "unknown" // of which cluster the node is, or which one is to be served, is not known yet
	unnamed = "unnamed" // the node's name stands for no address
)

// trouble is that a connection to a node has ended, or was not made.
type trouble struct {
	node  int
	kind  string // of those above, or in what the two sides do not fit
	err   error
	stood time.Duration // how long the connection stood
	at    time.Time
}

// kindOf tells the kind of a session's trouble.
func kindOf(s session) string {
	misfit := refused{}
	switch {
	case errors.As(s.err, &misfit):
		return string(misfit.in)
	case s.barred != nil:
		return unknown
	case errors.Is(s.err, proc.ErrName):
		return unnamed
	}
	return lost
}

// worthALine tells whether the log is to say a trouble, after the last one of the node that it has said, by a gateway
// that started at a time. All connections to a node break when it is lost, and each dial that fails after that has a
// reason of its own: one loss is said once.
func worthALine(t, said trouble, started time.Time) bool {
	since, age := t.at.Sub(said.at), t.at.Sub(started)
	switch {
	case since <= logEvery || t.kind == unknown && age <= chooseAfter || t.kind == unnamed && age <= nameAfter:
		return false
	case t.kind != said.kind || t.stood > logEvery:
		return true
	}
	return t.kind != lost && t.kind != unknown && t.kind != unnamed && since > refusedEvery
}

// tellTroubles is the loop that writes to the log which nodes the gateway has no connection to. It knows what was said
// of each.
func tellTroubles(wiring *Wiring, started time.Time) {
	said := make([]trouble, len(wiring.Members))
	for t := range wiring.Troubles {
		if worthALine(t, said[t.node], started) {
			wiring.Log.Warn("no connection to a node; dialling on", "peer", wiring.Members[t.node].Name, "error", t.err)
			said[t.node] = t
		}
	}
}
