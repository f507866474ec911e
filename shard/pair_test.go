package shard

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"testing"
)

// The pair simulation drives the real Step of a shard's two replicas in virtual time, with clients that retry, a disk that loses
// what was not synced at a crash, and streams that break. Same seed, same run.

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
	*t = (*t)[:len(*t)-1]
	return last
}

// stream is one connection from leader to backup; frames of each direction arrive in order.
type stream struct {
	number           uint64
	toBackup, toLead int64 // when the last frame of each direction arrives
	broken           bool
	lives            [2]int
}

type simNode struct {
	up      bool
	life    int // counts restarts
	replica Replica
	disk    []Entry // synced
	writes  []Entry // waiting for the disk
	writing bool
	sick    bool
}

type asked struct {
	change          Change
	get             bool
	invoked         int64
	answered        int64 // 0 while open
	reply           Reply
	floor           uint64 // LSN of the last change acknowledged before it began
	diskAtAnswerMax uint64
}

type world struct {
	t       *testing.T
	seed    uint64
	rng     *rand.Rand
	now     int64
	queue   tasks
	seq     int
	nodes   [2]simNode
	stream  *stream
	streams uint64
	ops     []*asked
	acked   uint64 // highest LSN acknowledged
	calm    bool   // no further faults
}

const ms = int64(1000 * 1000)

func (w *world) after(d int64, run func()) {
	w.seq++
	heap.Push(&w.queue, task{w.now + d, w.seq, run})
}

func (w *world) delay(most int64) int64 { return 1 + w.rng.Int64N(most) }

func (w *world) boot(i int) {
	n := &w.nodes[i]
	n.up, n.life, n.writes, n.writing, n.sick = true, n.life+1, nil, false, false
	log := n.disk
	n.replica = NewReplica(0, i, fmt.Sprintf("db-%d", 1-i), View{Epoch: 1, Leader: 0, Backup: 1, InSync: true}, uint64(len(n.disk)), log, w.now)
}

func (w *world) crash(i int) {
	w.nodes[i].up = false
	w.cut()
	down := 40 * ms
	if w.rng.IntN(4) == 0 {
		down = 500 * ms
	}
	w.after(w.delay(down), func() { w.boot(i) })
}

// cut breaks the stream. What is on its way to the backup may still arrive; the leader hears nothing more of it.
func (w *world) cut() {
	s := w.stream
	if s == nil {
		return
	}
	w.stream, s.broken = nil, true
	if w.nodes[0].up && w.nodes[0].life == s.lives[0] {
		w.step(0, &Event{Kind: StreamDown, Stream: s.number})
	}
}

// dial is what the leader's link does now and then.
func (w *world) dial() {
	if w.stream == nil && w.nodes[0].up && w.nodes[1].up {
		w.streams++
		w.stream = &stream{number: w.streams, lives: [2]int{w.nodes[0].life, w.nodes[1].life}}
		w.step(0, &Event{Kind: StreamUp, Stream: w.streams})
	}
	w.after(w.delay(10*ms), w.dial)
}

// lookUp is what the disk holds of a user.
func (w *world) lookUp(i int, id string) (Record, bool) {
	disk := w.nodes[i].disk
	for j := len(disk) - 1; j >= 0; j-- {
		if n := disk[j]; n.ID == id {
			return Record{n.ID, n.Name, n.Email, n.Group, n.Epoch, n.LSN}, n.Result != Deleted
		}
	}
	return Record{}, false
}

func (w *world) step(i int, e *Event) {
	n := &w.nodes[i]
	e.Now = w.now
	if e.Kind == WriteAsked || e.Kind == ReadDone {
		e.Current, e.Exists = w.lookUp(i, e.Change.ID)
	}
	var out []Effect
	n.replica, out = Step(n.replica, e, nil)
	for k := range out {
		w.act(i, &out[k])
	}
}

