package main

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// errFault is the class of a fault that is not understood or cannot be done.
var errFault = errors.New("fault")

// The kinds of step.
const (
	faultKill   = "kill"   // SIGKILL
	faultTerm   = "term"   // SIGTERM
	faultStart  = "start"  // starts a process that has ended
	faultPause  = "pause"  // SIGSTOP
	faultResume = "resume" // SIGCONT
	faultCut    = "cut"    // bytes between two processes are held back; "from": both ways, "to": one way
	faultRefuse = "refuse" // connections between two processes are closed and refused
	faultHeal   = "heal"   // takes all cuts back
	faultLook   = "look"   // no fault, and in no timeline: fails if a process has ended that nobody ended
	faultLaunch = "launch" // in no timeline: starts a process and does not wait for it
	faultRevive = "revive" // in no timeline: starts a process if it has ended, and waits until it serves
)

// The kinds of step that concern a node's data; they are in no timeline.
const (
	faultFlip    = "flip"     // flips a bit of a file
	faultCopy    = "copy"     // copies the data folder
	faultPutBack = "put-back" // puts the copy in the place of the data folder
	faultLose    = "lose"     // cuts off what was not synced, and makes the disk well
	faultIll     = "ill"      // lets the disk fail by a rule
	faultCure    = "cure"     // makes it well
	faultScrub   = "scrub"    // has all users of the node read
)

// step is one fault, or the end of one, on the timeline.
type step struct {
	At     time.Duration
	Kind   string
	Node   string
	Other  string // of a cut: the other side; peers for all other nodes, all for everything else
	OneWay bool
	File   string // of a flip: the kind of file
	Part   string // of a flip: the part of a table file
	Chance uint64 // which file and which bit, or how much is lost
	Rule   rule   // how a disk fails
}

// text is a step as it is written.
func (s step) text() string {
	words := []string{s.Kind}
	if s.Node != "" {
		words = append(words, s.Node)
	}
	if s.Other != "" && s.OneWay {
		words = append(words, "to", s.Other)
	} else if s.Other != "" {
		words = append(words, "from", s.Other)
	}
	return strings.Join(words, " ")
}

// faultHelp is what --help says of the timeline.
const faultHelp = "Faults on the timeline, such as 'kill db-1 at 10s; start db-1 at 70s'. Also term, pause, resume, 'pause db-0 at 5s for 800ms', " +
	"'cut db-0 from db-1 at 5s for 2s' (both ways; also peers, gateway), 'cut db-0 to db-1 at 5s' (one way), 'refuse db-0 from gateway at 5s', 'heal at 9s', 'random at 5s', 'random every 10s'."

// undo is what takes a fault back.
var undo = map[string]string{faultKill: faultStart, faultTerm: faultStart, faultPause: faultResume, faultCut: faultHeal,
	faultRefuse: faultHeal}

// parseFaults reads a timeline of a run of a length. Steps at random hang on the seed alone.
func parseFaults(text string, seed uint64, names []string, length time.Duration) ([]step, error) {
	steps := []step{}
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
			return nil, fmt.Errorf("%w: %q: %w", errFault, strings.TrimSpace(part), err)
		}
		known := append(slices.Clone(names), "", "gateway")
		sides := append(slices.Clone(known), "peers", "all")
		switch {
		case len(names) > 0 && !slices.Contains(known, s.Node):
			return nil, fmt.Errorf("%w: %q: no node is called %s (there are %v)", errFault, strings.TrimSpace(part),
				s.Node, names)
		case len(names) > 0 && !slices.Contains(sides, s.Other) || s.Other != "" && s.Other == s.Node:
			return nil, fmt.Errorf("%w: %q: expected another node, gateway, peers or all as the other side, "+
				"found %s (there are %v)", errFault, strings.TrimSpace(part), s.Other, names)
		}
		if steps = append(steps, s); back.Kind != "" {
			steps = append(steps, back)
		}
	}
	if len(steps) > mostFaults {
		return nil, fmt.Errorf("%w: these are %d steps; expected at most %d", errFault, len(steps), mostFaults)
	}
	for _, s := range steps {
		if s.At < 0 || s.At > length { // a sum of two times may be more than a time can be
			return nil, fmt.Errorf("%w: %q at %v comes after the end of the run at %v", errFault, s.text(), s.At, length)
		}
	}
	slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.At, b.At) })
	return steps, nil
}

// parseStep reads one step, and what takes it back if "for" says when.
func parseStep(words []string) (s, back step, err error) {
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
	if undo[s.Kind] == "" && !slices.Contains([]string{faultStart, faultResume, faultHeal}, s.Kind) {
		return s, back, errors.New("expected kill, term, start, pause, resume, cut, refuse, heal or random")
	}
	if s.Kind != faultHeal && len(rest) > 0 {
		s.Node, rest = rest[0], rest[1:]
	}
	if undo[s.Kind] == faultHeal {
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
		back = step{At: s.At + d, Kind: undo[s.Kind], Node: s.Node}
		if back.Kind == faultHeal {
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
func drawFaults(words []string, chance *rand.Rand, names []string, length time.Duration) ([]step, error) {
	if len(words) != 3 || words[1] != "at" && words[1] != "every" || len(names) == 0 {
		return nil, fmt.Errorf("%w: %q: expected 'random at' or 'random every' and a time, and nodes that are known",
			errFault, strings.Join(words, " "))
	}
	at, err := time.ParseDuration(words[2])
	if err != nil || at <= 0 {
		return nil, fmt.Errorf("%w: expected a time, found %q", errFault, words[2])
	}
	text := strings.Join(words, " ")
	switch count := length / at; {
	case at > length-leastFault:
		return nil, fmt.Errorf("%w: %q: it comes after the end of the run at %v, or less than %v before",
			errFault, text, length, leastFault)
	case words[1] == "every" && (at < 2*leastFault || count > mostFaults):
		return nil, fmt.Errorf("%w: %q: expected at least %v, and at most %d of them in %v",
			errFault, text, 2*leastFault, mostFaults, length)
	}
	every := at
	if words[1] == "at" {
		every = length
	}
	steps := []step{}
	for ; at <= length-leastFault; at += every {
		kind, node := []string{faultKill, faultTerm, faultPause}[chance.IntN(3)], names[chance.IntN(len(names))]
		lasts := time.Second + time.Duration(chance.Int64N(int64(2*time.Second)))
		if kind == faultPause {
			lasts = 20*time.Millisecond + time.Duration(chance.Int64N(int64(2*time.Second)))
		}
		lasts = max(leastFault, min(lasts, length-at, every/2))
		steps = append(steps, step{At: at, Kind: kind, Node: node}, step{At: at + lasts, Kind: undo[kind], Node: node})
	}
	return steps, nil
}
