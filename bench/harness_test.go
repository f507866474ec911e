package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeStore is a REST server that keeps users in memory, right but for what spoil does.
type fakeStore struct {
	lock    sync.Mutex
	users   map[string]user
	before  map[string]user // as they were before their last update
	version map[string]int
	held    map[string]func() // by user: a write that was answered and is done after the next one
	order   []string
	writes  int
	asked   int
	spoil   func(f *fakeStore, n int, r *http.Request) string // what to do wrong with the request, "" for nothing
	wait    func(n int)                                       // before the request is looked at
}

func (f *fakeStore) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.lock.Lock()
	f.asked++
	n := f.asked
	f.lock.Unlock()
	if f.wait != nil {
		f.wait(n)
	}
	f.lock.Lock()
	defer f.lock.Unlock()
	wrong := ""
	if f.spoil != nil {
		wrong = f.spoil(f, n, r)
	}
	if wrong == "503" {
		w.WriteHeader(503)
		return
	}
	status, body := f.answer(r, wrong)
	if wrong == "503 done" {
		status, body = 503, nil
	}
	if u, ok := body.(user); ok {
		w.Header().Set("ETag", fmt.Sprintf(`"%d"`, f.version[u.ID]))
	}
	w.Header().Set("X-Total-Count", strconv.Itoa(len(f.users)))
	w.WriteHeader(status)
	if body != nil {
		_ = json.NewEncoder(w).Encode(body)
	}
}

func (f *fakeStore) answer(r *http.Request, wrong string) (int, any) {
	id := strings.TrimPrefix(r.URL.Path, "/api/user/")
	var sent partial
	_ = json.NewDecoder(r.Body).Decode(&sent)
	switch {
	case id == "count":
		return 200, map[string]int{"count": len(f.users) + map[string]int{"count": 3}[wrong]}
	case r.Method == "GET" && r.URL.Path == "/api/user":
		offset, _ := strconv.Atoi(r.FormValue("offset"))
		limit, _ := strconv.Atoi(r.FormValue("limit"))
		page, ids := []user{}, f.order
		if r.URL.Query().Has("after") {
			offset, limit = 0, len(ids)
		}
		if wrong == "no page" && !r.URL.Query().Has("after") {
			limit = 0
		}
		for _, id := range ids[min(offset, len(ids)):min(offset+limit, len(ids))] {
			page = append(page, f.users[id])
		}
		return 200, page
	case r.Method == "GET":
		u, there := f.users[id]
		if !there {
			return 404, nil
		}
		if old, known := f.before[id]; known && wrong == "stale" {
			return 200, old
		}
		return 200, u
	case r.Method == "POST":
		if _, there := f.users[sent.ID]; there {
			return 409, nil
		}
		if wrong != "lost" {
			f.users[sent.ID], f.order = user(sent), append(f.order, sent.ID)
		}
		f.version[sent.ID]++
		return 201, user(sent)
	case r.Method == "PUT":
		u, there := f.users[sent.ID]
		match := r.Header.Get("If-Match")
		if !there && match == "" {
			return 404, nil
		}
		if match != "" && (!there || match != fmt.Sprintf(`"%d"`, f.version[sent.ID])) {
			return 412, nil
		}
		if wrong != "same tag" {
			f.version[sent.ID]++
		}
		late := f.held[sent.ID]
		delete(f.held, sent.ID)
		switch f.before[sent.ID] = u; wrong {
		case "lost":
		case "late":
			f.held[sent.ID] = func() { f.users[sent.ID] = merge(f.users[sent.ID], user(sent)) }
		default:
			f.users[sent.ID] = merge(u, user(sent))
		}
		if late != nil {
			late()
		}
		return 200, merge(u, user(sent))
	}
	if _, there := f.users[id]; !there {
		return 404, nil
	}
	if delete(f.before, id); wrong != "lost" {
		delete(f.users, id)
		f.order = slices.DeleteFunc(slices.Clone(f.order), func(other string) bool { return other == id })
	}
	return 204, nil
}

// serve lets a store begin empty, and returns its URL.
func (f *fakeStore) serve(t *testing.T) string {
	t.Helper()
	f.users, f.before, f.version = map[string]user{}, map[string]user{}, map[string]int{}
	f.held = map[string]func(){}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return server.URL
}

// against runs a short load against a store and returns its report.
func against(t *testing.T, f *fakeStore, change func(*job)) report {
	t.Helper()
	target := f.serve(t)
	f.users["stranger"], f.order = user{"stranger", "n", "e", 1}, []string{"stranger"} // of an earlier run
	flags := LoadFlags{Records: 100, Seed: 3, Connections: 512, KeepAlive: true, Timeout: 3 * time.Second,
		Budget:    250 * time.Millisecond,
		MostStall: time.Hour, Settle: 2 * time.Second, CheckTimeout: 10 * time.Second, Out: t.TempDir(), Quiet: true}
	j := jobOf(flags, workloadOf(flags, "crud"), target, 400, time.Second)
	j.Show, j.Beat = showTo(true, nil), beat{}
	if change != nil {
		change(&j)
	}
	if j.Beat.Sleep == nil {
		j.Beat = realBeat
	} else {
		flags.MostStall = 100 * time.Millisecond
	}
	ran := make(chan outcome, 1)
	go runJob(j, ran)
	o := <-ran
	if o.Err != nil {
		t.Fatal(o.Err)
	}
	r := assess(assessment{ran: o, job: j, flags: flags, began: time.Now()})
	if r.Histories.Page != "" {
		if page, err := os.ReadFile(r.Histories.Page); err != nil || !strings.Contains(string(page), "<html") {
			t.Errorf("the drawing of the violation: %v", err)
		}
	}
	checkReports(t, r, flags.Out)
	return r
}

