package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tandem/wire"
	"tandem/wire/proc"
)

// The users that a node has more of than it counted push nobody out, and the total is of the moment that the page
// shows.
func TestAPageOfMoreThanWasCounted(t *testing.T) {
	r := newRig(t, ample, ample/4)
	r.fill(300)
	for _, n := range r.nodes {
		n.set(func(m *wire.Message) (verdict, *wire.Message) {
			if m.Kind != wire.Count {
				return answer, nil
			}
			a := r.store.answer(n.name, m)
			for i := range a.Counts {
				a.Counts[i].Users -= 3 // they come in between
			}
			return refuse, a
		})
	}
	ids, links, got := r.page("/api/user?offset=0&limit=1000")
	if want := r.everyone(); len(ids) != len(want) || got.header.Get("X-Total-Count") != "300" || links["next"] != "" {
		t.Errorf("%d of %d users, %v", len(ids), len(want), got.header)
	}
	if ids, _, _ = r.page("/api/user?offset=0&limit=100"); fmt.Sprint(ids) != fmt.Sprint(r.everyone()[:100]) {
		t.Errorf("a page within: %d users", len(ids))
	}
}

// A node that answers a list with more than was asked for is not believed, and what it sends is not gathered for ever.
func TestAListWithoutEnd(t *testing.T) {
	ask := &wire.Message{Kind: wire.List, Shard: 3, Limit: 4}
	r := request{message: ask}
	for i := range 3 {
		page := &wire.Message{Kind: wire.Page, Shard: 3, More: true, Records: make([]wire.Record, 2)}
		a, whole := mergePages(&r, page)
		if whole != (i == 2) || len(a.Records) != 2*(i+1) {
			t.Errorf("page %d: whole %v with %d users", i, whole, len(a.Records))
		}
	}
}

// metric returns the value of a line of /metrics that begins so.
func (r *rig) metric(line string) float64 {
	r.t.Helper()
	_, text, _ := strings.Cut("\n"+r.ask("GET", "/metrics", "").body, "\n"+line)
	value, _, _ := strings.Cut(text, "\n")
	n, err := strconv.ParseFloat(value, 64)
	if err != nil {
		r.t.Fatalf("%s: %v", line, err)
	}
	return n
}

// fillLong stores users with long names.
func (r *rig) fillLong(users, bytes int) {
	r.fill(users)
	r.store.lock.Lock()
	defer r.store.lock.Unlock()
	for id, u := range r.store.users {
		u.Name = strings.Repeat("n", bytes)
		r.store.users[id] = u
	}
	r.store.maxPage, r.store.order = 1, nil
}

// A client that does not take a list is cut off, and the bytes of the list are released.
func TestASlowReaderIsCutOff(t *testing.T) {
	r := newRig(t, ample, ample/4)
	r.fillLong(50, 400<<10) // 20 MB in all: more than the system takes
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.(*net.TCPConn).SetReadBuffer(4096)
	fmt.Fprintf(conn, "GET /api/user?limit=1000 HTTP/1.1\r\nHost: x\r\n\r\n")
	long, held := `tandem_unread_bytes{size="long"} `, 0.0
	for r.metric("tandem_slow_clients_total ") == 0 {
		held = max(held, r.metric(long))
		time.Sleep(time.Millisecond)
	}
	if held < 20e6 || held > float64(maxLong(r.wiring.Config)) {
		t.Errorf("%v bytes were held", held)
	}
	for r.metric(long) > 0 {
		time.Sleep(time.Millisecond)
	}
}

// While lists that wait for their clients take the whole budget, further long ones get 503, and small ones are served.
func TestABudgetForLongLists(t *testing.T) {
	r := newRig(t, 2*time.Second, time.Second)
	r.fillLong(50, 10<<10)
	others, refused := reserve(r.wiring, maxLong(r.wiring.Config), proc.Clock()+int64(ample))
	if refused != nil {
		t.Fatal(refused)
	}
	got := r.must(503, "GET", "/api/user?limit=1000", "")
	if !strings.Contains(got.body, "--unread-mb") || got.header.Get("Retry-After") == "" ||
		r.metric("tandem_lists_crowded_total ") != 1 {
		t.Errorf("%s %v", got.body, got.header)
	}
	r.must(200, "GET", "/api/user?limit=2", "")
	r.wiring.Reservations <- *others
	r.must(200, "GET", "/api/user?limit=1000", "")
}

// Bytes are granted in the order in which they were asked for, released once, and not granted to who has given up.
func TestUnreadBudget(t *testing.T) {
	budget := unreadBudget{limit: 10, gauge: prometheus.NewGauge(prometheus.GaugeOpts{Name: "x"})}
	reserved := func(bytes int) reservation { return reservation{bytes: bytes, granted: make(chan struct{}, 1)} }
	released := func(n reservation) reservation { n.release = true; return n }
	a, b, c, d := reserved(6), reserved(6), reserved(4), reserved(4)
	for _, n := range []reservation{a, b, c, d} {
		budget = applyReservation(budget, n)
	}
	if budget.used != 6 || len(a.granted) != 1 || len(b.granted)+len(c.granted)+len(d.granted) != 0 {
		t.Fatalf("%+v", budget)
	}
	budget = applyReservation(budget, released(b)) // gives up
	if budget.used != 10 || len(c.granted) != 1 || len(d.granted) != 0 {
		t.Fatalf("%+v", budget)
	}
	for _, n := range []reservation{a, c, d} {
		budget = applyReservation(budget, released(n))
	}
	if budget.used != 0 || len(budget.queue) != 0 {
		t.Fatalf("%+v", budget)
	}
}

// A page that is larger than the whole budget is refused for good.
func TestAPageThatIsTooLong(t *testing.T) {
	wiring := &wiring{Config: config{UnreadMB: 24}}
	_, refused := reserve(wiring, 19<<20, proc.Clock()+int64(ample))
	if refused == nil || refused.status != http.StatusBadRequest || !json.Valid(refused.body) ||
		!strings.Contains(string(refused.body), "expected a smaller one") {
		t.Errorf("%+v", refused)
	}
}
