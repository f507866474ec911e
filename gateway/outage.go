package main

import (
	"errors"
	"time"

	"tandem/wire/peer"
	"tandem/wire/proc"
)

const (
	logInterval        = time.Second      // at most one line about a node; a connection that lives longer counts as whole
	refusedLogInterval = 10 * time.Second // a refusal that lasts is said again so often
	resolveFor         = 5 * time.Second  // for so long a gateway that has just started waits for the names of nodes
)

// The kinds of outage that are no refusal.
const (
	lost    = "lost"    // the connection broke, or none is made
	unknown = "unknown" // of which cluster the node is, or which one is to be served, is not known yet
	unnamed = "unnamed" // the node's name stands for no address
)

// outage is that a connection to a node has ended, or was not made.
type outage struct {
	node     int
	kind     string // of those above, or in what the two sides do not fit
	err      error
	lifetime time.Duration // how long the connection stood
	at       time.Time
}

// outageKind tells the kind of a session's outage.
func outageKind(s session) string {
	misfit := peer.MisfitError{}
	switch {
	case errors.As(s.err, &misfit):
		return string(misfit.In)
	case s.clusterErr != nil:
		return unknown
	case errors.Is(s.err, proc.ErrName):
		return unnamed
	}
	return lost
}

// shouldLog tells whether an outage is to be logged, after the last one of the node that was, by a gateway
// that started at a time. All connections to a node break when it is lost, and each dial that fails after that has a
// reason of its own: one loss is said once.
func shouldLog(o, logged outage, started time.Time) bool {
	since, age := o.at.Sub(logged.at), o.at.Sub(started)
	switch {
	case since <= logInterval || o.kind == unknown && age <= chooseClusterAfter || o.kind == unnamed && age <= resolveFor:
		return false
	case o.kind != logged.kind || o.lifetime > logInterval:
		return true
	}
	return o.kind != lost && o.kind != unknown && o.kind != unnamed && since > refusedLogInterval
}

// logOutages is the loop that writes to the log which nodes the gateway has no connection to. It knows what was logged
// of each.
func logOutages(wiring *wiring, started time.Time) {
	logged := make([]outage, len(wiring.Members))
	for o := range wiring.Outages {
		if shouldLog(o, logged[o.node], started) {
			wiring.Log.Warn("no connection to a node; dialling on", "peer", wiring.Members[o.node].Name, "error", o.err)
			logged[o.node] = o
		}
	}
}