// checkReports publishes a report and looks at its files.
func checkReports(t *testing.T, r report, dir string) {
	t.Helper()
	var v verdict
	if err := publish(r, dir, textOf(r), nil); r.Verdict.Code != exitPass {
		v, _ = err.(verdict)
	}
	if v.Code != r.Verdict.Code {
		t.Errorf("publishing gives the code %d, expected %d", v.Code, r.Verdict.Code)
	}
	page, err := os.ReadFile(filepath.Join(dir, "report.html"))
	if text := string(page); err != nil || strings.Count(text, "<svg") != 3 || strings.Contains(text, "src=") ||
		strings.Contains(text, "href=") || !strings.Contains(text, r.Verdict.Word) {
		t.Errorf("the page: %v, %d bytes", err, len(page))
	}
	if _, err = compareWith(r, filepath.Join(dir, "report.json")); err != nil {
		t.Error(err)
	}
}

func TestARightServerPasses(t *testing.T) {
	for _, name := range []string{"crud", "a", "d", "e", "f"} {
		t.Run(name, func(t *testing.T) {
			r := against(t, &fakeStore{}, func(j *job) {
				j.Duration, j.Budget = 300*time.Millisecond, time.Hour // what is judged here is not time
				j.Workload = workloadOf(LoadFlags{Records: 50, Seed: 1}, name)
			})
			if r.Verdict.Code != exitPass || r.Histories.Users < 50 || r.Histories.Unknown > 0 || r.Budget.Requests < 100 {
				t.Errorf("%+v, %+v", r.Verdict, r.Histories)
			}
			if name == "crud" && r.Counts == 0 {
				t.Error("no count was checked")
			}
		})
	}
}

func TestAStallShowsAsLongAsItIs(t *testing.T) {
	begin := make(chan time.Time, 1)
	f := &fakeStore{}
	f.wait = func(n int) {
		if n == 300 { // well into the run phase
			begin <- time.Now()
		}
		select {
		case at := <-begin:
			begin <- at
			time.Sleep(time.Until(at.Add(time.Second)))
		default:
		}
	}
	r := against(t, f, func(j *job) { j.Connections, j.Duration = 8, 1500*time.Millisecond })
	if r.Verdict.Code != exitBudget {
		t.Errorf("a stall of 1 s comes to %+v", r.Verdict)
	}
	// What was to start in the first three quarters of the stall took more than a quarter of a second, though only the
	// few that were under way took so long from their send.
	if r.Budget.Max < 900*time.Millisecond || r.Budget.Beyond < 200 || r.Generator.Held < 200 {
		t.Errorf("a stall of 1 s shows as %+v, %+v", r.Budget, r.Generator)
	}
	slow := 0
	for _, o := range r.Operations {
		if o.Phase == phaseRun && o.Service.P50 < 100*time.Millisecond {
			slow++
		}
	}
	if slow == 0 {
		t.Error("the latency from the send should be short for most")
	}
}

func TestWrongAnswersAreFound(t *testing.T) {
	every := func(k int, what string, methods ...string) func(*fakeStore, int, *http.Request) string {
		return func(f *fakeStore, n int, r *http.Request) string {
			if n > 150 && slices.Contains(methods, r.Method) {
				if f.writes++; f.writes%k == 0 {
					return what
				}
			}
			return ""
		}
	}
	cases := []struct {
		name  string
		spoil func(*fakeStore, int, *http.Request) string
	}{
		{"a lost create", every(10, "lost", "POST")},
		{"a lost update", every(10, "lost", "PUT")},
		{"a lost delete", every(10, "lost", "DELETE")},
		{"a read of what was before a write", every(5, "stale", "GET")},
		{"writes in another order", every(3, "late", "PUT")},
		{"a tag that stays as it was", every(3, "same tag", "PUT")},
		{"a wrong count", every(1, "count", "GET")},
		{"pages that are empty", every(1, "no page", "GET")},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := against(t, &fakeStore{spoil: c.spoil}, func(j *job) { j.Duration = 600 * time.Millisecond })
			if r.Verdict.Code != exitWrong || len(r.Verdict.Reasons) == 0 {
				t.Errorf("%+v, %+v", r.Verdict, r.Histories)
			}
			if c.name != "a wrong count" && c.name != "pages that are empty" &&
				(r.Histories.Illegal == 0 || r.Histories.Page == "") {
				t.Errorf("%+v", r.Histories)
			}
		})
	}
}

