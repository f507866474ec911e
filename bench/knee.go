package main

import (
	"errors"
	"fmt"
	"time"

	"tandem/bench/cluster"
)

// knee is a short run at one rate.
type knee struct {
	Rate  float64       `json:"rate"`
	Got   float64       `json:"got"`
	P99   time.Duration `json:"p99"`
	Max   time.Duration `json:"max"`
	Stall time.Duration `json:"stall"`
	Why   string        `json:"why,omitempty"` // it is beyond the knee
	Own   bool          `json:"own,omitempty"` // or beyond what the generator can do
	Wrong string        `json:"wrong,omitempty"`
}

// search is a search for the knee, and what broke it off.
type search struct {
	Tries []knee
	Err   error
}

// The search for the knee.
const (
	kneeFirst  = 500.0
	kneeMost   = 1e6
	kneeNarrow = 1.1 // the search ends when what fails is less than so many times what holds
)

// searchKnee looks for the highest rate at which a target keeps the budget: it doubles the rate until a short run
// fails, and halves the way between what holds and what fails until they are near.
func searchKnee(r targetRun) targetRun {
	j, tries := r.job, []knee{}
	good, bad := 0.0, 0.0
	j.Check = false
	var failed error
	for rate := kneeFirst; rate <= kneeMost && (bad == 0 || bad > kneeNarrow*good); {
		ran := make(chan outcome, 1)
		j.Rate = rate
		go runJob(j, ran)
		o := <-ran
		j.Workload.Users++ // the next try has users of its own, so that every try has the same work
		k, p := judgeBudget(o)
		t := tryAt(o, k, p, rate, r.c.MostStall)
		if failed = o.Err; failed != nil {
			t.Why = failed.Error()
		}
		tries = append(tries, t)
		cluster.Tell("%8.0f/s  p99 %v  max %v  own stall %v  %s\n", rate, short(t.P99), short(t.Max), short(t.Stall),
			t.Why)
		if t.Why == "" {
			good = rate
		} else {
			bad = rate
		}
		switch {
		case failed != nil || t.Wrong != "":
			rate = kneeMost + 1
		case bad == 0:
			rate *= 2
		default:
			rate = (good + bad) / 2
		}
		if bad > 0 && bad < 20 { // not even that holds
			break
		}
	}
	r.found = search{tries, failed}
	return r
}

// judgeKnee returns the highest rate that held, and the verdict of a search: wrong answers count first, then a search
// that was broken off, then a generator that could not do more.
func judgeKnee(s search) (best knee, v verdict) {
	lowest := knee{} // that did not hold
	for _, k := range s.Tries {
		switch {
		case k.Wrong != "":
			return best, verdict{exitWrong, words[exitWrong], []string{k.Wrong}}
		case k.Why == "" && k.Rate > best.Rate:
			best = k
		case k.Why != "" && (lowest.Rate == 0 || k.Rate < lowest.Rate):
			lowest = k
		}
	}
	v.Word = fmt.Sprintf("knee: %.0f requests/s (%.0f/s done; p99 %v, longest %v)", best.Rate, best.Got,
		best.P99.Round(10*time.Microsecond), best.Max.Round(10*time.Microsecond))
	switch {
	case errors.Is(s.Err, cluster.ErrOwn):
		return best, verdict{exitLagged, "NOT JUDGED: " + s.Err.Error(), nil}
	case s.Err != nil:
		return best, verdict{exitUsage, "NOT JUDGED: " + s.Err.Error(), nil}
	case lowest.Own:
		return best, verdict{exitLagged,
			fmt.Sprintf("NOT JUDGED: %s held, but at %.0f/s the generator lagged: the knee may be higher", v.Word,
				lowest.Rate), nil}
	case best.Rate == 0:
		return best, verdict{exitBudget, "no rate keeps the budget", nil}
	}
	return best, v
}

// tryAt reads a short run.
func tryAt(o outcome, k keeping, p pace, rate float64, mostStall time.Duration) knee {
	intended, _ := wholeOf(o.Tally.Groups)
	t := knee{Rate: rate, P99: microseconds(intended.ValueAtPercentile(99)), Max: k.Max, Stall: p.Longest}
	if o.Seconds[phaseRun] > 0 {
		t.Got = float64(k.Requests) / o.Seconds[phaseRun]
	}
	if len(o.Tally.Wrong) > 0 {
		t.Wrong = o.Tally.Wrong[0].Wrong
	}
	switch {
	case len(p.Short) > 0:
		t.Why, t.Own = p.Short[0], true
	case p.Longest > mostStall || p.MaxLag > mostStall: // whatever else was missed may be its doing
		t.Why, t.Own = "the generator lagged", true
	case k.Beyond > 0:
		t.Why = fmt.Sprintf("%d requests beyond the budget", k.Beyond)
	case t.Got < 0.95*rate:
		t.Why = fmt.Sprintf("only %.0f/s were done", t.Got)
	}
	return t
}
