package main

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/anishathalye/porcupine"
)

// crowded makes a history of one user at which many write and read at once, some without an answer, and which is
// linearizable.
func crowded(seed uint64, operations int) []porcupine.Operation {
	chance, now := rand.New(rand.NewPCG(seed, 1)), user{"a", "n0", "e0", 1}
	history := []porcupine.Operation{op(opCreate, 0, 1, now, 201, now, `"1-0"`)}
	for i := 1; i <= operations; i++ {
		at := int64(100 + 10*i) // when it is done; it may be asked 30 before and be answered 30 after, as many others
		from, to := at-chance.Int64N(300), at+1+chance.Int64N(300)
		tag := fmt.Sprintf(`"1-%d"`, len(history))
		if chance.IntN(2) == 0 {
			history = append(history, op(opGet, max(2, from), to, user{ID: "a"}, 200, now, "?"))
			continue
		}
		fields := user{ID: "a", Name: fmt.Sprint("n", i)}
		if chance.IntN(3) == 0 {
			fields = user{ID: "a", Email: fmt.Sprint("e", i), Group: int64(i)}
		}
		now = merge(now, fields)
		if chance.IntN(5) == 0 {
			history = append(history, op(opUpdate, max(2, from), never, fields, 0, user{}))
		} else {
			history = append(history, op(opUpdate, max(2, from), to, fields, 200, now, tag))
		}
	}
	last := "" // reads bear the version that they read
	for i, o := range history {
		out := o.Output.(output)
		switch {
		case out.Status == 0:
			last = fmt.Sprintf(`"1-%d"`, i)
		case out.Tag == "?":
			out.Tag = last
			o.Output = out
			history[i] = o
		default:
			last = out.Tag
		}
	}
	return history
}

// proves says whether the versions alone prove a history right.
func proves(history []porcupine.Operation) bool {
	seen, _ := tighten(history)
	slices.SortFunc(seen, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	versions := make([][2]uint64, len(seen))
	for i, o := range seen {
		versions[i] = version(o.Output.(output).Tag)
	}
	return witness(seen, versions, userModel(believed{Known: true}))
}

func TestCrowdedHistoriesAreDecided(t *testing.T) {
	proven := 0
	for seed := range uint64(20) {
		history := crowded(seed, 600)
		if proves(history) {
			proven++
		}
		// A read of what was long overwritten is never proven right.
		i := slices.IndexFunc(history, func(o porcupine.Operation) bool { return o.Input.(input).Kind == opGet })
		stale := history[i]
		stale.Call, stale.Return = 1_000_000, 1_000_001
		if proves(append(slices.Clone(history), stale)) {
			t.Errorf("seed %d: a stale read is taken for right", seed)
		}
	}
	if proven < 18 {
		t.Errorf("%d of 20 histories were proven", proven)
	}
}
