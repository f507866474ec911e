package sim

import (
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	simSeed     = flag.Int64("sim.seed", 1795560086, "the seed that TestSimReplay runs")
	simTrace    = flag.Bool("sim.trace", false, "TestSimReplay prints every step")
	simOnly     = flag.Int("sim.shard", -1, "TestSimReplay prints the steps of this shard's replicas only")
	simSeeds    = flag.Uint64("sim.seeds", 20, "how many seeds TestSimMany runs")
	simFrom     = flag.Uint64("sim.from", 0, "the first of them")
	simFailures = flag.Int("sim.failures", 5, "TestSimMany ends after so many failures")
	simSingle   = flag.Bool("sim.single", false, "only seeds of a single fault")
	simMany     = flag.Bool("sim.many", false, "only seeds of many faults")
	simFault    = flag.String("sim.fault", "", "only seeds of this single fault")
	simSeconds  = flag.Float64("sim.seconds", 0, "TestSimMany starts no run after so many seconds; 0 for no limit")
)

// simReport is what some runs came to.
type simReport struct {
	runs, asked, open int
	virtual           int64
	seen              map[string]int
	slowest           map[string]int64 // by the fault of a single-fault run
	failures          []string
}

// add notes a run that has ended.
func (r *simReport) add(w *simWorld) {
	r.runs++
	r.virtual += w.now
	r.asked += len(w.ops)
	for _, op := range w.ops {
		if op.answered == 0 {
			r.open++
		}
	}
	for what, n := range w.seen {
		r.seen[what] += n
	}
	if w.plan.single {
		f := string(w.plan.faults[0])
		r.slowest[f] = max(r.slowest[f], w.slowest)
	}
	if w.failure != "" {
		r.failures = append(r.failures,
			fmt.Sprintf("seed %d %s\n    step by step: go test ./shard/sim -v -run 'TestSimReplay$' "+
				"-sim.seed=%d -sim.trace", w.seed, w.failure, w.seed))
	}
}

// meets tells whether a seed is a run of this single fault; of any run, if the fault is "".
func meets(seed uint64, f fault) bool {
	if f == "" {
		return true
	}
	p := planOf(seed, rand.New(rand.NewPCG(seed, 17)), rand.New(rand.NewPCG(seed, 23)))
	return p.single && p.faults[0] == f
}

// runSeeds runs seeds on two goroutines until they are done, the time is over, or some have failed.
func runSeeds(from, count, stride uint64, limit time.Duration, mostFailures int) simReport {
	report := simReport{seen: map[string]int{}, slowest: map[string]int64{}}
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // a run leaves much behind, and none of it for long
	began := time.Now()
	next := uint64(0)
	var lock sync.Mutex
	var workers sync.WaitGroup
	for range 2 {
		workers.Go(func() {
			lock.Lock()
			defer lock.Unlock()
			for next < count && len(report.failures) < mostFailures && (limit == 0 || time.Since(began) < limit) {
				seed := from + next*stride
				next++
				if !meets(seed, fault(*simFault)) {
					continue
				}
				lock.Unlock()
				w := runSim(seed, nil, -1)
				lock.Lock()
				report.add(w)
			}
		})
	}
	workers.Wait()
	return report
}

// tell logs a report, and fails the test if a run failed.
func (r *simReport) tell(t *testing.T, took time.Duration, kinds bool) {
	t.Helper()
	rate, virtual := float64(r.runs)/took.Seconds(), time.Duration(r.virtual)
	t.Logf("%d seeds in %.1f s: %.0f seeds/s; %v of simulated time (%.0f times real time), %d requests, %d of them never answered", r.runs, took.Seconds(), rate,
		virtual.Round(time.Second), virtual.Seconds()/took.Seconds(), r.asked, r.open)
	if kinds {
		for _, what := range sortedKeys(r.seen) {
			t.Logf("  %8d × %s", r.seen[what], what)
		}
	}
	for _, f := range sortedKeys(r.slowest) {
		t.Logf("  slowest request around a single fault, %s: %d ms", f, r.slowest[f]/ms)
	}
	for _, f := range r.failures {
		t.Error(f)
	}
}

// TestSim runs seeds that are always the same, and some that never ran before.
func TestSim(t *testing.T) {
	fixed, fresh := uint64(80), 4*time.Second
	if testing.Short() {
		fixed, fresh = 30, time.Second
	}
	began := time.Now()
	report := runSeeds(0, fixed, 1, 0, 1)
	report.tell(t, time.Since(began), false)
	from := uint64(time.Now().UnixMilli()) * 1000
	t.Logf("fresh seeds, from %d on", from)
	began = time.Now()
	report = runSeeds(from, 1000, 1, fresh, 1)
	report.tell(t, time.Since(began), false)
}

// TestSimMany is what "make sim" runs; without it, a few seeds.
func TestSimMany(t *testing.T) {
	from, stride := *simFrom, uint64(1)
	switch {
	case *simSingle:
		from, stride = from|1, 2
	case *simMany:
		from, stride = from+from%2, 2
	}
	began := time.Now()
	report := runSeeds(from, *simSeeds, stride, time.Duration(*simSeconds*float64(time.Second)), *simFailures)
	report.tell(t, time.Since(began), true)
}

// TestSimReplay runs one seed, and prints what happens in it; if none is named, one that was once taken for a failure.
func TestSimReplay(t *testing.T) {
	var trace io.Writer
	if *simTrace {
		trace = os.Stdout
	}
	report := simReport{seen: map[string]int{}, slowest: map[string]int64{}}
	began := time.Now()
	report.add(runSim(uint64(*simSeed), trace, *simOnly))
	report.tell(t, time.Since(began), true)
}

// Same seed, same trace: twice in this process, and once in another.
func TestSimSameTrace(t *testing.T) {
	for _, seed := range []uint64{2, 3, 4, 14} {
		first, second := fnv.New64a(), fnv.New64a()
		runSim(seed, first, -1)
		runSim(seed, second, -1)
		if first.Sum64() != second.Sum64() {
			t.Fatalf("seed %d has two traces in one process", seed)
		}
		if seed > 3 {
			continue
		}
		out, err := exec.Command(os.Args[0], "-test.run=^TestSimReplay$", fmt.Sprint("-sim.seed=", seed),
			"-sim.trace").Output()
		if err != nil {
			t.Fatalf("seed %d in a process of its own: %v", seed, err)
		}
		third := fnv.New64a()
		for _, line := range strings.SplitAfter(string(out), "\n") {
			if len(line) > 9 && strings.Index(line, ".") == 5 { // "  123.456 …"
				_, _ = io.WriteString(third, line)
			}
		}
		if first.Sum64() != third.Sum64() {
			t.Errorf("seed %d has another trace in another process", seed)
		}
	}
}
