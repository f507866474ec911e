package sim

import (
	"container/heap"
	"fmt"
	"io"
	"math/rand/v2"
	"tandem/shard"
)

// The simulator drives the real Step, lease.Step and views.Step of a whole cluster in virtual time: nodes with their
// own clocks, disks that lose what was not synced, connections that break, hang or lose one direction, gateways that
// retry, and clients. Same seed, same run. An even seed draws many faults, and only the answers that came must be
// right; an odd one draws a single fault, and every request must be answered within its budget too.

const ms = int64(1000 * 1000)

type task struct {
	at  int64
	seq int
	run func()
}

type tasks []task

func (t tasks) Len() int { return len(t) }
func (t tasks) Less(i, j int) bool {
	return t[i].at < t[j].at || t[i].at == t[j].at && t[i].seq < t[j].seq
}
func (t tasks) Swap(i, j int) { t[i], t[j] = t[j], t[i] }
func (t *tasks) Push(x any)   { *t = append(*t, x.(task)) }
func (t *tasks) Pop() any {
	last := (*t)[len(*t)-1]
	(*t)[len(*t)-1] = task{}
	*t = (*t)[:len(*t)-1]
	return last
}

// plan is what a seed draws: the shape of the cluster, the load and the kinds of faults.
type plan struct {
	layout   shard.Layout
	gateways int
	clients  int
	keys     int     // per shard
	reads    float64 // share of gets, counts and lists
	faults   []fault // kinds that happen; empty for a calm run
	aims     []aim   // moments at which a fault is likely
	every    int64   // ns between two faults, at most
	lossy    int     // of 100 pings and Raft messages so many are lost, and as many come twice
	late     int64   // ns that a frame is late at most; one in a hundred is
	stuck    int64   // ns that a request is late at most; one in fifty is
	stray    int     // of 100 requests so many go first to the replica that does not lead, as the gateway's view is old
	deaf     int     // of 100 new views so many do not reach a gateway
	mute     int     // of 100 answers so many are lost on their way to the gateway
	twice    int     // of 100 tries so many are sent twice
	lastWord int     // of 100 broken connections so many still bring to the dialler what was on its way
	drift    float64 // a node's clock runs so much faster or slower at most
	extreme  bool    // and just as much
	read     int64   // ns that a read takes at most
	shortLog bool    // the WAL keeps three entries of a shard
	think    int64   // ns that a client waits between two requests at most
	slow     []int64 // by node: ns that a sync takes at most
	budget   int64   // ns after which a client gives up
	unequal  bool    // each process has lease times of its own
	blind    bool    // and greetings do not tell them, so that only the lease sessions decide
	raise    int64   // ns after which the next version is put in force, once all nodes speak it; 0: all have the same binary
	single   bool    // one fault only, and every request must be answered
	length   int64   // ns of load
}

type simWorld struct {
	seed    uint64
	plan    plan
	rng     *rand.Rand
	times   *rand.Rand // what draws lease times, so that runs without them stay what they are
	now     int64
	turns   int // events within the tenth of a second of now
	queue   tasks
	seq     int
	nodes   []*simNode
	gates   []*simGate
	streams uint64
	slow    [][]int64 // by sender and receiver: ns that a frame is late at most besides
	cut     [][]bool  // by sender and receiver, nodes first and then gateways: what is sent now is held back
	ops     []*simOp
	acked   []uint64                  // by shard: highest LSN that an answer has shown
	shown   map[string]shard.Position // by shard and user: the version that the last answer has shown
	epochs  map[[2]uint64]shard.View  // by shard and epoch
	states  map[uint64]string         // by index: the views as first seen
	written map[[3]uint64]shard.Entry // by shard, epoch and LSN: all that ever reached a disk
	calm    bool                      // no further faults
	hush    int64                     // none before
	raised  bool                      // the next version is in force
	failure string
	beyond  bool      // more was lost than is promised to be survived: an operator must decide, and the end is not judged
	trace   io.Writer // nil for none
	only    int       // the shard whose replicas' events are traced; -1 for all
	seen    map[string]int
	struck  int64 // when the fault of a single-fault run happened
	stalled int64 // when the last stall of all disks while a node was away was over
	slowest int64 // ns that the slowest request took that was open then or came later

	// observer is told of every step before its effects are carried out; nil for none
	observer func(n *simNode, part string, event, effects any)
}

