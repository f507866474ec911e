package main

import (
	"fmt"
	"testing"

	"tandem/bench/cluster"
)

func TestKneesAreJudged(t *testing.T) {
	lost := fmt.Errorf("%w: gone", cluster.ErrFault)
	for _, c := range []struct {
		name string
		s    search
		code int
		best float64
	}{
		{"a knee", search{Tries: []knee{{Rate: 500}, {Rate: 1000}, {Rate: 2000, Why: "late"},
			{Rate: 1500, Why: "late"}}}, exitPass, 1000},
		{"the generator's own", search{Tries: []knee{{Rate: 500}, {Rate: 1000, Why: "late"},
			{Rate: 750, Why: "lagged", Own: true}}}, exitLagged, 500},
		{"none", search{Tries: []knee{{Rate: 500, Why: "late"}}}, exitBudget, 0},
		{"broken off", search{Tries: []knee{{Rate: 500}, {Rate: 1000, Why: "gone"}}, Err: lost}, exitUsage, 500},
		{"wrong answers", search{Tries: []knee{{Rate: 500, Wrong: "status 400"}}, Err: lost}, exitWrong, 0},
	} {
		if best, v := judgeKnee(c.s); v.Code != c.code || best.Rate != c.best {
			t.Errorf("%s: %+v, %+v", c.name, best, v)
		}
	}
}
