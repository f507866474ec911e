package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"tandem/bench/cluster"
)

func TestAWorkloadIsAFunctionOfItsSeed(t *testing.T) {
	for name, recipe := range recipes {
		w := workloadOf(LoadFlags{Records: 1000, Seed: 5, UsersSeed: 9, Size: 40}, name)
		other := workloadOf(LoadFlags{Records: 1000, Seed: 6, UsersSeed: 9}, name)
		kinds, made, again, same := map[string]int{}, uint64(0), uint64(0), 0
		for i := range uint64(20_000) {
			var op, twin operation
			op, made = runOperation(w, i, made)
			if twin, again = runOperation(w, i, again); op != twin || made != again {
				t.Fatalf("%s: operation %d is %+v, then %+v", name, i, op, twin)
			}
			kinds[op.Kind]++
			if twin, _ = runOperation(other, i, again); op == twin {
				same++
			}
			if about := op.Kind != opCount && op.Kind != opList; about &&
				(op.User.ID != makeUser(9, op.Key).ID || op.Key >= 1000+made) {
				t.Fatalf("%s: %+v", name, op)
			}
			if name := op.User.Name; name != "" && (!strings.Contains(name, unique(op.Number)) || len(name) < 40) {
				t.Fatalf("the name %q of operation %d", name, op.Number)
			}
		}
		for _, s := range recipe.Shares {
			if got := float64(kinds[s.kind]) / 200; math.Abs(got-float64(s.of)) > 2 {
				t.Errorf("%s: %.1f %% are %s, expected %d", name, got, s.kind, s.of)
			}
		}
		if same > 15_000 {
			t.Errorf("%s: with another seed %d of 20000 operations are the same", name, same)
		}
	}
}

func TestZipf(t *testing.T) {
	z, hits := newZipf(10_000), make([]int, 10_000)
	for i := range uint64(200_000) {
		hits[rank(z, mix(i*golden64+1))]++
	}
	sum := 0.0
	for i := range 10_000 {
		sum += 1 / math.Pow(float64(i+1), theta)
	}
	for _, r := range []int{0, 1} {
		if want := 200_000 / math.Pow(float64(r+1), theta) / sum; math.Abs(float64(hits[r])-want) > want/10 {
			t.Errorf("rank %d was hit %d times, expected %.0f", r, hits[r], want)
		}
	}
	if rank(z, math.MaxUint64) > 9999 {
		t.Error("a rank out of range")
	}
}

// op makes an operation of a history.
func op(kind string, from, to int64, fields user, status int, read user, more ...string) porcupine.Operation {
	match, tag := "", ""
	if len(more) > 0 {
		tag = more[0]
	}
	if len(more) > 1 {
		match = more[1]
	}
	return porcupine.Operation{Input: input{kind, fields, match}, Output: output{status, read, tag}, Call: from,
		Return: to}
}

