package main

import (
	"time"

	"tandem/bench/cluster"
)

// The phases of a run: users are created, the mix is run and judged, everything is read back.
const (
	phaseLoad  = "load"
	phaseRun   = "run"
	phaseCheck = "check"
)

// sample is what became of one request. Times are since the run's begin.
type sample struct {
	Op       operation
	Phase    string
	Intended time.Duration // when it was to start
	Sent     time.Duration // when it was given to the connection
	Done     time.Duration // when its answer was read, or given up
	Held     bool          // it started late because as many requests as allowed were under way
	Status   int           // 0 if there was no answer
	Failed   bool          // there was no answer, or one that says that the service has failed
	Cell     int
	Timeout  bool
	Whose    cluster.Party // whose fault it is that there was no answer
	Err      string
	Why      string // what an answer that counts as a failure said, behind a colon
	Read     user   // the user in the answer
	Items    []user // of a list, some of its users
	Tag      string // ETag of the answer
	Match    string // If-Match of the request
	Count    uint64 // of a count, or X-Total-Count of a list
	Touched  int    // Tandem-Nodes-Touched, 0 if there is none
	Wrong    string // how the answer contradicts itself or the request
}