// TestNoAnswerIsNoWrongAnswer holds that a write that was answered 503 may have been done or not; it counts against the
// budget only.
func TestNoAnswerIsNoWrongAnswer(t *testing.T) {
	spoil := func(f *fakeStore, n int, r *http.Request) string {
		if f.writes++; r.Method == "GET" || n < 150 || f.writes%4 > 0 {
			return ""
		}
		return []string{"503", "503 done"}[f.writes/4%2]
	}
	r := against(t, &fakeStore{spoil: spoil}, nil)
	if r.Verdict.Code != exitBudget || r.Budget.Failed < 10 || r.Histories.Open < 10 {
		t.Errorf("%+v, %+v, %+v", r.Verdict, r.Budget, r.Histories)
	}
}

// TestAGeneratorThatLagsSaysSo gives the generator a time that stands still once: the pause is its own, not the
// server's.
func TestAGeneratorThatLagsSaysSo(t *testing.T) {
	slept := make(chan int, 1)
	slept <- 0
	lagging := beat{time.Now, func(d time.Duration) {
		n := 1 + <-slept
		slept <- n
		if n == 200 || n == 201 || n == 202 { // the schedule and the watch
			d = 500 * time.Millisecond
		}
		time.Sleep(d)
	}}
	r := against(t, &fakeStore{}, func(j *job) { j.Beat = lagging })
	if r.Verdict.Code != exitLagged || r.Generator.Longest < 400*time.Millisecond ||
		r.Generator.MaxLag < 300*time.Millisecond {
		t.Errorf("%+v, %+v", r.Verdict, r.Generator)
	}
	if r.Generator.Explained == 0 {
		t.Error("late requests are not explained by the generator's own pause")
	}
}

func TestLateRequestsAreSortedByWhoseFaultTheyAre(t *testing.T) {
	at := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	// the last one when the run was over
	o := outcome{Tally: newTally(at(250), at(100)), Stalls: []stall{{at(500), at(800)}, {at(100), at(200)},
		{at(5000), at(9000)}},
		Seconds: map[string]float64{phaseRun: 1.5}}
	for _, s := range []sample{
		// 100 ms of it are the stall
		{Op: operation{Kind: opGet}, Phase: phaseRun, Intended: at(0), Sent: at(1), Done: at(251)},
		// sent late
		{Op: operation{Kind: opGet}, Phase: phaseRun, Intended: at(500), Sent: at(800), Done: at(900)},
		// sent late, and late by itself
		{Op: operation{Kind: opGet}, Phase: phaseRun, Intended: at(500), Sent: at(800), Done: at(1051)},
		// waited for a connection
		{Op: operation{Kind: opGet}, Phase: phaseRun, Intended: at(900), Sent: at(1300), Done: at(1310), Held: true},
		// a timeout in the stall
		{Op: operation{Kind: opGet}, Phase: phaseRun, Intended: at(490), Sent: at(490), Done: at(810), Failed: true,
			Timeout: true},
		// refused
		{Op: operation{Kind: opGet}, Phase: phaseRun, Intended: at(490), Sent: at(490), Done: at(500), Failed: true,
			Status: 503},
		// good
		{Op: operation{Kind: opGet}, Phase: phaseRun, Intended: at(1400), Sent: at(1400), Done: at(1410), Status: 200},
		// not judged
		{Op: operation{Kind: opGet}, Phase: phaseLoad, Intended: at(1400), Sent: at(1400), Done: at(3410), Failed: true,
			Status: 503},
	} {
		o.Tally = count(o.Tally, s)
	}
	k, p := judgeBudget(o)
	if k.Beyond != 3 || k.Failed != 1 || p.Explained != 3 || k.Requests != 7 || p.Longest != at(300) || p.Held != 1 {
		t.Errorf("%+v, %+v", k, p)
	}
	if v := conclude(k, p, nil, nil, time.Hour); v.Code != exitLagged {
		t.Errorf("expected that nothing is judged when 3 of 7 requests are explained, found %+v", v)
	}
	k.Beyond = 4
	if v := conclude(k, p, nil, nil, time.Hour); v.Code != exitBudget {
		t.Errorf("expected a miss where more requests are late than are explained, found %+v", v)
	}
	k.Beyond, k.Requests = 3, 700
	for _, c := range []struct {
		limit           time.Duration
		wrong, unproven []string
		code            int
	}{{time.Hour, nil, nil, exitBudget}, {at(200), nil, nil, exitLagged}, {at(200), []string{"x"}, nil, exitWrong},
		{time.Hour, nil, []string{"x"}, exitWrong}} {
		if v := conclude(k, p, c.wrong, c.unproven, c.limit); v.Code != c.code {
			t.Errorf("%+v, expected %d", v, c.code)
		}
	}
	if v := conclude(keeping{}, pace{}, nil, nil, at(100)); v.Code != exitPass {
		t.Errorf("%+v", v)
	}
}
