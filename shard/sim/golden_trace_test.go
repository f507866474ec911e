package sim

import (
	"bytes"
	"container/heap"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"tandem/shard"
	"tandem/shard/lease"
	"tandem/shard/replica"
	"tandem/shard/views"
	"testing"
)

var update = flag.Bool("update", false, "write the golden traces instead of comparing with them")

// constantSource is a source of numbers that are always the same: every delay is half of the longest one, and what is
// no more likely than not does not happen. Its low bits keep rand from drawing again.
type constantSource struct{}

func (constantSource) Uint64() uint64 { return 0x8000_1357_9bdf_0246 }

// scene is a part of a script: what a reader is told, what is done, and what a line must have until the next begins.
type scene struct {
	says  string
	does  func(*goldenTrace)
	until []string
	brief bool // of the view service only proposals and new states are written
	mute  bool // nothing is written
}

// goldenTrace is a run of the simulator in which nothing is left to chance, as a text for readers: each event that
// comes to a state machine, and what it decides.
type goldenTrace struct {
	w         *simWorld
	words     traceWords
	out       bytes.Buffer
	began     int64           // the virtual time that the trace calls 0
	last      string          // the last line of an event, whether it was written or not
	writtenAt int64           // when a line was written last
	seen      map[string]bool // what routine lines have said before
	omitted   int             // lines left out since the last one
	brief     bool
	mute      bool
}

// newGoldenTrace makes a cluster of three nodes and one shard.
func newGoldenTrace(t *testing.T) *goldenTrace {
	t.Helper()
	words, err := readWords()
	if err != nil {
		t.Fatal(err)
	}
	w := &simWorld{rng: rand.New(constantSource{}), times: rand.New(constantSource{}), only: -1,
		epochs: map[[2]uint64]shard.View{}, states: map[uint64]string{},
		written: map[[3]uint64]shard.Entry{}, seen: map[string]int{},
		shown: map[string]shard.Position{},
		plan: plan{layout: shard.Layout{Nodes: 3, Shards: 1}, gateways: 1, slow: []int64{ms, ms, ms}, late: ms,
			stuck: ms, read: ms / 5, budget: 240 * ms, single: true}}
	w.open()
	return &goldenTrace{w: w, words: words, seen: map[string]bool{}}
}

// widest is how many columns a line has, unless it is one effect.
const widest = 132

// line writes a line of the trace. Where it is long, each effect gets a line of its own.
func (g *goldenTrace) line(who, part, text string, effects ...string) {
	g.last = fmt.Sprintf("%-5s %-15s %s", who, part, strings.Join(append([]string{text}, effects...), " → "))
	if g.mute {
		return
	}
	if g.omitted > 0 && g.w.now-g.writtenAt > 20*ms {
		fmt.Fprintf(&g.out, "%8s %-21s %s\n", "…", "", count(g.omitted, "line")+" left out")
	}
	g.omitted, g.writtenAt = 0, g.w.now
	fmt.Fprintf(&g.out, "%8s ", g.time(g.w.now))
	if len([]rune(g.last)) <= widest-9 {
		fmt.Fprintln(&g.out, g.last)
		return
	}
	fmt.Fprintf(&g.out, "%-5s %-15s %s\n", who, part, text)
	for _, fx := range effects {
		fmt.Fprintf(&g.out, "%30s → %s\n", "", fx)
	}
}

// routine writes a line unless it was written before.
func (g *goldenTrace) routine(who, part, text string, effects ...string) {
	key := times.ReplaceAllString(fmt.Sprint(who, part, text, effects), "")
	if g.seen[key] && !g.mute {
		g.omitted++
		return
	}
	g.seen[key] = !g.mute || g.seen[key]
	g.line(who, part, text, effects...)
}

func (g *goldenTrace) time(virtual int64) string {
	return fmt.Sprintf("%.1f", float64(virtual-g.began)/float64(ms))
}

var times = regexp.MustCompile(`[0-9-]+\.[0-9]\b`)