func (w *simWorld) after(d int64, run func()) {
	w.seq++
	heap.Push(&w.queue, task{w.now + d, w.seq, run})
}

func (w *simWorld) delay(most int64) int64 { return 1 + w.rng.Int64N(most) }

func (w *simWorld) chance(percent int) bool { return w.rng.IntN(100) < percent }

func (w *simWorld) fail(format string, args ...any) {
	if w.failure == "" {
		w.failure = fmt.Sprintf("at %.3f ms: ", float64(w.now)/float64(ms)) + fmt.Sprintf(format, args...)
		w.note("FAILURE %s", w.failure)
	}
}

func (w *simWorld) note(format string, args ...any) {
	if w.trace != nil {
		fmt.Fprintf(w.trace, "%9.3f %s\n", float64(w.now)/float64(ms), fmt.Sprintf(format, args...))
	}
}

// drawPlan makes a swarm of what may happen: each seed has its own mix, so that no kind of fault hides another.
func drawPlan(rng *rand.Rand, single bool) plan {
	p := plan{layout: shard.Layout{Nodes: 3, Shards: 3}, gateways: 1 + rng.IntN(3), clients: 3 + rng.IntN(3),
		keys:  1 + rng.IntN(4),
		reads: 0.2 + 0.6*rng.Float64(), single: single,
		every: (20 + rng.Int64N(120)) * ms, late: 60 * ms, stuck: 30 * ms, drift: 0.03, think: 8 * ms, read: ms / 5,
		budget: 240 * ms, length: 1500 * ms}
	if rng.IntN(8) == 0 {
		p.layout = shard.Layout{Nodes: 5, Shards: 5}
	}
	for range p.layout.Nodes {
		p.slow = append(p.slow, 2*ms)
	}
	if rng.IntN(2) == 0 {
		p.lossy = rng.IntN(20)
	}
	if single {
		p.lossy, p.length = 0, 1200*ms
		p.faults = []fault{singleFaults[rng.IntN(len(singleFaults))]}
		return p
	}
	rare := 2 + 5*rng.IntN(2) // few kinds meet each other more often than many
	for _, f := range allFaults {
		if rng.IntN(rare) == 0 {
			p.faults = append(p.faults, f)
		}
	}
	for _, a := range allAims {
		if rng.IntN(3) == 0 {
			p.aims = append(p.aims, a)
		}
	}
	for _, knob := range []struct {
		value *int64
		other int64
	}{{&p.every, 400 * ms}, {&p.late, 300 * ms}, {&p.stuck, 250 * ms}, {&p.budget, 1200 * ms}, {&p.length, 3000 * ms},
		{&p.think, ms}, {&p.read, 40 * ms}, {&p.slow[rng.IntN(len(p.slow))], rng.Int64N(50 * ms)}} {
		if rng.IntN(4) == 0 {
			*knob.value = knob.other
		}
	}
	for _, share := range []*int{&p.stray, &p.deaf, &p.twice, &p.lastWord, &p.mute} {
		if rng.IntN(2) == 0 {
			*share = 5 + rng.IntN(60)
		}
	}
	p.shortLog = rng.IntN(6) == 0
	if rng.IntN(8) == 0 { // hardly anything is written
		p.reads = 0.97
	}
	if rng.IntN(3) == 0 {
		p.raise = 1 + rng.Int64N(1500*ms)
	}
	if rng.IntN(2) == 0 {
		p.drift, p.extreme = 0.05, rng.IntN(2) == 0
	}
	return p
}

