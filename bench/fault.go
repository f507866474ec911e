package main

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"tandem/bench/cluster"
)

// faultHelp is what --help says of the timeline.
const faultHelp = "Faults on the timeline, such as 'kill db-1 at 10s; start db-1 at 70s'. Also term, pause, resume, 'pause db-0 at 5s for 800ms', " +
	"'cut db-0 from db-1 at 5s for 2s' (both ways; also peers, gateway), 'cut db-0 to db-1 at 5s' (one way), 'refuse db-0 from gateway at 5s', 'heal at 9s', 'random at 5s', 'random every 10s'."

// undo is what takes a fault back.
var undo = map[string]string{cluster.FaultKill: cluster.FaultStart, cluster.FaultTerm: cluster.FaultStart,
	cluster.FaultPause: cluster.FaultResume, cluster.FaultCut: cluster.FaultHeal,
	cluster.FaultRefuse: cluster.FaultHeal}

// parseFaults reads a timeline of a run of a length. Steps at random hang on the seed alone.
func parseFaults(text string, seed uint64, names []string, length time.Duration) ([]cluster.Step, error) {
	steps := []cluster.Step{}
	for i, part := range strings.Split(text, ";") {
		words := strings.Fields(part)
		if len(words) == 0 {
			continue
		}
		if words[0] == "random" {
			drawn, err := drawFaults(words, rand.New(rand.NewPCG(seed, uint64(i))), names, length)
			if err != nil {
				return nil, err
			}
			steps = append(steps, drawn...)
			continue
		}
		s, back, err := parseStep(words)
		if err != nil {
			return nil, fmt.Errorf("%w: %q: %w", cluster.ErrFault, strings.TrimSpace(part), err)
		}
		known := append(slices.Clone(names), "", "gateway")
		sides := append(slices.Clone(known), "peers", "all")
		switch {
		case len(names) > 0 && !slices.Contains(known, s.Node):
			return nil, fmt.Errorf("%w: %q: no node is called %s (there are %v)", cluster.ErrFault,
				strings.TrimSpace(part),
				s.Node, names)
		case len(names) > 0 && !slices.Contains(sides, s.Other) || s.Other != "" && s.Other == s.Node:
			return nil, fmt.Errorf("%w: %q: expected another node, gateway, peers or all as the other side, "+
				"found %s (there are %v)", cluster.ErrFault, strings.TrimSpace(part), s.Other, names)
		}
		if steps = append(steps, s); back.Kind != "" {
			steps = append(steps, back)
		}
	}
	if len(steps) > mostFaults {
		return nil, fmt.Errorf("%w: these are %d steps; expected at most %d", cluster.ErrFault, len(steps), mostFaults)
	}
	for _, s := range steps {
		if s.At < 0 || s.At > length { // a sum of two times may be more than a time can be
			return nil, fmt.Errorf("%w: %q at %v comes after the end of the run at %v", cluster.ErrFault, s.Text(),
				s.At, length)
		}
	}
	slices.SortStableFunc(steps, func(a, b cluster.Step) int { return cmp.Compare(a.At, b.At) })
	return steps, nil
}

// parseStep reads one step, and what takes it back if "for" says when.
func parseStep(words []string) (s, back cluster.Step, err error) {
	s.Kind = words[0]
	rest := words[1:]
	take := func(word string) (string, bool) {
		if len(rest) >= 2 && rest[0] == word {
			value := rest[1]
			rest = rest[2:]
			return value, true
		}
		return "", false
	}
	if undo[s.Kind] == "" && !slices.Contains([]string{cluster.FaultStart, cluster.FaultResume, cluster.FaultHeal},
		s.Kind) {
		return s, back, errors.New("expected kill, term, start, pause, resume, cut, refuse, heal or random")
	}
	if s.Kind != cluster.FaultHeal && len(rest) > 0 {
		s.Node, rest = rest[0], rest[1:]
	}
	if undo[s.Kind] == cluster.FaultHeal {
		other, both := take("from")
		if !both {
			other, s.OneWay = take("to")
		}
		if s.Other = other; other == "" {
			return s, back, errors.New("expected 'from' or 'to' and the other side")
		}
	}
	at, given := take("at")
	if !given {
		return s, back, errors.New("expected 'at' and a time")
	}
	if s.At, err = time.ParseDuration(at); err != nil || s.At < 0 {
		return s, back, fmt.Errorf("expected a time, found %q", at)
	}
	if length, given := take("for"); given && undo[s.Kind] != "" {
		d, err := time.ParseDuration(length)
		if err != nil || d <= 0 {
			return s, back, fmt.Errorf("expected a length of time, found %q", length)
		}
		back = cluster.Step{At: s.At + d, Kind: undo[s.Kind], Node: s.Node}
		if back.Kind == cluster.FaultHeal {
			back.Node = ""
		}
	}
	if len(rest) > 0 {
		return s, back, fmt.Errorf("%q is too much", strings.Join(rest, " "))
	}
	return s, back, nil
}

// leastFault is the shortest time that a random fault lasts; none begins later than so long before the end, or sooner
// than twice so long after another.
const leastFault = 20 * time.Millisecond

// drawFaults reads "random at T" or "random every T": a process is killed and started, ended and started, or paused and
// resumed.
func drawFaults(words []string, chance *rand.Rand, names []string, length time.Duration) ([]cluster.Step, error) {
	if len(words) != 3 || words[1] != "at" && words[1] != "every" || len(names) == 0 {
		return nil, fmt.Errorf("%w: %q: expected 'random at' or 'random every' and a time, and nodes that are known",
			cluster.ErrFault, strings.Join(words, " "))
	}
	at, err := time.ParseDuration(words[2])
	if err != nil || at <= 0 {
		return nil, fmt.Errorf("%w: expected a time, found %q", cluster.ErrFault, words[2])
	}
	text := strings.Join(words, " ")
	switch count := length / at; {
	case at > length-leastFault:
		return nil, fmt.Errorf("%w: %q: it comes after the end of the run at %v, or less than %v before",
			cluster.ErrFault, text, length, leastFault)
	case words[1] == "every" && (at < 2*leastFault || count > mostFaults):
		return nil, fmt.Errorf("%w: %q: expected at least %v, and at most %d of them in %v",
			cluster.ErrFault, text, 2*leastFault, mostFaults, length)
	}
	every := at
	if words[1] == "at" {
		every = length
	}
	steps := []cluster.Step{}
	for ; at <= length-leastFault; at += every {
		kind := []string{cluster.FaultKill, cluster.FaultTerm, cluster.FaultPause}[chance.IntN(3)]
		node := names[chance.IntN(len(names))]
		lasts := time.Second + time.Duration(chance.Int64N(int64(2*time.Second)))
		if kind == cluster.FaultPause {
			lasts = 20*time.Millisecond + time.Duration(chance.Int64N(int64(2*time.Second)))
		}
		lasts = max(leastFault, min(lasts, length-at, every/2))
		steps = append(steps, cluster.Step{At: at, Kind: kind, Node: node},
			cluster.Step{At: at + lasts, Kind: undo[kind], Node: node})
	}
	return steps, nil
}
