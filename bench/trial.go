package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"tandem/bench/cluster"
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
	Order []int  // in which nodes are started again
	Draw  uint64 // what else is left to chance in a trial of a disk
}

// shortest and longest lengths of a fault of each kind. The table never changes.
var lengths = map[string][2]time.Duration{
	trialKill: {50 * time.Millisecond, 1500 * time.Millisecond}, trialTerm: {50 * time.Millisecond,
		1500 * time.Millisecond},
	trialPause: {20 * time.Millisecond, time.Second}, trialCut: {50 * time.Millisecond, 1500 * time.Millisecond},
	trialOneWay: {50 * time.Millisecond, 1500 * time.Millisecond}, trialGateway: {50 * time.Millisecond, time.Second},
	trialAll:     {20 * time.Millisecond, time.Second},
	trialFlipLog: diskLength, trialFlipTable: diskLength, trialFlipManifest: diskLength, trialFlipCurrent: diskLength,
	trialFlipOptions: diskLength, trialReadError: diskLength, trialWriteError: diskLength, trialSyncError: diskLength,
	trialShort: diskLength, trialFull: diskLength, trialOldCopy: diskLength, trialTorn: diskLength,
	trialLoneLog: loneLength, trialLoneTable: loneLength, trialLoneManifest: loneLength, trialLoneCurrent: loneLength,
	trialLoneCopy: loneLength, trialLoneTorn: loneLength,
	trialSlowRead: diskLength, trialSlowSync: diskLength, trialHangRead: diskLength, trialHangSync: diskLength,
}

// planTrials returns so many trials of each kind, as kindsOf gives them, in random order: a pure function of the seed.
func planTrials(seed uint64, kinds []string, each int, names []string) []trial {
	chance, all := rand.New(rand.NewPCG(seed, 0x7a11)), []trial{}
	for _, kind := range kinds {
		length := lengths[kind]
		for range each {
			t := trial{Kind: kind, Node: names[chance.IntN(len(names))],
				Quiet: 200*time.Millisecond + time.Duration(chance.Int64N(int64(800*time.Millisecond))),
				Lasts: length[0] + time.Duration(chance.Int64N(int64(length[1]-length[0]))),
				Order: chance.Perm(len(names))}
			if isDisk(kind) {
				t.Draw = chance.Uint64()
			}
			all = append(all, t)
		}
	}
	chance.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
	slices.SortStableFunc(all, func(a, b trial) int { // each of a lone leader needs a cluster of its own
		return map[bool]int{true: 1}[isLone(a.Kind)] - map[bool]int{true: 1}[isLone(b.Kind)]
	})
	return all
}

// stepsOf returns what a trial does at its begin and at its end. The steps of one end are done at once.
func stepsOf(t trial, names []string) (begin, end []cluster.Step) {
	one := func(kind, other string, oneWay bool) []cluster.Step {
		return []cluster.Step{{Kind: kind, Node: t.Node, Other: other, OneWay: oneWay}}
	}
	heal := []cluster.Step{{Kind: cluster.FaultHeal}}
	switch t.Kind {
	case trialKill, trialTerm:
		return one(t.Kind, "", false), one(cluster.FaultStart, "", false)
	case trialPause:
		return one(cluster.FaultPause, "", false), one(cluster.FaultResume, "", false)
	case trialCut:
		return one(cluster.FaultCut, "peers", false), heal
	case trialOneWay:
		return one(cluster.FaultCut, "peers", true), heal
	case trialGateway:
		return one(cluster.FaultCut, "gateway", false), heal
	}
	for _, at := range t.Order {
		begin, end = append(begin, cluster.Step{Kind: cluster.FaultKill, Node: names[at]}),
			append(end, cluster.Step{Kind: cluster.FaultStart, Node: names[at]})
	}
	return begin, end
}

// trialRun is a trial as it is to be made: with a cluster, in a run that began at a time, and ended early by quit.
type trialRun struct {
	trial  trial
	at     cluster.Site
	begin  time.Time
	events chan<- event
	quit   <-chan struct{}
}

// trials makes a script of trials, one after the other: each waits until the cluster is in sync again after the one
// before.
func trials(list []trial, at cluster.Site) script {
	return func(begin, _ time.Time, events chan<- event, quit <-chan struct{}, ended chan<- error) {
		for _, t := range list {
			done, r := make(chan error, 1), trialRun{t, at, begin, events, quit}
			if isDisk(t.Kind) {
				go tryDiskFault(r, done)
			} else {
				go tryFault(r, done)
			}
			if err := <-done; err != nil {
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

// tryFault makes a trial and waits until the cluster is in sync.
func tryFault(r trialRun, done chan<- error) {
	t, at, quit := r.trial, r.at, r.quit
	first, last := stepsOf(t, at.Plan.Names)
	for i, now := range []stage{{Wait: t.Quiet, Steps: first}, {Wait: t.Lasts, Steps: last}} {
		select {
		case <-time.After(now.Wait):
		case <-quit:
		}
		results, err := make(chan event, len(now.Steps)), error(nil)
		for _, s := range now.Steps {
			go act(s, at.Do, r.begin, results)
		}
		e := event{Kind: t.Kind, Text: now.Steps[0].Text(), Heal: i > 0, At: time.Since(r.begin)}
		for range now.Steps {
			if did := <-results; did.Err != "" {
				err = fmt.Errorf("%w: %s: %s", cluster.ErrFault, did.Text, did.Err)
			}
		}
		if e.Took = time.Since(r.begin) - e.At; t.Kind == trialAll {
			e.Text = e.Kind + " " + now.Steps[0].Kind
		}
		if r.events <- e; err != nil {
			done <- err
			return
		}
	}
	synced := make(chan error, 1)
	go func() { synced <- cluster.AwaitSync(at.Plan.Addrs, at.Limit) }()
	select {
	case err := <-synced:
		done <- err
	case <-quit: // the trials after it are not made
		done <- nil
	}
}