// planOf draws a seed's plan. What came later is drawn apart, so that runs without it stay what they are.
func planOf(seed uint64, rng, times *rand.Rand) plan {
	p := drawPlan(rng, seed%2 == 1)
	if p.single && rand.New(rand.NewPCG(seed, 29)).IntN(16) == 0 {
		p.faults, p.length = []fault{awayStalls}, 7000*ms
	}
	p.unequal = !p.single && times.IntN(6) == 0
	p.blind = p.unequal && times.IntN(2) == 0
	if p.unequal && times.IntN(2) == 0 { // other faults would end most of what a promise means
		p.faults, p.aims = nil, nil
	}
	return p
}

// newSim makes a cluster that is about to be bootstrapped.
func newSim(seed uint64, trace io.Writer, only int) *simWorld {
	rng, times := rand.New(rand.NewPCG(seed, 17)), rand.New(rand.NewPCG(seed, 23))
	w := &simWorld{seed: seed, rng: rng, times: times, plan: planOf(seed, rng, times), trace: trace, only: only,
		epochs: map[[2]uint64]shard.View{}, states: map[uint64]string{}, written: map[[3]uint64]shard.Entry{},
		seen: map[string]int{}, shown: map[string]shard.Position{}}
	w.open()
	return w
}

// open makes the nodes and gateways of a world that has its plan, and starts them.
func (w *simWorld) open() {
	n := w.plan.layout.Nodes
	w.acked = make([]uint64, w.plan.layout.Shards)
	w.cut = make([][]bool, n+w.plan.gateways)
	for i := range w.cut {
		w.cut[i] = make([]bool, n+w.plan.gateways)
		w.slow = append(w.slow, make([]int64, n))
	}
	members := make([]uint64, n)
	for i := range n {
		w.nodes = append(w.nodes, newSimNode(w, i))
		members[i] = w.nodes[i].member
	}
	for i := range n {
		w.nodes[i].disk.bear(w.plan.layout, members)
		w.boot(i)
	}
	for g := range w.plan.gateways {
		w.gates = append(w.gates, &simGate{number: g})
		for s := range w.plan.layout.Shards {
			w.gates[g].views = append(w.gates[g].views, shard.InitialView(w.plan.layout, s))
		}
	}
}

// runSim runs a seed to its end and returns the world; failure says what was wrong, "" if nothing was.
func runSim(seed uint64, trace io.Writer, only int) *simWorld {
	w := newSim(seed, trace, only)
	w.note("plan %+v", w.plan)
	w.until(400 * ms) // until it serves
	for c := range w.plan.clients {
		w.client(c, 0)
	}
	end := w.now + w.plan.length
	switch {
	case w.plan.single:
		w.after(200*ms+w.delay(200*ms), w.strikeOnce)
	case len(w.plan.faults) > 0:
		w.after(w.delay(50*ms), w.chaos)
	}
	if w.plan.unequal {
		w.after(50*ms, w.shorten)
	}
	w.until(end)
	w.calm = true
	w.heal()
	w.settle()
	if w.failure == "" && !w.beyond {
		w.verify()
	}
	return w
}

// mostTurns is how many events a run may have within a tenth of a second; the busiest of 2,000 seeds had a tenth of it.
const mostTurns = 200_000

// until lets everything happen that is due before a time.
func (w *simWorld) until(end int64) {
	for w.failure == "" && len(w.queue) > 0 && w.queue[0].at <= end {
		next := heap.Pop(&w.queue).(task)
		if next.at/(100*ms) != w.now/(100*ms) {
			w.turns = 0
		}
		w.turns++
		if w.turns > mostTurns {
			w.fail("%d events within a tenth of a second: messages beget messages", w.turns)
		}
		w.now = next.at
		next.run()
	}
	w.now = max(w.now, end)
}

// settle waits until all shards are in sync and equal on both replicas, and the last requests are answered or given up.
func (w *simWorld) settle() {
	for range 60 {
		w.until(w.now + 100*ms)
		if w.failure != "" || w.beyond || w.settled() == "" {
			return
		}
	}
	w.fail("not healed: %s", w.settled())
}
