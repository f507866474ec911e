package main

import (
	"cmp"
	"math"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// checked is what the check of the histories has shown.
type checked struct {
	Users      int    `json:"users"`
	Operations int    `json:"operations"`
	Open       int    `json:"open"` // writes without an answer
	Unknown    int    `json:"unknown"`
	Illegal    int    `json:"illegal"`
	First      string `json:"first,omitempty"` // the user of the first violation
	Page       string `json:"page,omitempty"`  // where it is drawn
}

// never is the end of an operation that has none.
const never = math.MaxInt64

// histories sorts samples by the user that they are about. Users in lists that the run does nothing to are others'.
func histories(samples []sample) map[string][]porcupine.Operation {
	all, ours := map[string][]porcupine.Operation{}, map[string]bool{}
	for _, s := range samples {
		ours[s.Op.User.ID] = true
	}
	for _, s := range samples {
		call, back := int64(s.Sent), int64(s.Done)
		for _, u := range s.Items {
			if !ours[u.ID] {
				continue
			}
			all[u.ID] = append(all[u.ID], porcupine.Operation{Input: input{Kind: opGet, User: user{ID: u.ID}},
				Call: call, Output: output{200, u, ""}, Return: back})
		}
		switch kind := s.Op.Kind; {
		case kind == opCount || kind == opList, s.Wrong != "":
			continue
		case s.Failed && kind == opGet:
			continue
		case s.Failed:
			back = never
		}
		in, out := input{s.Op.Kind, s.Op.User, s.Match}, output{s.Status, s.Read, s.Tag}
		if s.Failed {
			out = output{}
		}
		if in.Kind == opGet || in.Kind == opDelete {
			in.User = user{ID: s.Op.User.ID}
		}
		all[in.User.ID] = append(all[in.User.ID], porcupine.Operation{Input: in, Call: call, Output: out, Return: back})
	}
	return all
}

// tighten makes a history quicker to judge without judging it otherwise: a write without an answer whose unique text
// was read was done before that read ended; the others are told apart. They may be left out, since they may never have
// been done: if the rest is linearizable so is all.
func tighten(history []porcupine.Operation) (seen, unseen []porcupine.Operation) {
	for _, o := range history {
		in := o.Input.(input)
		if o.Return != never {
			seen = append(seen, o)
			continue
		}
		for _, r := range history {
			got := r.Output.(output).User
			name := in.User.Name != "" && got.Name == in.User.Name
			if r.Return >= o.Call && (name || in.User.Email != "" && in.Kind == opUpdate && got.Email == in.User.Email) {
				o.Return = min(o.Return, r.Return)
			}
		}
		if o.Return == never || in.Kind == opDelete {
			unseen = append(unseen, o)
		} else {
			seen = append(seen, o)
		}
	}
	return seen, unseen
}

// suspect is the history of one user and what the check says of it.
type suspect struct {
	ID      string
	History []porcupine.Operation
	Result  porcupine.CheckResult
}

// judgeHistory checks one user's history.
func judgeHistory(s suspect, initial believed, limit time.Duration) suspect {
	model := userModel(initial)
	seen, unseen := tighten(s.History)
	isUpdate := func(o porcupine.Operation) bool { return o.Input.(input).Kind == opUpdate }
	more := slices.DeleteFunc(slices.Clone(unseen), isUpdate) // what else a lack of reads may hide
	slices.SortFunc(seen, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	versions := make([][2]uint64, len(seen))
	for i, o := range seen {
		versions[i] = version(o.Output.(output).Tag)
	}
	if witness(seen, versions, model) {
		s.Result = porcupine.Ok
		return s
	}
	for _, further := range [][]porcupine.Operation{nil, more, unseen} {
		if s.Result != porcupine.Ok && (s.Result == "" || len(further) > 0) {
			s.Result = porcupine.CheckOperationsTimeout(model, slices.Concat(seen, further), limit)
		}
	}
	return s
}

// checkHistories judges the history of every user, each for at most limit, and draws the first that is not linearizable
// to a file. Once early is closed none gets more than a second.
func checkHistories(samples []sample, initial believed, limit time.Duration, drawing string,
	early <-chan struct{}) checked {
	all := histories(samples)
	todo, done, r := make(chan suspect), make(chan suspect), checked{Users: len(all)}
	for range runtime.GOMAXPROCS(0) {
		go func(limit time.Duration) {
			for s := range todo {
				if isClosed(early) {
					limit = min(limit, time.Second)
				}
				done <- judgeHistory(s, initial, limit)
			}
		}(limit)
	}
	go func() {
		for id, history := range all {
			todo <- suspect{ID: id, History: history}
		}
		close(todo)
	}()
	illegal := []suspect{}
	for range all {
		s := <-done
		r.Operations += len(s.History)
		for _, o := range s.History {
			if o.Return == never {
				r.Open++
			}
		}
		switch s.Result {
		case porcupine.Unknown:
			r.Unknown++
		case porcupine.Illegal:
			illegal = append(illegal, s)
		}
	}
	slices.SortFunc(illegal, func(a, b suspect) int {
		return cmp.Or(cmp.Compare(len(a.History), len(b.History)), strings.Compare(a.ID, b.ID))
	})
	if r.Illegal = len(illegal); r.Illegal > 0 {
		r.First = illegal[0].ID
		if draw(illegal[0], initial, limit, drawing) == nil {
			r.Page = drawing
		}
	}
	return r
}

// draw writes a page that shows a history and how far it can be explained. Operations that overlap are drawn as those
// of different clients.
func draw(s suspect, initial believed, limit time.Duration, path string) error {
	history, free := slices.Clone(s.History), []int64{}
	slices.SortFunc(history, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	last := int64(0)
	for _, o := range history {
		if o.Return != never {
			last = max(last, o.Return)
		}
	}
	for i, o := range history {
		if o.Return == never { // drawn to the end
			o.Return = last + 1
		}
		client := slices.IndexFunc(free, func(until int64) bool { return until < o.Call })
		if client < 0 {
			client, free = len(free), append(free, 0)
		}
		free[client], o.ClientId = o.Return, client
		history[i] = o
	}
	model := userModel(initial)
	_, info := porcupine.CheckOperationsVerbose(model, history, limit)
	return porcupine.VisualizePath(model, info, path)
}