// observe writes a step of a state machine, unless it is routine that says nothing new.
func (g *goldenTrace) observe(n *simNode, part string, event, effects any) {
	clock := func(at int64) string { return g.time(at-n.skew) + " ms" }
	said := []string{}
	for list, i := reflect.ValueOf(effects), 0; i < list.Len(); i++ {
		fx := list.Index(i).Interface()
		text := g.words.describe(fx, clock)
		r, ofReplica := fx.(replica.Effect)
		v, ofViews := fx.(views.Effect)
		if ofReplica && r.Kind == replica.SetAlarm || strings.Contains(text, "MsgHeartbeat") ||
			ofViews && g.brief && v.Kind != views.StateChanged {
			continue
		}
		said = append(said, text)
	}
	who, text := fmt.Sprint("db-", n.number), g.words.describe(event, clock)
	routine, quiet := false, false // what is written once; what is left out if nothing comes of it
	switch e := event.(type) {
	case *replica.Event:
		routine, quiet = e.Kind <= replica.PageAsked || e.Kind == replica.LeaseCame, e.Kind == replica.Ticked
	case *lease.Event:
		routine, quiet = e.Kind <= lease.PongReceived, e.Kind == lease.Ticked || e.Kind == lease.ViewsLearnt
	case *views.Event:
		quiet = g.brief && e.Kind != views.ProposalAsked || e.Kind == views.Ticked ||
			strings.Contains(text, "MsgHeartbeat")
	}
	switch {
	case quiet && len(said) == 0:
		g.omitted++
	case routine:
		g.routine(who, part, text, said...)
	default:
		g.line(who, part, text, said...)
	}
}

// Write takes the simulator's own trace, of which only the tries of the gateway are kept.
func (g *goldenTrace) Write(text []byte) (int, error) {
	var gate, try, request, kind, node int
	if n, _ := fmt.Sscanf(string(text[10:]), "gateway %d: try %d of request %x (kind %d) at node %d", &gate, &try,
		&request, &kind, &node); n == 5 {
		g.routine("", "gateway", fmt.Sprintf("request %d goes to db-%d", request, node))
	}
	return len(text), nil
}

// ask has a client ask for something, and writes when it is answered.
func (g *goldenTrace) ask(op shard.Op, id string) {
	w := g.w
	change := shard.Change{Request: shard.RequestID{0, 0, byte(len(w.ops) + 1)}, Op: op, ID: id, Name: id,
		Fields: shard.HasName}
	asked := g.words.describeValue(reflect.ValueOf(change))
	o := &simOp{kind: opWrite, invoked: w.now, floor: w.acked[0], change: change}
	if op == 0 {
		o.kind, asked = opGet, "get "+id
	}
	g.line("", "client", fmt.Sprintf("asks: %s (request %d)", asked, change.Request[2]))
	w.ops = append(w.ops, o)
	w.try(o, w.gates[0], w.gates[0].views[0].Leader)
	var look func()
	look = func() {
		if o.answered == 0 {
			w.after(ms/10, look)
			return
		}
		g.line("", "client", fmt.Sprintf("is answered (request %d), %s ms after it asked: %s", change.Request[2],
			g.time(g.began+w.now-o.invoked), g.words.describeValue(reflect.ValueOf(o.reply))))
	}
	look()
}

// kill ends a process, whose next one starts after a while.
func (g *goldenTrace) kill(node int, down int64) {
	g.line(fmt.Sprint("db-", node), "process", "is killed")
	g.w.after(down, func() { g.line(fmt.Sprint("db-", node), "process", "starts again") })
	g.w.kill(g.w.nodes[node], down)
}

// play runs a script, and returns the trace. It begins when the cluster has started, and the leader that placement
// wants leads.
func (g *goldenTrace) play(t *testing.T, script []scene) []byte {
	t.Helper()
	w := g.w
	w.until(3000 * ms)
	g.began, w.trace, w.observer = w.now, g, g.observe
	for _, s := range script {
		for _, text := range strings.Split(strings.TrimSpace(s.says), "\n") {
			fmt.Fprintln(&g.out, strings.TrimSpace("# "+strings.TrimSpace(text)))
		}
		g.brief, g.mute, g.last = s.brief, s.mute, ""
		if s.does != nil {
			s.does(g)
		}
		for end := w.now + 3000*ms; !hasAll(g.last, s.until); {
			if w.failure != "" || w.now > end {
				t.Fatalf("no line has %q: %s\n%s", s.until, w.failure, g.out.Bytes())
			}
			next := heap.Pop(&w.queue).(task)
			w.now = next.at
			next.run()
		}
		if s.mute {
			g.omitted, g.writtenAt = 0, w.now
		}
		fmt.Fprintln(&g.out)
	}
	if w.failure != "" {
		t.Fatal(w.failure)
	}
	return bytes.TrimSuffix(g.out.Bytes(), []byte("\n"))
}

func hasAll(line string, parts []string) bool {
	for _, p := range parts {
		if !strings.Contains(line, p) {
			return false
		}
	}
	return true
}

func TestTraces(t *testing.T) {
	for name, script := range goldenScripts {
		t.Run(name, func(t *testing.T) {
			got := newGoldenTrace(t).play(t, script)
			file := filepath.Join("testdata", "traces", name+".txt")
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s is not what happens now; -update writes it anew. Now:\n%s", file, got)
			}
		})
	}
}
