package main

import (
	"errors"
	"time"

	"tandem/bench/cluster"
)

// job is a run as it is to be made.
type job struct {
	Target   string
	Workload workload
	Rate     float64
	Duration time.Duration // 0: until the script ends
	Timeout  time.Duration
	Budget   time.Duration
	Width    time.Duration // of a piece of time in the charts
	// how long the cluster may take until every user of the load is created, and until every user can be read in the end
	Settle      time.Duration
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

// jobRun is a job under way.
type jobRun struct {
	job            job
	client         client
	w              workload
	begin, from    time.Time // of the run, and of its mix
	slept          int64     // for how many nanoseconds this machine had been suspended when it began
	in             inbox
	shown, unwatch chan struct{}
	counted        chan outcome
	watched        chan error
	made           uint64             // users that the mix has created
	seconds        map[string]float64 // phase → how long it took
	base           uint64             // users that were there before
	missing        int                // users of the load that could not be created
	back           returned
	silent         bool // the target did not answer before the load
	err            error
}

// jobStages make a run, one after the other. The list never changes.
var jobStages = []func(jobRun) jobRun{connectJob, askBase, startWatch, loadUsers, runMix, readRun}

// runJob makes a run and sends what it has seen.
func runJob(j job, out chan<- outcome) {
	r := jobRun{job: j, w: j.Workload, begin: j.Beat.Now(), slept: sleptFor(), seconds: map[string]float64{}}
	for _, stage := range jobStages {
		if !r.silent {
			r = stage(r)
		}
	}
	defer r.client.Close()
	if r.silent {
		out <- outcome{Err: r.err, Tally: newTally(j.Budget, j.Width)}
		return
	}
	close(r.unwatch)
	if r.err = errors.Join(r.err, <-r.watched); r.err == nil && isClosed(j.Early) {
		r.err = cluster.ErrInterrupted
	}
	close(r.in.Samples)
	awaitShown(r.shown)
	o := <-r.counted
	o.From, o.Seconds, o.Base = r.from.Sub(r.begin), r.seconds, r.base
	o.Missing, o.Back, o.Err = r.missing, r.back, r.err
	o.Fewer, o.Slept = j.Fewer, time.Duration(sleptFor()-r.slept).Round(time.Second)
	out <- o
}

// connectJob makes the client.
func connectJob(r jobRun) jobRun {
	j := r.job
	r.client = newClient(j.Target, j.Connections, j.KeepAlive, j.Timeout, r.begin)
	r.client.Early = j.Early
	return r
}

// askBase asks how many users are there before the load.
func askBase(r jobRun) jobRun {
	before := settledCount(r.client, r.begin.Add(r.job.Settle))
	r.base, r.err, r.silent = before.Count, before.Err, before.Err != nil
	return r
}

// startWatch starts what counts the answers, shows how the run goes, and watches this process.
func startWatch(r jobRun) jobRun {
	r.in = inbox{make(chan sample, 1<<16), make(chan stall), make(chan stall), make(chan event)}
	r.shown, r.unwatch = make(chan struct{}), make(chan struct{})
	r.counted, r.watched = make(chan outcome, 1), make(chan error, 1)
	show := make(chan snapshot, 4)
	go r.job.Show(show, r.shown)
	go collect(r, show)
	go watchHost(r.job, r.begin, r.in, r.unwatch, r.watched)
	return r
}

// loadUsers creates the users of the load, if that is one of the phases.
func loadUsers(r jobRun) jobRun {
	if j := r.job; j.Load {
		from := j.Beat.Now()
		loading := phase{Name: phaseLoad, Closed: min(loaders, j.Connections), Next: loadOperation, Workload: r.w}
		loaded := make(chan []uint64, 1)
		g := generator{r.client, j.Beat, r.in.Samples}
		go persist(g, loading, numbers(r.w.Records), from.Add(j.Settle), loaded)
		r.missing = len(<-loaded)
		r.seconds[phaseLoad] = time.Since(from).Seconds()
	}
	r.w.First += r.w.Records
	return r
}

// runMix runs the mix and the script beside it, if that is one of the phases and there is time for it.
func runMix(r jobRun) jobRun {
	j, now := r.job, r.job.Beat.Now()
	r.from = now.Add(j.Width - now.Sub(r.begin)%j.Width) // so that the pieces of the timeline begin with it
	j.Beat.Sleep(r.from.Sub(now))
	if !j.Mixed || isClosed(j.Early) {
		return r
	}
	running := phase{Name: phaseRun, Count: uint64(j.Rate * j.Duration.Seconds()), Rate: j.Rate, Closed: j.Connections,
		Start: r.from, Next: runOperation, Workload: r.w}
	stop, done, scripted := make(chan struct{}), make(chan uint64, 1), make(chan error, 1)
	go drive(generator{r.client, j.Beat, r.in.Samples}, running, stop, done)
	go runScript(r, stop, scripted)
	r.made = <-done
	r.err = <-scripted
	r.seconds[phaseRun] = time.Since(r.from).Seconds()
	return r
}

// readRun reads everything back, if histories are kept and there is time for it.
func readRun(r jobRun) jobRun {
	if r.job.Check && !isClosed(r.job.Early) {
		r.back = readBack(backRead{c: r.client, j: r.job, w: r.w, made: r.made, base: r.base, samples: r.in.Samples})
	}
	return r
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
		go probeDisk(probe{j.Probe, j.MostSync, begin}, in.Syncs, quit, probed)
	} else {
		probed <- nil
	}
	watch(j.Beat, begin, in.Stalls, quit)
	ended <- <-probed
}

// runScript runs a job's script beside its load, and closes stop when the load is to end before its time: when it is
// ended early, or with the script if the load has no end of its own.
func runScript(r jobRun, stop chan<- struct{}, ended chan<- error) {
	j, quit, over := r.job, make(chan struct{}), make(chan error, 1)
	if j.Script != nil {
		go j.Script(r.begin, r.from, r.in.Events, quit, over)
	} else {
		over <- nil
	}
	var finished <-chan time.Time
	if j.Duration > 0 {
		finished = time.After(time.Until(r.from.Add(j.Duration)))
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