func (w *world) toBackup(s *stream, e Event) {
	if s == nil {
		return
	}
	late := 2 * ms
	if w.rng.IntN(100) == 0 { // frames that hang in a connection may arrive after the next one stands
		late = 80 * ms
	}
	s.toBackup = max(s.toBackup, w.now+w.delay(late))
	e.Caller = s
	w.after(s.toBackup-w.now, func() {
		if w.nodes[1].up && w.nodes[1].life == s.lives[1] {
			w.step(1, &e)
		}
	})
}

func (w *world) toLeader(s *stream, e Event) {
	s.toLead = max(s.toLead, w.now+w.delay(2*ms))
	e.Stream = s.number
	w.after(s.toLead-w.now, func() {
		if !s.broken && w.nodes[0].up && w.nodes[0].life == s.lives[0] {
			w.step(0, &e)
		}
	})
}

func (w *world) act(i int, fx *Effect) {
	n := &w.nodes[i]
	switch fx.Kind {
	case Answer:
		w.answer(fx.Caller.(*asked), fx.Reply)
	case Persist:
		w.persist(i, fx.Entries)
	case SendAsk:
		w.toBackup(w.stream, Event{Kind: PositionAsked, Epoch: fx.Epoch})
	case SendAppend:
		w.toBackup(w.stream, Event{Kind: EntriesCame, Epoch: fx.Epoch, Entries: fx.Entries, Applied: fx.Applied})
	case SendApplied:
		w.toBackup(w.stream, Event{Kind: LeaderTold, Epoch: fx.Epoch, LSN: fx.LSN})
	case SendFetch:
		if s := w.stream; s != nil {
			w.after(w.delay(ms), func() {
				if w.nodes[1].up && w.nodes[1].life == s.lives[1] {
					w.toLeader(s, Event{Kind: EntriesCame, Epoch: fx.Epoch, Entries: append([]Entry{}, w.nodes[1].disk[fx.LSN-1:]...)})
				}
			})
		}
	case SendStored:
		w.toLeader(fx.Caller.(*stream), Event{Kind: PeerStored, LSN: fx.LSN})
	case SendPosition:
		w.toLeader(fx.Caller.(*stream), Event{Kind: PeerPosition, LSN: fx.LSN})
	case SendTrouble:
		w.toLeader(fx.Caller.(*stream), Event{Kind: PeerTrouble, Reason: fx.Reply.Reason, Broken: fx.Reply.Refusal == Unavailable})
	case Feed:
		w.toBackup(w.stream, Event{Kind: EntriesCame, Epoch: fx.Epoch, Entries: append([]Entry{}, n.disk[fx.LSN-1:fx.Applied]...)})
	case SetAlarm:
		life := n.life
		w.after(TellEvery, func() {
			if n.up && n.life == life {
				w.step(i, &Event{Kind: Ticked})
			}
		})
	}
}

// persist queues a synced write.
func (w *world) persist(i int, entries []Entry) {
	n := &w.nodes[i]
	n.writes = append(n.writes, entries...)
	if !n.writing {
		n.writing = true
		w.flush(i)
	}
}

// flush stores what is queued, all at once (group commit): it can be read a little before the replica hears of it. A sick disk
// tries again.
func (w *world) flush(i int) {
	n, life := &w.nodes[i], w.nodes[i].life
	group := len(n.writes)
	w.after(w.delay(2*ms), func() {
		switch {
		case !n.up || n.life != life:
			return
		case n.sick:
			w.flush(i)
			return
		}
		for _, e := range n.writes[:group] {
			if e.LSN != uint64(len(n.disk))+1 {
				w.t.Fatalf("seed %d: node %d stores LSN %d after %d", w.seed, i, e.LSN, len(n.disk))
			}
			n.disk = append(n.disk, e)
		}
		n.writes = n.writes[group:]
		last := uint64(len(n.disk))
		w.after(w.delay(ms/2), func() {
			if n.up && n.life == life {
				w.step(i, &Event{Kind: DiskStored, LSN: last})
			}
		})
		if n.writing = len(n.writes) > 0; n.writing {
			w.flush(i)
		}
	})
}

