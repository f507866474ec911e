package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/bench/cluster"
)

// An outage that nothing ends lasts until the last request, and what happens after a fault belongs to that one only.
func TestOutagesBelongToOneFault(t *testing.T) {
	tl := newTally(250*time.Millisecond, time.Second)
	for ms := 0; ms < 10_000; ms += 10 {
		at := time.Duration(ms) * time.Millisecond
		s := sample{Phase: phaseRun, Op: operation{Kind: opGet}, Cell: ms / 10 % 4, Intended: at, Sent: at,
			Done: at + time.Millisecond, Status: 200}
		if s.Failed = ms >= 5000 || ms >= 2000 && ms < 3000; s.Failed {
			s.Status, s.Err, s.Done = 503, "status 503", at+300*time.Millisecond
		}
		tl = count(tl, s)
	}
	events := []event{{At: time.Second, Kind: cluster.FaultPause}, {At: 2 * time.Second, Kind: cluster.FaultKill},
		{At: 4 * time.Second, Kind: cluster.FaultStart, Heal: true}, {At: 5 * time.Second, Kind: cluster.FaultKill}}
	list := faultsOf(outcome{Tally: tl, Events: events})
	for i, want := range []struct{ gap, beyond int }{{0, 0}, {1000, 100}, {0, 0}, {5300, 500}} {
		gap, outage := list[i].Gap.Milliseconds(), list[i].Outage.Milliseconds()
		if gap < int64(want.gap)-50 || gap > int64(want.gap)+50 || outage < int64(want.gap)-50 ||
			outage > int64(want.gap)+350 || list[i].Beyond != want.beyond {
			t.Errorf("fault %d: no answer for %d ms, a part for %d ms, %d beyond; expected about %+v", i, gap, outage,
				list[i].Beyond, want)
		}
	}
}

// A cell that failed before a fault and is asked again only long after it says nothing about that fault.
func TestOutagesBeginWithTheirOwnFault(t *testing.T) {
	tl, at := newTally(250*time.Millisecond, time.Second),
		func(s int) time.Duration { return time.Duration(s) * time.Second }
	for _, s := range []sample{
		{Phase: phaseRun, Op: operation{Kind: opGet}, Cell: 1, Intended: at(1), Sent: at(1), Done: at(2), Failed: true,
			Err: "status 503"},
		{Phase: phaseRun, Op: operation{Kind: opGet}, Cell: 2, Intended: at(5), Sent: at(5), Done: at(6), Failed: true,
			Err: "status 503"},
		{Phase: phaseRun, Op: operation{Kind: opGet}, Cell: 2, Intended: at(6), Sent: at(6), Done: at(7), Status: 200},
		{Phase: phaseRun, Op: operation{Kind: opGet}, Cell: 1, Intended: at(9), Sent: at(9), Done: at(9), Status: 200},
	} {
		tl = count(tl, s)
	}
	list := faultsOf(outcome{Tally: tl, Events: []event{{At: at(1), Kind: cluster.FaultKill},
		{At: at(4), Kind: cluster.FaultCut},
		{At: at(8), Kind: cluster.FaultPause}}})
	for i, want := range []time.Duration{at(3), at(2), 0} {
		if list[i].Outage != want {
			t.Errorf("fault %d: a part of the users without a good answer for %v, expected %v", i, list[i].Outage, want)
		}
	}
}

// Steps of one node wait for each other; when the load ends, what was done is taken back, and nothing else.
func TestTimelineTakesBack(t *testing.T) {
	all, err := parseFaults("term db-1 at 0s for 1ms; pause db-0 at 0s for 1h; kill db-2 at 1h for 1h", 1, nil,
		3*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	begun, release := make(chan string, 8), make(chan struct{})
	do := func(s cluster.Step) error {
		begun <- s.Text()
		if s.Kind == cluster.FaultTerm {
			<-release
		}
		return nil
	}
	events, quit, ended := make(chan event, 8), make(chan struct{}), make(chan error, 1)
	go timeline(all, do)(time.Now(), time.Now(), events, quit, ended)
	got := []string{<-begun, <-begun}
	slices.Sort(got)
	close(quit)
	if resumed := <-begun; resumed != "resume db-0" {
		t.Errorf("%s came while db-1 was still being ended", resumed)
	}
	close(release)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if last := <-begun; last != "start db-1" || got[0] != "pause db-0" || got[1] != "term db-1" || len(begun) != 0 {
		t.Errorf("%v, %s, and %d more", got, last, len(begun))
	}
}

func TestFaultsByCommands(t *testing.T) {
	file := filepath.Join(t.TempDir(), "done")
	steps, err := parseFaults("kill db-1 at 1ms; start db-1 at 2ms; pause db-0 at 3ms", 1, []string{"db-0", "db-1"},
		time.Second)
	if err != nil {
		t.Fatal(err)
	}
	do := performWith(map[string]string{"kill": "echo kill {node} >>" + file, "start": "echo start {node} >>" + file})
	events, ended, begin := make(chan event, 9), make(chan error, 1), time.Now()
	go timeline(steps, do)(begin, begin, events, make(chan struct{}), ended)
	if err = <-ended; err == nil || !strings.Contains(err.Error(), "--fault-command pause") {
		t.Errorf("a fault without a command: %v", err)
	}
	text, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(text), "kill db-1\n") ||
		!strings.Contains(string(text), "start db-1\n") || len(events) != 3 {
		t.Errorf("%v: %q, %d events", err, text, len(events))
	}
}
