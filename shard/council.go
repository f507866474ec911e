package shard

import (
	"bytes"
	"errors"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// Timing holds the times of the agreement in ns. Raft's own election timeouts are random and too long for the budget of a
// request, so raft is not ticked unless it leads, and silence is counted here.
type Timing struct {
	Forget   int64 // silence of the leader after which this node may vote for another
	Campaign int64 // silence after which the first node in rank stands for leader
	Rank     int64 // and how much later each further node in rank
	Absent   int64 // silence of a member after which another store may take its place
	Gap      int64 // two ticks further apart mean that this process was paused: silence is counted anew
}

// DefaultTiming suits a network of a few ms.
var DefaultTiming = Timing{Forget: 50e6, Campaign: 60e6, Rank: 25e6, Absent: 500e6, Gap: 50e6}

// ErrCouncil is the class of saved state that a council cannot start from.
var ErrCouncil = errors.New("damaged council state")

// Fact is one change of the saved state: Key gets Value, or is deleted. Keys: "s" the snapshot, "h" the hard state, "e" and 8 bytes
// big-endian the log entry of that index.
type Fact struct {
	Key    string
	Value  []byte
	Delete bool
}

// The keys of saved state.
const (
	keySnapshot = "s"
	keyHard     = "h"
	keyEntry    = "e"
)

const (
	electionTicks = 15        // ticks of a leader until it counts who is there, and steps down without a quorum
	compactEvery  = 512       // entries between two snapshots
	keepEntries   = 64        // entries kept below a snapshot, so that a node a little behind needs none
	changeEvery   = 100e6     // ns between two changes of membership that one leader proposes
	barrierEvery  = 30e6      // ns between two askings for a barrier
	retrySnapshot = 200e6     // ns after which a snapshot that was sent is taken as lost
	messageBytes  = 256 << 10 // of entries in one message
	openBytes     = 1 << 20   // of entries that are proposed and not committed
	mostInflight  = 64        // messages with entries to one node that are not answered
)

// waiting is what raft wants stored, and the messages that must not be sent before it is.
type waiting struct {
	write *raftpb.Message // entries, hard state, snapshot, and the answers that promise them
	then  []*raftpb.Message
}

// Council is one node's part in the agreement on the book. It is a value that StepCouncil takes and returns, with handles into
// raft inside it: a state that went in is spent.
type Council struct {
	Self   uint64 // member id of this node's store
	Node   int
	Layout Layout
	Timing Timing
	Raft   *raft.RawNode
	Log    *raft.MemoryStorage // what is stored
	Book   Book
	Conf   *raftpb.ConfState // who votes and who learns, as of Book
	Sick   bool              // the disk is: no part is taken (rule R12)
	Lead   uint64            // member id of the Raft leader; 0 while none is known
	Term   uint64            // its term
	Fresh  bool              // it is not known yet that Book has all that was decided before this process began (rule R8)

	seen    []int64 // by node: when its member was last heard; as leader, not before it began to lead
	last    int     // node of the newest leader that was known; -1 before
	told    uint64  // index of the newest book that was given out
	heard   int64   // when the leader was last heard
	ticked  int64   // when the last tick was
	try     int64   // no standing for leader before
	turn    int64   // silence of the leader after which this node stands
	patient bool    // it stands, and waits longer for the votes
	change  int64   // no change of membership before
	barrier []byte  // an entry of this process's own; what stands before it in the log was decided before it asked
	barred  int64   // no barrier is asked for before
	nudge   int64   // no look at lost snapshots before
	refused uint64  // store whose refusal was noted

	queue []waiting // to be stored, in order
	under int       // how many of them are with the disk
	hard  *raftpb.HardState
	low   uint64 // lowest and highest index of an entry on the disk
	high  uint64
	since uint64 // index of the newest snapshot on the disk
}

// CouncilEventKind is what happened to a council.
type CouncilEventKind uint8

// The events of a council.
const (
	CouncilTick  CouncilEventKind = iota + 1 // every 10 ms
	CouncilMail                              // Data came from another node's council
	CouncilAsked                             // Proposals are wanted; whoever asks repeats it until the book shows the outcome
	CouncilSaved                             // what the last SaveCouncil carried is on the disk, synced
	CouncilSick                              // the disk is sick, or well again
	CouncilJoin                              // the store Member says hello; told to every member, the leader acts
)

// CouncilEvent is something that happened, with the time of it in ns on the node's clock.
type CouncilEvent struct {
	Kind      CouncilEventKind
	Now       int64
	Data      []byte
	Proposals []Proposal
	Sick      bool
	Member    uint64
}

// CouncilEffectKind is what the shell is to do for a council.
type CouncilEffectKind uint8

// The effects of a council.
const (
	SaveCouncil CouncilEffectKind = iota + 1 // store Facts in order, in one synced batch, then report CouncilSaved; never two at a time
	SendMail                                 // Data to the council of node To; it may be lost
	BookChanged                              // Book is the newest; given only while this node's store is a member
	Elected                                  // there is a Raft leader, Member: repeat open proposals at once
	Note                                     // Text is for the log
)

// CouncilEffect is one thing to do.
type CouncilEffect struct {
	Kind   CouncilEffectKind
	Facts  []Fact
	To     int
	Data   []byte
	Book   Book
	Member uint64
	Text   string
}

// StepCouncil brings a council forward by an event; the effects are appended to out. Equal states and events give equal effects.
//
// Raft hands out what it wants stored, sent and applied. Answers that promise something, and requests for votes, leave only after
// what they rest on is stored; heartbeats and appends do not wait for this node's own disk, whose other trouble is told by CouncilSick.
func StepCouncil(c Council, e *CouncilEvent, out []CouncilEffect) (Council, []CouncilEffect) {
	var snapshot *raftpb.Snapshot
	switch c.turn = turnOf(c); e.Kind {
	case CouncilTick:
		c = keepTime(c, e.Now)
		c, out = promote(c, e.Now, out)
	case CouncilMail:
		m := openMail(c, e.Data)
		if m.GetType() == raftpb.MsgSnap {
			numbers, err := unpackNumbers(m.GetSnapshot().GetData())
			_, why := bookOf(numbers, c.Layout)
			if err != nil || why != nil {
				m = nil
			}
		}
		c = stepMail(c, m, e.Now)
	case CouncilAsked:
		if !c.Sick { // refused while there is no leader: it will be asked again
			_ = c.Raft.Propose(packNumbers(proposalNumbers(e.Proposals)))
		}
	case CouncilJoin:
		c, out = takeJoin(c, e, out)
	case CouncilSick:
		c.Sick, c.heard, c.ticked = e.Sick, e.Now, e.Now
	case CouncilSaved:
		c, snapshot, out = noteSaved(c, out)
	}
	if snapshot != nil {
		numbers, _ := unpackNumbers(snapshot.GetData()) // was looked at when it came
		c.Book, _ = bookOf(numbers, c.Layout)
	}
	for !c.Sick {
		for c.Raft.HasReady() {
			var apply *raftpb.Message
			c, apply, out = takeReady(c, out)
			for _, entry := range apply.GetEntries() {
				numbers, _ := unpackNumbers(entry.GetData()) // what cannot be read proposes nothing, on every node alike
				c.Fresh = c.Fresh && !bytes.Equal(entry.GetData(), c.barrier)
				proposals, _ := proposalsOf(numbers)
				c, out = applyEntry(c, entry, Decide(c.Book.Views, proposals), out)
				if entry.GetType() != raftpb.EntryNormal { // a snapshot for the new member must name it
					_, _ = c.Log.CreateSnapshot(c.Book.Index, c.Conf, packNumbers(bookNumbers(c.Book)))
				}
			}
			for _, m := range apply.GetResponses() {
				_ = c.Raft.Step(m)
			}
		}
		if c.under > 0 || len(c.queue) == 0 {
			break
		}
		var facts []Fact
		if c, facts = gather(c, packNumbers(bookNumbers(c.Book))); len(facts) > 0 {
			out = append(out, CouncilEffect{Kind: SaveCouncil, Facts: facts})
			break
		}
		c, _, out = noteSaved(c, out)
	}
	return announce(c, out)
}

// announce gives out the newest book, once that has all that was decided before this process began, and says when there is a leader. For the
// former an entry of this process's own is put into the log: what stands before it is older than the process (rule R8).
func announce(c Council, out []CouncilEffect) (Council, []CouncilEffect) {
	if c.Fresh && !c.Sick && c.ticked >= c.barred {
		c.barred = c.ticked + barrierEvery
		_ = c.Raft.Propose(c.barrier) // refused while there is no leader
	}
	member := c.Node < len(c.Book.Members) && c.Book.Members[c.Node] == c.Self
	if member && !c.Fresh && c.Book.Index > c.told && !c.Sick {
		c.told = c.Book.Index
		out = append(out, CouncilEffect{Kind: BookChanged, Book: c.Book})
	}
	now := c.Raft.BasicStatus()
	if now.Lead != 0 && (now.Lead != c.Lead || now.GetTerm() != c.Term) {
		c.last = int(now.Lead&memberNodes) - 1
		out = append(out, CouncilEffect{Kind: Elected, Member: now.Lead})
	}
	c.Lead, c.Term = now.Lead, now.GetTerm()
	return c, out
}
