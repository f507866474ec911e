package main

import (
	"strconv"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"tandem/bench/cluster"
)

// The range of a histogram, in microseconds.
const (
	leastLatency = 1
	mostLatency  = 600_000_000
)

// leastGap is the shortest time without a good answer that is kept.
const leastGap = 10 * time.Millisecond

// maxLate is how many late requests are kept one by one.
const maxLate = 1 << 20

// group is what is counted of one kind of operation in one phase.
type group struct {
	Intended, Service *hdrhistogram.Histogram
	Requests, Failed  uint64
	Outcomes          map[string]uint64
}

// slot is what is counted of the requests that were to start in one piece of time.
type slot struct {
	Latency            *hdrhistogram.Histogram
	OK, Failed, Beyond uint64
}

// groupKey names a group.
type groupKey struct{ Phase, Kind string }

// outage is a time in which a cell gave no good answer: from the intended start of its first request that failed to the
// next good answer. Last is when the last request failed in it.
type outage struct{ From, Last, To time.Duration }

// tally is all that is counted of a run; the loop that collects owns it.
type tally struct {
	Width    time.Duration // of a slot
	Budget   time.Duration
	Groups   map[groupKey]group
	Slots    map[int]slot
	Late     []sample // of the run phase: beyond the budget, or without a good answer
	Dropped  uint64   // late ones that were too many to keep
	Lag      *hdrhistogram.Histogram
	MaxLag   time.Duration
	Held     uint64
	Wrong    []sample
	Own      map[string]uint64 // requests of all phases that failed on this machine or on the way, by reason
	NotOK    map[int]outage    // cell → its outage that no good answer has ended yet
	Outages  []outage          // those that a good answer has ended
	Began    time.Duration     // of the run phase: when its first request was to start
	LastGood time.Duration     // and when the last good answer came; Began before there is one
	LastDone time.Duration     // and the last answer or failure
	Gaps     []stall           // times in which no request at all was answered well
	Touched  map[string]map[int]uint64
}

// newTally returns a tally of nothing.
func newTally(budget, width time.Duration) tally {
	return tally{Width: width, Budget: budget, Groups: map[groupKey]group{}, Slots: map[int]slot{},
		Lag: hdrhistogram.New(leastLatency, mostLatency, 3), Own: map[string]uint64{}, NotOK: map[int]outage{},
		Touched: map[string]map[int]uint64{}}
}

// count adds a sample to a tally.
func count(t tally, s sample) tally {
	key := groupKey{s.Phase, s.Op.Kind}
	g, known := t.Groups[key]
	if !known {
		g = group{hdrhistogram.New(leastLatency, mostLatency, 3), hdrhistogram.New(leastLatency, mostLatency, 3), 0, 0,
			map[string]uint64{}}
	}
	g.Requests++
	_ = g.Intended.RecordValue(min(mostLatency, (s.Done - s.Intended).Microseconds())) // within the range
	_ = g.Service.RecordValue(min(mostLatency, (s.Done - s.Sent).Microseconds()))
	outcome := s.Err
	if s.Failed {
		g.Failed++
		if s.Whose != cluster.OfTarget {
			outcome = ownShare(s.Whose, s.Err)
			t.Own[outcome]++
		}
	} else {
		outcome = "status " + strconv.Itoa(s.Status)
	}
	g.Outcomes[outcome]++
	t.Groups[key] = g
	if s.Wrong != "" && len(t.Wrong) < 1000 {
		t.Wrong = append(t.Wrong, s)
	}
	if s.Touched > 0 {
		if t.Touched[s.Op.Kind] == nil {
			t.Touched[s.Op.Kind] = map[int]uint64{}
		}
		t.Touched[s.Op.Kind][s.Touched]++
	}
	if s.Phase == phaseRun {
		t = overTime(t, s)
	}
	return t
}

// overTime adds a sample of the run phase to what is kept over time.
func overTime(t tally, s sample) tally {
	at := int(s.Intended / t.Width)
	l, known := t.Slots[at]
	if !known {
		l.Latency = hdrhistogram.New(leastLatency, mostLatency, 2)
	}
	_ = l.Latency.RecordValue(min(mostLatency, (s.Done - s.Intended).Microseconds())) // within the range
	late := s.Failed || s.Done-s.Intended > t.Budget
	if s.Failed {
		l.Failed++
	} else {
		l.OK++
	}
	if late {
		l.Beyond++
	}
	t.Slots[at] = l
	switch {
	case late && len(t.Late) < maxLate:
		t.Late = append(t.Late, s)
	case late:
		t.Dropped++
	}
	if s.Held {
		t.Held++
	} else {
		_ = t.Lag.RecordValue(max(1, min(mostLatency, (s.Sent-s.Intended).Microseconds())))
		t.MaxLag = max(t.MaxLag, s.Sent-s.Intended)
	}
	bad, failing := t.NotOK[s.Cell]
	switch {
	case s.Failed && !failing:
		t.NotOK[s.Cell] = outage{s.Intended, s.Done, s.Done}
	case s.Failed:
		last := max(bad.Last, s.Done)
		t.NotOK[s.Cell] = outage{min(bad.From, s.Intended), last, last}
	case failing && s.Sent >= bad.From: // one that was sent before says nothing about the time since
		t.Outages = append(t.Outages, outage{bad.From, bad.Last, s.Done})
		delete(t.NotOK, s.Cell)
	}
	if t.Began == 0 {
		t.Began, t.LastGood = s.Intended, s.Intended
	}
	if t.LastDone = max(t.LastDone, s.Done); !s.Failed && s.Done > t.LastGood {
		if s.Done-t.LastGood > leastGap {
			t.Gaps = append(t.Gaps, stall{t.LastGood, s.Done})
		}
		t.LastGood = s.Done
	}
	return t
}