func (w *world) answer(a *asked, reply Reply) {
	if a.answered != 0 || reply.Refusal != 0 {
		return
	}
	a.answered, a.reply, a.diskAtAnswerMax = w.now, reply, uint64(len(w.nodes[0].disk))
	if !a.get && reply.Result <= Deleted {
		w.acked = max(w.acked, reply.Record.LSN)
		if w.nodes[0].disk == nil || uint64(len(w.nodes[0].disk)) < reply.Record.LSN || uint64(len(w.nodes[1].disk)) < reply.Record.LSN {
			w.t.Fatalf("seed %d: LSN %d acknowledged before both replicas stored it", w.seed, reply.Record.LSN)
		}
	}
}

// client asks one thing after another and repeats each with the same request id until it is answered or given up.
func (w *world) client(number, left int) {
	if left == 0 {
		return
	}
	a := &asked{invoked: w.now, floor: w.acked, get: w.rng.IntN(4) == 0}
	a.change = Change{Op: Op(1 + w.rng.IntN(3)), ID: fmt.Sprint("u", w.rng.IntN(4)), Fields: HasName, Name: fmt.Sprint(number, "-", left)}
	a.change.Request[0], a.change.Request[1] = byte(number), byte(left)
	if w.rng.IntN(8) == 0 {
		a.change.Match = []Position{{1, w.acked}}
	}
	w.ops = append(w.ops, a)
	try := func() {}
	try = func() {
		if a.answered != 0 || w.now > a.invoked+240*ms {
			w.after(w.delay(3*ms), func() { w.client(number, left-1) })
			return
		}
		kind := WriteAsked
		if a.get {
			kind = ReadDone
		}
		w.after(w.delay(ms), func() {
			if w.nodes[0].up {
				w.step(0, &Event{Kind: kind, Caller: a, Change: a.change, Deadline: a.invoked + 240*ms})
			}
		})
		w.after(10*ms, try)
	}
	try()
}

func (w *world) chaos() {
	if w.calm {
		return
	}
	switch w.rng.IntN(6) {
	case 0, 1:
		w.cut()
	case 2, 3:
		if i := w.rng.IntN(2); w.nodes[i].up {
			w.crash(i)
		}
	case 4:
		i := w.rng.IntN(2)
		n, life := &w.nodes[i], w.nodes[i].life
		if n.up {
			n.sick = true
			w.step(i, &Event{Kind: DiskSick, Reason: "full"})
			w.after(w.delay(30*ms), func() {
				if n.up && n.life == life {
					n.sick = false
					w.step(i, &Event{Kind: DiskSick})
				}
			})
		}
	}
	w.after(w.delay(60*ms), w.chaos)
}

func runPair(t *testing.T, seed uint64, faults bool) *world {
	w := &world{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 1))}
	w.boot(0)
	w.boot(1)
	w.dial()
	for c := range 4 {
		w.client(c, 40)
	}
	if faults {
		w.after(20*ms, w.chaos)
	}
	for w.now < 4000*ms {
		if w.now > 2000*ms {
			w.calm = true
		}
		next := heap.Pop(&w.queue).(task)
		w.now = next.at
		next.run()
	}
	w.verify()
	return w
}

func TestPairInCalm(t *testing.T) {
	w := runPair(t, 1, false)
	for _, a := range w.ops {
		if a.answered == 0 {
			t.Errorf("without faults, %+v was not answered", a.change)
		}
	}
}

func TestPairThroughFaults(t *testing.T) {
	answered, entries, open := 0, 0, 0
	for seed := range uint64(300) {
		w := runPair(t, seed, true)
		entries += len(w.nodes[0].disk)
		for _, a := range w.ops {
			if a.answered != 0 {
				answered++
			} else {
				open++
			}
		}
	}
	t.Logf("%d answers, %d given up, %d entries", answered, open, entries)
	if answered < 300*100 || open == 0 {
		t.Errorf("%d answers and %d given up: the simulation does not exercise what it should", answered, open)
	}
}
