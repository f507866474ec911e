package main

import (
	"fmt"
	"os"
	"time"
)

// knee is a short run at one rate.
type knee struct {
	Rate  float64       `json:"rate"`
	Got   float64       `json:"got"`
	P99   time.Duration `json:"p99"`
	Max   time.Duration `json:"max"`
	Stall time.Duration `json:"stall"`
	Why   string        `json:"why,omitempty"` // it is beyond the knee
}

// The search for the knee.
const (
	kneeFirst  = 500.0
	kneeMost   = 1e6
	kneeNarrow = 1.1 // the search ends when what fails is less than so many times what holds
)

// searchKnee looks for the highest rate at which a target keeps the budget: it doubles the rate until a short run fails, and halves the way
// between what holds and what fails until they are near.
func searchKnee(j job, mostStall time.Duration, out chan<- []knee) {
	tries, good, bad := []knee{}, 0.0, 0.0
	for rate := kneeFirst; rate <= kneeMost && (bad == 0 || bad > kneeNarrow*good); {
		ran := make(chan outcome, 1)
		j.Rate = rate
		j.Workload.First += j.Workload.Records
		go conduct(j, ran)
		o := <-ran
		j.Load = false // once is enough
		k, p := judgeBudget(o)
		t := tryAt(o, k, p, rate, mostStall)
		if o.Err != nil {
			t.Why = o.Err.Error()
		}
		tries = append(tries, t)
		fmt.Fprintf(os.Stderr, "%8.0f/s  p99 %v  max %v  own stall %v  %s\n", rate, short(t.P99), short(t.Max), short(t.Stall), t.Why)
		if t.Why == "" {
			good = rate
		} else {
			bad = rate
		}
		switch {
		case o.Err != nil:
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
	out <- tries
}

// tryAt reads a short run.
func tryAt(o outcome, k keeping, p pace, rate float64, mostStall time.Duration) knee {
	intended, _ := wholeOf(o.Tally.Groups)
	t := knee{Rate: rate, P99: microseconds(intended.ValueAtPercentile(99)), Max: k.Max, Stall: p.Longest}
	if o.Seconds[phaseRun] > 0 {
		t.Got = float64(k.Requests) / o.Seconds[phaseRun]
	}
	switch {
	case k.Beyond > 0:
		t.Why = fmt.Sprintf("%d requests beyond the budget", k.Beyond)
	case p.Longest > mostStall || p.MaxLag > mostStall:
		t.Why = "the generator lagged"
	case t.Got < 0.95*rate:
		t.Why = fmt.Sprintf("only %.0f/s were done", t.Got)
	}
	return t
}
