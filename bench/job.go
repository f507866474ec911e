package main

import (
	"errors"
	"time"

	"tandem/bench/cluster"
)

// job is a run as it is to be made.
type job struct {
	Target      string
	Workload    workload
	Rate        float64
	Duration    time.Duration // 0: until the script ends
	Timeout     time.Duration
	Budget      time.Duration
	Width       time.Duration // of a piece of time in the charts
	Settle      time.Duration // how long the cluster may take until every user of the load is created, and until every user can be read in the end
	Connections int
	KeepAlive   bool
	Load, Mixed bool          // which phases
	Check       bool          // keep histories and read all back
	Shared      bool          // others may write too: counts are not judged
	Partial     bool          // some users may not be served in the end
	Probe       string        // a folder on the disk of the nodes, whose stalls are measured; none if empty
	MostSync    time.Duration // a write there that takes longer is a stall
	Beat        beat
	Early       <-chan struct{} // is closed when the run is to end before its time
	Fewer       string          // why there are fewer connections than usual; they are as many as usual if empty
	Script      script
	Show        func(shown <-chan snapshot, ended chan<- struct{})
}

// script does something to the cluster while it is under load, until it has done all or quit is closed.
type script func(begin, from time.Time, events chan<- event, quit <-chan struct{}, ended chan<- error)

// loaders is how many creates are under way at once in the load phase, and reads in the check phase.
const loaders = 64

// runJob makes a run and sends what it has seen.
func runJob(j job, out chan<- outcome) {
	begin := j.Beat.Now()
	c, slept := newClient(j.Target, j.Connections, j.KeepAlive, j.Timeout, begin), sleptFor()
	defer c.Close()
	c.Early = j.Early
	asked := make(chan total, 1)
	go settledCount(c, begin.Add(j.Settle), asked)
	before := <-asked
	if before.Err != nil {
		out <- outcome{Err: before.Err, Tally: newTally(j.Budget, j.Width)}
		return
	}
	in := inbox{make(chan sample, 1<<16), make(chan stall), make(chan stall), make(chan event)}
	show, shown, counted := make(chan snapshot, 4), make(chan struct{}), make(chan outcome, 1)
	go j.Show(show, shown)
	go collect(in, newTally(j.Budget, j.Width), j.Check, begin, show, counted)
	unwatch, watched := make(chan struct{}), make(chan error, 1)
	go watchHost(j, begin, in, unwatch, watched)
	var err error
	seconds, made, missing, done := map[string]float64{}, uint64(0), 0, make(chan uint64, 1)
	w := j.Workload
	if j.Load {
		from := j.Beat.Now()
		loading, loaded := phase{Name: phaseLoad, Closed: min(loaders, j.Connections), Next: loadOperation, Workload: w}, make(chan []uint64, 1)
		go persist(c, j.Beat, loading, numbers(w.Records), from.Add(j.Settle), in.Samples, loaded)
		missing = len(<-loaded)
		seconds[phaseLoad] = time.Since(from).Seconds()
	}
	w.First += w.Records
	now := j.Beat.Now()
	from := now.Add(j.Width - now.Sub(begin)%j.Width) // so that the pieces of the timeline begin with it
	j.Beat.Sleep(from.Sub(now))
	if j.Mixed && !isClosed(j.Early) {
		stop, scripted := make(chan struct{}), make(chan error, 1)
		count := uint64(j.Rate * j.Duration.Seconds())
		running := phase{Name: phaseRun, Count: count, Rate: j.Rate, Closed: j.Connections, Start: from, Next: runOperation, Workload: w}
		go drive(c, j.Beat, running, in.Samples, stop, done)
		go runScript(j, begin, from, in.Events, stop, scripted)
		made = <-done
		err = <-scripted
		seconds[phaseRun] = time.Since(from).Seconds()
	}
	back := make(chan returned, 1)
	if j.Check && !isClosed(j.Early) {
		go readBack(c, j, w, made, before.Count, in.Samples, back)
	} else {
		back <- returned{}
	}
	r := <-back
	close(unwatch)
	if err = errors.Join(err, <-watched); err == nil && isClosed(j.Early) {
		err = cluster.ErrInterrupted
	}
	close(in.Samples)
	awaitShown(shown)
	o := <-counted
	o.From, o.Seconds, o.Base, o.Missing, o.Back, o.Err = from.Sub(begin), seconds, before.Count, missing, r, err
	o.Fewer, o.Slept = j.Fewer, time.Duration(sleptFor()-slept).Round(time.Second)
	out <- o
}

// awaitShown waits until a run has been shown, but not for one who does not read it.
func awaitShown(shown <-chan struct{}) {
	select {
	case <-shown:
	case <-time.After(cluster.TellFor):
	}
}

// watchHost watches this process and the probed disk until quit is closed.
func watchHost(j job, begin time.Time, in inbox, quit <-chan struct{}, ended chan<- error) {
	probed := make(chan error, 1)
	if j.Probe != "" {
		go probeDisk(j.Probe, j.MostSync, begin, in.Syncs, quit, probed)
	} else {
		probed <- nil
	}
	watch(j.Beat, begin, in.Stalls, quit)
	ended <- <-probed
}

// runScript runs a job's script beside its load, and closes stop when the load is to end before its time: when it is
// ended early, or with the script if the load has no end of its own.
func runScript(j job, begin, from time.Time, events chan<- event, stop chan<- struct{}, ended chan<- error) {
	quit, over := make(chan struct{}), make(chan error, 1)
	if j.Script != nil {
		go j.Script(begin, from, events, quit, over)
	} else {
		over <- nil
	}
	var finished <-chan time.Time
	if j.Duration > 0 {
		finished = time.After(time.Until(from.Add(j.Duration)))
	}
	var err error
	early := j.Duration == 0
	select {
	case err = <-over:
		if early {
			break
		}
		select {
		case <-finished:
		case <-j.Early:
			early, err = true, cluster.ErrInterrupted
		}
	case <-finished:
		close(quit)
		err = <-over
	case <-j.Early:
		early = true
		close(quit)
		if err = <-over; err == nil {
			err = cluster.ErrInterrupted
		}
	}
	if early { // else all that was to start is started, however late
		close(stop)
	}
	ended <- err
}