func TestHistories(t *testing.T) {
	none, u := user{ID: "a"}, user{"a", "n1", "e1", 1}
	renamed, name2 := user{"a", "n2", "e1", 1}, user{ID: "a", Name: "n2"}
	create, update := op(opCreate, 1, 2, u, 201, u, "1"), op(opUpdate, 3, 4, name2, 200, renamed, "2")
	lost := op(opUpdate, 3, never, name2, 0, user{})
	cases := []struct {
		name    string
		initial believed
		want    porcupine.CheckResult
		history []porcupine.Operation
	}{
		{"create and read", believed{Known: true}, porcupine.Ok, []porcupine.Operation{create,
			op(opGet, 3, 4, none, 200, u, "1")}},
		{"a write that is not seen", believed{Known: true}, porcupine.Illegal,
			[]porcupine.Operation{create, update, op(opGet, 5, 6, none, 200, u, "1")}},
		{"a create that is not seen", believed{Known: true}, porcupine.Illegal,
			[]porcupine.Operation{create, op(opGet, 3, 4, none, 404, user{})}},
		{"at the same time", believed{Known: true}, porcupine.Ok, []porcupine.Operation{create, update,
			op(opGet, 3, 5, none, 200, u, "1")}},
		{"another version", believed{Known: true}, porcupine.Illegal, []porcupine.Operation{create,
			op(opGet, 3, 4, none, 200, u, "7")}},
		{"created twice", believed{Known: true}, porcupine.Illegal, []porcupine.Operation{create,
			op(opCreate, 3, 4, u, 201, u, "2")}},
		{"refused without reason", believed{Known: true}, porcupine.Illegal,
			[]porcupine.Operation{op(opCreate, 1, 2, u, 409, user{})}},
		{"no answer, done", believed{Known: true}, porcupine.Ok, []porcupine.Operation{create, lost,
			op(opGet, 5, 6, none, 200, renamed, "2")}},
		{"no answer, not done", believed{Known: true}, porcupine.Ok, []porcupine.Operation{create, lost,
			op(opGet, 5, 6, none, 200, u, "1")}},
		{"no answer, done late", believed{Known: true}, porcupine.Ok, []porcupine.Operation{create, lost,
			op(opGet, 5, 6, none, 200, u, "1"), op(opGet, 7, 8, none, 200, renamed, "2")}},
		{"no answer, done and undone", believed{Known: true}, porcupine.Illegal,
			[]porcupine.Operation{create, lost, op(opGet, 5, 6, none, 200, renamed, "2"),
				op(opGet, 7, 8, none, 200, u, "1")}},
		{"a delete without an answer", believed{Known: true}, porcupine.Ok,
			[]porcupine.Operation{create, op(opDelete, 3, never, none, 0, user{}), op(opGet, 5, 6, none, 404, user{})}},
		{"gone by itself", believed{Known: true}, porcupine.Illegal, []porcupine.Operation{create,
			op(opGet, 3, 4, none, 200, u, "1"), op(opGet, 5, 6, none, 404, user{})}},
		{"on condition", believed{Known: true}, porcupine.Ok, []porcupine.Operation{create,
			op(opUpdate, 3, 4, name2, 200, renamed, "2", "1"), op(opUpdate, 5, 6, name2, 412, user{}, "", "1")}},
		{"on a condition that does not hold", believed{Known: true}, porcupine.Illegal,
			[]porcupine.Operation{create, update, op(opUpdate, 5, 6, name2, 200, renamed, "3", "1")}},
		{"refused though it holds", believed{Known: true}, porcupine.Illegal,
			[]porcupine.Operation{create, op(opUpdate, 3, 4, name2, 412, user{}, "", "1")}},
		{"on the condition of who is not there", believed{Known: true}, porcupine.Ok,
			[]porcupine.Operation{op(opUpdate, 1, 2, name2, 412, user{}, "", "1"), create}},
		{"a condition that is passed over", believed{Known: true}, porcupine.Illegal,
			[]porcupine.Operation{op(opUpdate, 1, 2, name2, 404, user{}, "", "1")}},
		{"a condition and a write without an answer", believed{Known: true}, porcupine.Ok,
			[]porcupine.Operation{create, lost, op(opUpdate, 5, 6, name2, 412, user{}, "", "1"),
				op(opGet, 7, 8, none, 200, renamed, "2")}},
		{"an earlier run's user", believed{}, porcupine.Ok, []porcupine.Operation{op(opUpdate, 1, 2, name2, 200,
			renamed, "2"), op(opGet, 3, 4, none, 200, renamed, "2")}},
		{"an earlier run's user that changes", believed{}, porcupine.Illegal,
			[]porcupine.Operation{op(opGet, 1, 2, none, 200, u, "1"), op(opGet, 3, 4, none, 200, renamed, "2")}},
		{"many without an answer", believed{Known: true}, porcupine.Ok,
			append(slices.Repeat([]porcupine.Operation{lost}, 300), create, op(opGet, 5, 6, none, 200, u, "1"))},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := judgeHistory(suspect{ID: "a", History: c.history}, c.initial, 5*time.Second); got.Result != c.want {
				t.Errorf("%s, expected %s", got.Result, c.want)
			}
		})
	}
}

func TestCountsAreBounded(t *testing.T) {
	at := func(kind string, from, to, status int, n uint64) sample {
		return sample{Op: operation{Kind: kind}, Sent: time.Duration(from), Done: time.Duration(to), Status: status,
			Failed: status >= 500, Count: n}
	}
	samples := []sample{at(opCreate, 10, 20, 201, 0), at(opCreate, 12, 30, 503, 0), at(opDelete, 40, 50, 204, 0),
		at(opCreate, 60, 70, 409, 0)}
	for _, c := range []struct{ from, to, low, high int }{{1, 5, 5, 5}, {1, 15, 5, 7}, {21, 22, 6, 7}, {45, 46, 5, 7},
		{55, 56, 5, 6}, {80, 90, 5, 6}} {
		for n := range 12 {
			wrong, checked := checkCounts(append(slices.Clone(samples), at(opCount, c.from, c.to, 200, uint64(n))), 5)
			if good := n >= c.low && n <= c.high; good != (len(wrong) == 0) || checked != 1 {
				t.Errorf("a count of %d from %d to %d: %v", n, c.from, c.to, wrong)
			}
		}
	}
}

