package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// record is what a writer knows of one of its users: the states that it may be in. After an acknowledged write that is
// one; a write without an answer leaves two, and the writer leaves that user alone from then on.
type record struct {
	id    string
	maybe []user // an empty id: no such user
}

// writer writes users of its own until told to stop, and keeps what was acknowledged.
type writer struct {
	cluster *testCluster
	name    int
	records []record
	wrong   []string // answers that contradict what was acknowledged
}

// load is a number of writers under way.
type load struct {
	writers []*writer
	stop    chan struct{}
	ended   chan struct{}
	acks    *atomic.Int64
	misses  *atomic.Int64
}

// startLoad sets writers to work; round sets apart the users of this load.
func startLoad(c *testCluster, round, writers int) *load {
	l := &load{nil, make(chan struct{}), make(chan struct{}, writers), &atomic.Int64{}, &atomic.Int64{}}
	for i := range writers {
		w := &writer{cluster: c, name: round*100 + i}
		l.writers = append(l.writers, w)
		go func() {
			defer func() { l.ended <- struct{}{} }()
			chance := rand.New(rand.NewPCG(uint64(w.name), 1))
			for {
				select {
				case <-l.stop:
					return
				case <-time.After(2 * time.Millisecond):
					w.write(chance, l)
				}
			}
		}()
	}
	return l
}

// write does one random write and notes what it means.
func (w *writer) write(chance *rand.Rand, l *load) {
	n := len(w.records)
	at := n
	if n > 0 && chance.IntN(3) > 0 {
		at = chance.IntN(n)
	}
	if at == n {
		w.records = append(w.records, record{fmt.Sprintf("w%d-%d", w.name, n), []user{{}}})
	}
	r := &w.records[at]
	if len(r.maybe) > 1 {
		return
	}
	now := r.maybe[0]
	next := user{r.id, fmt.Sprintf("name %d", chance.IntN(1e9)), "e@example.org", int64(chance.IntN(100))}
	method, path, body, want := "POST", "/api/user/", userJSON(next), http.StatusCreated
	switch {
	case now.ID != "" && chance.IntN(4) == 0:
		next, method, path, body, want = user{}, "DELETE", "/api/user/"+r.id, "", http.StatusNoContent
	case now.ID != "":
		next.Email, next.Group = now.Email, now.Group
		method, body, want = "PUT", fmt.Sprintf(`{"id":%q,"name":%q}`, r.id, next.Name), http.StatusOK
	}
	got, err := w.cluster.ask(method, path, body)
	switch {
	case err != nil || got.status == http.StatusServiceUnavailable:
		l.misses.Add(1)
		r.maybe = append(r.maybe, next)
	case got.status == want:
		l.acks.Add(1)
		r.maybe = []user{next}
	default:
		w.wrong = append(w.wrong, fmt.Sprintf("%s %s of %+v: status %d, expected %d: %s", method, r.id, now, got.status,
			want, got.body))
		r.maybe = append(r.maybe, next)
	}
}

// more waits until so many further writes were acknowledged.
func (l *load) more(t *testing.T, acks int64) {
	t.Helper()
	goal := l.acks.Load() + acks
	for end := time.Now().Add(patience); l.acks.Load() < goal; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the writers do not go on: %d writes acknowledged, %d expected, %d without an answer",
				l.acks.Load(), goal, l.misses.Load())
		}
	}
}

// finish stops the writers and returns what they wrote.
func (l *load) finish(t *testing.T) []record {
	t.Helper()
	close(l.stop)
	all := []record{}
	for range l.writers {
		<-l.ended
	}
	for _, w := range l.writers {
		for _, wrong := range w.wrong {
			t.Errorf("an answer contradicts what was acknowledged: %s", wrong)
		}
		all = append(all, w.records...)
	}
	t.Logf("%d writes acknowledged, %d without an answer, %d users", l.acks.Load(), l.misses.Load(), len(all))
	return all
}

// verify reads every user back: it must be in one of the states that it may be in. The count and the list must agree.
func (c *testCluster) verify(t *testing.T, records []record) {
	t.Helper()
	present := []string{}
	lost := 0
	for _, r := range records {
		got, err := c.ask("GET", "/api/user/"+r.id, "")
		for end := time.Now().Add(patience); (err != nil || got.status == 503) &&
			time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			got, err = c.ask("GET", "/api/user/"+r.id, "")
		}
		var found user
		if err == nil && got.status == 200 {
			err = json.Unmarshal([]byte(got.body), &found)
			present = append(present, r.id)
		}
		if err != nil || (got.status != 200 && got.status != 404) {
			t.Fatalf("GET %s: %v, status %d", r.id, err, got.status)
		}
		if !slices.Contains(r.maybe, found) {
			if lost++; lost <= 10 {
				t.Errorf("an acknowledged write is lost: read %+v, expected one of %+v", found, r.maybe)
			}
		}
	}
	if n := c.count(); n != uint64(len(present)) {
		t.Errorf("count is %d, %d users are there", n, len(present))
	}
	listed := c.walkByOffset(1000)
	slices.Sort(listed)
	slices.Sort(present)
	if !slices.Equal(listed, present) {
		t.Errorf("%d users are listed, %d are there", len(listed), len(present))
	}
}

func TestNothingAcknowledgedIsLost(t *testing.T) {
	t.Parallel()
	c := startTest(t, 3)
	records := []record{}
	t.Run("kill -9 of each node in turn", func(t *testing.T) {
		l := startLoad(c, 0, 8)
		for i := range c.plan.Nodes {
			l.more(t, 300)
			c.kill(i)
			l.more(t, 100) // by whoever has taken over, or is left alone
			c.start(i)
		}
		l.more(t, 300)
		records = append(records, l.finish(t)...)
		c.verify(t, records)
	})
	t.Run("kill -9 of all nodes at once", func(t *testing.T) {
		for round := range 2 {
			l := startLoad(c, round+1, 8)
			l.more(t, 300)
			for i := range c.plan.Nodes {
				c.kill(i)
			}
			for i := range c.plan.Nodes {
				c.relaunch((i + round) % c.plan.Nodes)
			}
			for i := range c.plan.Nodes {
				c.await(i)
			}
			l.more(t, 300)
			records = append(records, l.finish(t)...)
		}
		c.verify(t, records)
	})
}
