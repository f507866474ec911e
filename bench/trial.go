package main

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// The kinds of trial: each is a fault, a while, and its end.
const (
	trialKill    = "kill"    // kill -9 of a node, then a start
	trialTerm    = "term"    // SIGTERM to a node, then a start
	trialPause   = "pause"   // SIGSTOP, then SIGCONT
	trialCut     = "cut"     // a node and all others do not hear each other
	trialOneWay  = "oneway"  // the others do not hear a node, it hears them
	trialGateway = "gateway" // a node and the gateway do not hear each other
	trialAll     = "all"     // kill -9 of all nodes at once, then starts in any order
)

// trial is one fault of a chaos run.
type trial struct {
	Kind  string
	Node  string
	Quiet time.Duration // before it
	Lasts time.Duration
	Order []int // in which nodes are started again
}

// shortest and longest lengths of a fault of each kind. The table never changes.
var lengths = map[string][2]time.Duration{
	trialKill: {50 * time.Millisecond, 1500 * time.Millisecond}, trialTerm: {50 * time.Millisecond, 1500 * time.Millisecond},
	trialPause: {20 * time.Millisecond, time.Second}, trialCut: {50 * time.Millisecond, 1500 * time.Millisecond},
	trialOneWay: {50 * time.Millisecond, 1500 * time.Millisecond}, trialGateway: {50 * time.Millisecond, time.Second},
	trialAll: {20 * time.Millisecond, time.Second},
}

// planTrials returns so many trials of each kind in random order: a pure function of the seed.
func planTrials(seed uint64, kinds []string, each int, names []string) ([]trial, error) {
	chance, all := rand.New(rand.NewPCG(seed, 0x7a11)), []trial{}
	for _, kind := range kinds {
		length, known := lengths[kind]
		if !known {
			return nil, fmt.Errorf("%w: --kinds: expected kill, term, pause, cut, oneway, gateway or all, found %q", errSettings, kind)
		}
		for range each {
			all = append(all, trial{kind, names[chance.IntN(len(names))], 200*time.Millisecond + time.Duration(chance.Int64N(int64(800*time.Millisecond))),
				length[0] + time.Duration(chance.Int64N(int64(length[1]-length[0]))), chance.Perm(len(names))})
		}
	}
	chance.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
	return all, nil
}

// stepsOf returns what a trial does at its begin and at its end. The steps of one end are done at once.
func stepsOf(t trial, names []string) (begin, end []step) {
	one := func(kind, other string, oneWay bool) []step {
		return []step{{Kind: kind, Node: t.Node, Other: other, OneWay: oneWay}}
	}
	heal := []step{{Kind: faultHeal}}
	switch t.Kind {
	case trialKill, trialTerm:
		return one(t.Kind, "", false), one(faultStart, "", false)
	case trialPause:
		return one(faultPause, "", false), one(faultResume, "", false)
	case trialCut:
		return one(faultCut, "peers", false), heal
	case trialOneWay:
		return one(faultCut, "peers", true), heal
	case trialGateway:
		return one(faultCut, "gateway", false), heal
	}
	for _, at := range t.Order {
		begin, end = append(begin, step{Kind: faultKill, Node: names[at]}), append(end, step{Kind: faultStart, Node: names[at]})
	}
	return begin, end
}

// trials makes a script of trials, one after the other: each waits until the cluster is in sync again after the one before.
func trials(list []trial, names, addrs []string, do perform, limit time.Duration) script {
	return func(begin, _ time.Time, events chan<- event, quit <-chan struct{}, ended chan<- error) {
		for _, t := range list {
			on, off := stepsOf(t, names)
			for i, steps := range [][]step{on, off} {
				select {
				case <-time.After([]time.Duration{t.Quiet, t.Lasts}[i]):
				case <-quit:
				}
				results, err := make(chan event, len(steps)), error(nil)
				for _, s := range steps {
					go act(s, do, begin, results)
				}
				e := event{Kind: t.Kind, Text: steps[0].text(), Heal: i == 1, At: time.Since(begin)}
				for range steps {
					if r := <-results; r.Err != "" {
						err = fmt.Errorf("%w: %s: %s", errFault, r.Text, r.Err)
					}
				}
				if e.Took = time.Since(begin) - e.At; t.Kind == trialAll {
					e.Text = e.Kind + " " + steps[0].Kind
				}
				if events <- e; err != nil {
					ended <- err
					return
				}
			}
			synced := make(chan error, 1)
			go awaitSync(addrs, limit, synced)
			if err := <-synced; err != nil {
				ended <- err
				return
			}
			select {
			case <-quit:
				ended <- nil
				return
			default:
			}
		}
		ended <- nil
	}
}