func TestTimelines(t *testing.T) {
	names := []string{"db-0", "db-1", "db-2"}
	steps, err := parseFaults("start db-1 at 30s; kill db-1 at 10s;pause db-0 at 5s for 1.5s ; cut db-2 from peers at 7s; cut db-2 to gateway at 8s for 1s; heal at 9s", 1, names, time.Minute)
	got := []string{}
	for _, s := range steps {
		got = append(got, fmt.Sprint(s.At, " ", s.Text()))
	}
	want := "5s pause db-0|6.5s resume db-0|7s cut db-2 from peers|8s cut db-2 to gateway|9s heal|9s heal|10s kill db-1|30s start db-1"
	if err != nil || strings.Join(got, "|") != want {
		t.Errorf("%v: %s", err, strings.Join(got, "|"))
	}
	for _, bad := range []string{"kill", "kill db-1", "kill db-9 at 1s", "maim db-1 at 1s", "kill db-1 at noon",
		"cut db-1 at 1s", "kill db-1 at 2m", "kill db-1 at 1s for", "pause db-1 at 1s for -1s", "random", "random at x",
		"kill db-1 at 1s now"} {
		if _, err := parseFaults(bad, 1, names, time.Minute); !errors.Is(err, cluster.ErrFault) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	random, err := parseFaults("random every 10s", 4, names, time.Minute)
	again, _ := parseFaults("random every 10s", 4, names, time.Minute)
	if err != nil || len(random) != 10 || !slices.Equal(random, again) {
		t.Errorf("%v: %v", err, random)
	}
	for i := 0; i+1 < len(random); i += 2 {
		if on, off := random[i], random[i+1]; off.Kind != undo[on.Kind] || off.Node != on.Node || off.At <= on.At ||
			off.At > time.Minute {
			t.Errorf("%+v is taken back by %+v", on, off)
		}
	}
}

func TestTrials(t *testing.T) {
	names, kinds := []string{"db-0", "db-1", "db-2"}, []string{trialKill, trialTerm, trialPause, trialCut, trialOneWay,
		trialGateway, trialAll}
	list := planTrials(1, kinds, 30, names)
	if len(list) != 210 {
		t.Fatalf("%d trials", len(list))
	}
	number := map[string]int{}
	for _, one := range list {
		number[one.Kind]++
		begin, end := stepsOf(one, names)
		for _, s := range append(begin, end...) {
			if s.Kind != cluster.FaultHeal && !slices.Contains(names, s.Node) || one.Lasts < 20*time.Millisecond ||
				one.Lasts > 3*time.Second {
				t.Errorf("%+v: %+v", one, s)
			}
		}
		if one.Kind == trialAll && (len(begin) != 3 || len(end) != 3) {
			t.Errorf("%+v", begin)
		}
	}
	for _, kind := range kinds {
		if number[kind] != 30 {
			t.Errorf("%d of %s", number[kind], kind)
		}
	}
	if _, err := kindsOf([]string{trialKill, "flood"}); !errors.Is(err, errSettings) {
		t.Error(err)
	}
}

func TestFaultsOnTheTimelineShowTheirOutage(t *testing.T) {
	at := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	o := outcome{Tally: newTally(at(250), at(100)), From: at(1000), Events: []event{{At: at(1100), Kind: "kill",
		Text: "kill db-1"}}}
	// one answer each 10 ms; those of cell 1 fail from 1.1 s to 1.7 s; nobody answers from 1.2 s to 1.4 s
	for i := range 200 {
		s := sample{Phase: phaseRun, Op: operation{Kind: opGet}, Intended: at(1000 + 10*i), Sent: at(1000 + 10*i),
			Done: at(1001 + 10*i), Status: 200, Cell: i % 2}
		if s.Failed = s.Cell == 1 && i >= 11 && i < 70; s.Failed {
			s.Status = 503
		}
		if i < 20 || i >= 40 {
			o.Tally = count(o.Tally, s)
		}
	}
	f := faultsOf(o)
	if len(f) != 1 || f[0].At != at(100) || f[0].Outage != at(601) || f[0].Gap < at(200) || f[0].Gap > at(230) ||
		f[0].Failed == 0 {
		t.Errorf("%+v", f)
	}
}

func TestTheEndSaysOnlyWhatWasAsked(t *testing.T) {
	for _, c := range []struct {
		back returned
		want string
	}{
		{returned{}, ""},
		{returned{Read: true, Present: 7}, "7 users of this run are there"},
		{returned{Read: true, Present: 7, Counted: true, Count: 9, Walked: true},
			"7 users of this run are there, COUNT says 9, each is listed once"},
		{returned{Read: true, Present: 7, Unread: 2}, "2 users could not be read back; "},
	} {
		if got := inTheEnd(c.back); got != c.want {
			t.Errorf("%+v: %q, expected %q", c.back, got, c.want)
		}
	}
}
