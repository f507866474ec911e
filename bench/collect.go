package main

import (
	"slices"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"tandem/shard"
)

// cells are how the users are parted when it is judged how long a part of them was not answered: as a cluster with the
// settings of the defaults has its shards. Operations about no single user are a cell of their own.
var cells = shard.Layout{Nodes: 3, Shards: 24}

// cellOf returns the cell of an operation.
func cellOf(op operation) int {
	if op.Kind == opCount || op.Kind == opList {
		return -1
	}
	cell, _ := shard.ShardOf(cells, op.User.ID)
	return cell
}

// event is something that happens to the cluster in a run: a fault, or its end.
type event struct {
	At   time.Duration `json:"at"`
	Took time.Duration `json:"took"`
	Kind string        `json:"kind"`
	Text string        `json:"text"`
	Node string        `json:"node,omitempty"`
	Err  string        `json:"error,omitempty"`
	Heal bool          `json:"heal,omitempty"` // it takes back what another one did
	Disk *found        `json:"disk,omitempty"` // what a trial of a disk has shown, with its last event
}

// outcome is all that a run has seen.
type outcome struct {
	Died    error // a process of bench's own cluster that nobody has ended
	Tally   tally
	Samples []sample // empty if no histories are kept
	Stalls  []stall
	Syncs   []stall // in which the disk stood still, as far as it was probed
	Events  []event
	From    time.Duration      // when the run phase began
	Seconds map[string]float64 // phase → how long it took
	Base    uint64             // users that were there before
	Fewer   string             // why there were fewer connections than usual
	Slept   time.Duration      // for which this machine was suspended
	Short   []string           // what else it lacked
	Missing int                // users of the load that could not be created in time
	Back    returned
	Err     error
}

// snapshot is the state of a run for its progress.
type snapshot struct {
	Phase        string
	At           time.Duration
	Total        uint64 // requests so far in this phase
	Rate         float64
	P50, P99     time.Duration
	Max          time.Duration
	Late, Failed uint64
	Stall        time.Duration
	Event        string
}

// inbox is what a collector listens to.
type inbox struct {
	Samples chan sample
	Stalls  chan stall
	Syncs   chan stall
	Events  chan event
}

// showEvery is the time between two looks at a run.
const showEvery = time.Second

// pileSize is how many samples lie together, some hundred KiB.
const pileSize = 1 << 10

// pile adds a sample to piles of them. One slice of all would be moved whenever it grows: hundreds of MiB, for which
// this process stands still.
func pile(piles [][]sample, s sample) [][]sample {
	if n := len(piles); n == 0 || len(piles[n-1]) == pileSize {
		piles = append(piles, make([]sample, 0, pileSize))
	}
	last := len(piles) - 1
	piles[last] = append(piles[last], s)
	return piles
}

// collect counts what comes until the samples end, shows how it stands every second, and sends what it has. It keeps
// the samples themselves only if histories are kept.
func collect(r jobRun, show chan<- snapshot) {
	in, o := r.in, outcome{Tally: newTally(r.job.Budget, r.job.Width), Seconds: map[string]float64{}}
	look := time.NewTicker(showEvery)
	defer look.Stop()
	recent, now, piles := hdrhistogram.New(leastLatency, mostLatency, 2), snapshot{}, [][]sample{}
	for {
		select {
		case s, more := <-in.Samples:
			if !more {
				close(show)
				o.Samples = slices.Concat(piles...)
				r.counted <- o
				return
			}
			if s.Phase != now.Phase {
				now = snapshot{Phase: s.Phase, Event: now.Event}
			}
			o.Tally = count(o.Tally, s)
			if r.job.Check {
				piles = pile(piles, s)
			}
			_ = recent.RecordValue(min(mostLatency, (s.Done - s.Intended).Microseconds())) // within the range
			now.Total++
			if s.Failed {
				now.Failed++
			}
			if s.Failed || s.Done-s.Intended > r.job.Budget {
				now.Late++
			}
		case e := <-in.Events:
			o.Events = append(o.Events, e)
			now.Event = strings.TrimPrefix(now.Event+"; "+e.Text, "; ")
		case l := <-in.Stalls:
			o.Stalls = append(o.Stalls, l)
			now.Stall = max(now.Stall, l.To-l.From)
		case l := <-in.Syncs:
			o.Syncs = append(o.Syncs, l)
		case <-look.C:
			now.At, now.Rate = time.Since(r.begin), float64(recent.TotalCount())/showEvery.Seconds()
			now.P50, now.P99, now.Max = microseconds(recent.ValueAtQuantile(50)),
				microseconds(recent.ValueAtQuantile(99)), microseconds(recent.Max())
			recent.Reset()
			select {
			case show <- now:
			default: // a terminal that is slow
			}
			now.Event = ""
		}
	}
}

// microseconds is a value of a histogram as a time.
func microseconds(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
