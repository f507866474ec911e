package main

import (
	"fmt"
	"slices"
	"time"

	"tandem/bench/cluster"
)

// The exit codes.
const (
	exitPass   = 0
	exitUsage  = 1
	exitBudget = 2
	exitWrong  = 3
	exitLagged = 4
)

// exitHelp is what --help says of them.
const exitHelp = "Exit codes: 0 pass; 1 usage, or it could not be run; 2 the budget was missed; 3 wrong answers, or some that could not be judged; " +
	"4 the generator could not keep its schedule, or its machine lacked what it needs."

// verdict is the result of a run. As an error it carries the exit code.
type verdict struct {
	Code    int      `json:"code"`
	Word    string   `json:"word"`
	Reasons []string `json:"reasons"`
}

// Error is the verdict in a word.
func (v verdict) Error() string { return v.Word }

// words are the verdicts by their exit codes. The table never changes.
var words = map[int]string{exitPass: "PASS", exitBudget: "FAIL: the budget was missed",
	exitWrong:  "FAIL: wrong answers",
	exitLagged: "NOT JUDGED: the generator could not keep its schedule"}

// pace is how well the generator kept its schedule.
type pace struct {
	Longest   time.Duration `json:"longestStall"`
	Stalls    int           `json:"stalls"`
	Stalled   time.Duration `json:"stalled"` // all of them together
	MaxLag    time.Duration `json:"maxLag"`
	P99Lag    time.Duration `json:"p99Lag"`
	Held      uint64        `json:"held"`      // requests that waited for one of the connections
	Explained int           `json:"explained"` // late requests that the generator's own stalls explain
	Syncs     int           `json:"diskStalls"`
	Sync      time.Duration `json:"longestDiskStall"`
	Struck    int           `json:"struck"`              // late requests that stalls of the probed disk explain
	Short     []string      `json:"shortages,omitempty"` // what this machine, or the way, lacked
}

// keeping is what the run phase cost against its budget.
type keeping struct {
	Budget   time.Duration `json:"budget"`
	Requests uint64        `json:"requests"`
	Max      time.Duration `json:"max"`
	// late or failed, without those that stalls of the generator or of the probed disk explain
	Beyond int `json:"beyond"`
	Failed int `json:"failed"`
}

// explained says that a late request would have kept the budget without own, the time in which the generator itself
// did not run.
func explained(s sample, own, budget time.Duration) bool {
	return (!s.Failed || s.Timeout) && s.Done-s.Intended-own <= budget
}

// judgeBudget sorts the late requests of a run into those of the target and those of the generator.
func judgeBudget(o outcome) (keeping, pace) {
	slices.SortFunc(o.Stalls, func(a, b stall) int { return int(a.From - b.From) })
	k, p := keeping{Budget: o.Tally.Budget}, pace{Stalls: len(o.Stalls), MaxLag: o.Tally.MaxLag, Held: o.Tally.Held}
	p.P99Lag = time.Duration(o.Tally.Lag.ValueAtQuantile(99)) * time.Microsecond
	until := o.From + time.Duration(o.Seconds[phaseRun]*float64(time.Second))
	for _, s := range o.Stalls {
		if s.To <= o.From || s.From >= until { // what is judged was not under way
			p.Stalls--
			continue
		}
		p.Longest, p.Stalled = max(p.Longest, s.To-s.From), p.Stalled+s.To-s.From
	}
	p.Syncs = len(o.Syncs)
	for _, s := range o.Syncs {
		p.Sync = max(p.Sync, s.To-s.From)
	}
	for key, g := range o.Tally.Groups {
		if key.Phase == phaseRun {
			k.Requests += g.Requests
			k.Max = max(k.Max, time.Duration(g.Intended.Max())*time.Microsecond)
		}
	}
	p.Short = shortagesOf(o.Tally.Own)
	if o.Fewer != "" && p.Held > 0 {
		p.Short = append(p.Short, fmt.Sprintf("%d requests waited for one of %s", p.Held, o.Fewer))
	}
	if o.Slept > 0 {
		p.Short = append(p.Short, fmt.Sprintf("this machine was suspended for %v", o.Slept))
	}
	p.Short = append(p.Short, o.Short...)
	k.Beyond = int(o.Tally.Dropped)
	for _, s := range o.Tally.Late {
		if s.Whose != cluster.OfTarget {
			continue
		}
		own := overlap(o.Stalls, s.Intended, s.Done) // while it was under way, and the time that it was sent too late
		if !s.Held {
			own = overlap(o.Stalls, s.Sent, s.Done) + s.Sent - s.Intended
		}
		if explained(s, own, o.Tally.Budget) {
			p.Explained++
			continue
		}
		if struck(o.Syncs, s) {
			p.Struck++
			continue
		}
		k.Beyond++
		if s.Failed {
			k.Failed++
		}
	}
	return k, p
}

// mostExcused is in how many requests one may be late by stalls that are not the target's.
const mostExcused = 100

// conclude makes the verdict: wrong answers count first, then a generator that lagged or lacked something, then the
// budget. What could not be judged because the machine lacked something does not count against the target.
func conclude(k keeping, p pace, wrong, unproven []string, mostStall time.Duration) verdict {
	v := verdict{Reasons: slices.Concat(wrong, unproven)}
	lagged := slices.Clone(p.Short)
	if p.Longest > mostStall {
		lagged = append(lagged, fmt.Sprintf("the generator itself stalled for %v, more than %v", short(p.Longest), mostStall))
	}
	if p.MaxLag > mostStall {
		lagged = append(lagged, fmt.Sprintf("a request was sent %v after its time, more than %v", short(p.MaxLag), mostStall))
	}
	excused := p.Explained + p.Struck
	// more that nothing excuses are a miss by themselves
	if uint64(excused)*mostExcused > k.Requests && excused >= k.Beyond {
		lagged = append(lagged,
			fmt.Sprintf("%d of %d requests were late while the generator or the disk stood still, more than one in %d",
				excused, k.Requests, mostExcused))
	}
	missed := []string{}
	if k.Beyond > 0 {
		missed = append(missed,
			fmt.Sprintf("%d of %d requests took longer than %v or failed (%d failed); the longest took %v", k.Beyond,
				k.Requests, k.Budget, k.Failed, short(k.Max)))
	}
	v.Reasons = slices.Concat(v.Reasons, lagged, missed)
	switch {
	case len(wrong) > 0, len(unproven) > 0 && len(p.Short) == 0:
		v.Code = exitWrong
	case len(lagged) > 0:
		v.Code = exitLagged
	case k.Beyond > 0:
		v.Code = exitBudget
	}
	v.Word = words[v.Code]
	if v.Code == exitLagged && len(p.Short) > 0 {
		v.Word = "NOT JUDGED: it failed for what this machine or the way to the target lacked"
	}
	if v.Code == exitWrong && len(wrong) == 0 {
		v.Word = "NOT PROVEN: some answers could not be judged"
	}
	return v
}

// short is a time for a person.
func short(d time.Duration) time.Duration {
	switch {
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond)
	case d >= 100*time.Millisecond:
		return d.Round(time.Millisecond)
	}
	return d.Round(10 * time.Microsecond)
}
