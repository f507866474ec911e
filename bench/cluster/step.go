package cluster

import (
	"errors"
	"strings"
	"time"
)

// ErrFault is the class of a fault that cannot be parsed or cannot be done.
var ErrFault = errors.New("fault")

// The kinds of step.
const (
	FaultKill   = "kill"   // SIGKILL
	FaultTerm   = "term"   // SIGTERM
	FaultStart  = "start"  // starts a process that has ended
	FaultPause  = "pause"  // SIGSTOP
	FaultResume = "resume" // SIGCONT
	FaultCut    = "cut"    // bytes between two processes are held back; "from": both ways, "to": one way
	FaultRefuse = "refuse" // connections between two processes are closed and refused
	FaultHeal   = "heal"   // takes all cuts back
	FaultLook   = "look"   // no fault, and in no timeline: fails if a process has ended that nobody ended
	FaultLaunch = "launch" // in no timeline: starts a process and does not wait for it
	FaultRevive = "revive" // in no timeline: starts a process if it has ended, and waits until it serves
)

// The kinds of step that concern a node's data; they are in no timeline.
const (
	FaultFlip    = "flip"     // flips a bit of a file
	FaultCopy    = "copy"     // copies the data folder
	FaultPutBack = "put-back" // puts the copy in the place of the data folder
	FaultLose    = "lose"     // cuts off what was not synced, and ends the rule of the disk
	FaultIll     = "ill"      // lets the disk fail by a rule
	FaultCure    = "cure"     // ends that rule
	FaultScrub   = "scrub"    // has all users of the node read
)

// Step is one fault, or the end of one, on the timeline.
type Step struct {
	At     time.Duration
	Kind   string
	Node   string
	Other  string // of a cut: the other side; peers for all other nodes, all for everything else
	OneWay bool
	File   string // of a flip: the kind of file
	Part   string // of a flip: the part of a table file
	Chance uint64 // which file and which bit, or how much is lost
	Rule   Rule   // how a disk fails
	Spare  bool   // of a flip or an old copy: not if the node leads a shard alone, whose only copy that would hit
}

// Text is a step in the words of a timeline.
func (s Step) Text() string {
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
