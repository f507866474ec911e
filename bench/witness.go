package main

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/anishathalye/porcupine"
)

// version reads an ETag as two numbers in order of writing, as Tandem's are: "epoch-lsn". One that says nothing is the
// last.
func version(tag string) [2]uint64 {
	left, right, two := strings.Cut(strings.Trim(tag, `"`), "-")
	if !two {
		left, right = "0", left
	}
	epoch, bad := strconv.ParseUint(left, 10, 64)
	lsn, worse := strconv.ParseUint(right, 10, 64)
	if bad != nil || worse != nil {
		return [2]uint64{math.MaxUint64, math.MaxUint64}
	}
	return [2]uint64{epoch, lsn}
}

// witness looks for an order of a history, which is in order of calls, in which every answer is right, by the versions
// that the answers bear: true is a proof that it is linearizable, false says nothing. It is quick where a search among
// all orders is not: when many ask for one user at once.
func witness(history []porcupine.Operation, versions [][2]uint64, model porcupine.Model) bool {
	tagged := []int{} // answered operations with a version, the oldest first
	for i, o := range history {
		if o.Output.(output).Tag != "" {
			tagged = append(tagged, i)
		}
	}
	slices.SortStableFunc(tagged, func(a, b int) int {
		newer := cmp.Or(cmp.Compare(versions[a][0], versions[b][0]), cmp.Compare(versions[a][1], versions[b][1]))
		if newer != 0 || history[a].Input.(input).Kind == history[b].Input.(input).Kind {
			return newer
		}
		return map[bool]int{true: 1, false: -1}[history[a].Input.(input).Kind == opGet] // after the write that it reads
	})
	taken, head, state := make([]bool, len(history)), 0, model.Init()
	for range history {
		for head < len(history) && taken[head] {
			head++
		}
		for len(tagged) > 0 && taken[tagged[0]] {
			tagged = tagged[1:]
		}
		next, seen := -1, user{}
		if len(tagged) > 0 {
			next, seen = tagged[0], history[tagged[0]].Output.(output).User
		}
		best, good, until := -1, 0, int64(never)
		// what may come next: nothing that is left ended before it began
		for i := head; i < len(history) && history[i].Call <= until; i++ {
			o := history[i]
			if taken[i] {
				continue
			}
			until = min(until, o.Return)
			in, out := o.Input.(input), o.Output.(output)
			legal, _ := model.Step(state, in, out)
			rank := 0
			switch name, email := in.User.Name, in.User.Email; {
			case out.Status == 0 && (name != "" && name == seen.Name || name == "" && email != "" && email == seen.Email):
				rank = 2 // what the next version shows must have been done
			case out.Status == 0 || !legal:
			case state.(believed).Known && (in.Kind == opGet || out.Status >= 300):
				rank = 4 // it changes nothing: no order in which it comes later is better
			case i == next:
				rank = 3
			case next < 0 || in.Kind == opDelete:
				rank = 1
			}
			if rank > good {
				best, good = i, rank
			}
		}
		if best < 0 {
			return false
		}
		_, state = model.Step(state, history[best].Input, history[best].Output)
		taken[best] = true
	}
	return true
}
