package views

import (
	"errors"
	"fmt"
	"tandem/shard"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// Timing holds the times of the agreement in ns. Raft's own election timeouts are random and too long for the budget of
// a request, so raft is not ticked unless it leads, and silence is counted here.
type Timing struct {
	Forget   int64 // silence of the leader after which this node may vote for another
	Campaign int64 // silence after which the first node in rank stands for leader
	Rank     int64 // and how much later each further node in rank
	Absent   int64 // silence of a member after which another store may take its place
	Gap      int64 // two ticks further apart mean that this process was paused: silence is counted anew
	// for how long all members must have spoken the next version before it is put in force; until then any may go back to
	// its old binary
	RaiseAfter int64
}

// DefaultTiming suits a network of a few ms.
var DefaultTiming = Timing{Forget: 50e6, Campaign: 60e6, Rank: 25e6, Absent: 500e6, Gap: 50e6, RaiseAfter: 600e9}

// ErrSaved is the class of saved state that a view service cannot start from.
var ErrSaved = errors.New("damaged service state")

// SavedEntry is one change of the saved state: Key gets Value, or is deleted. Keys: "s" the snapshot, "h" the hard
// state, "e" and 8 bytes big-endian the log entry of that index.
type SavedEntry struct {
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
	startEvery    = 30e6      // ns between two proposals of this process's start
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

// Process is a process of a node's store, as it says of itself, and what its binary can do: it speaks the versions
// Least to Most of the cluster, and knows the kinds of entry in Rules.
type Process struct {
	Member      uint64
	Start       Start
	Former      []uint64 // nonces of the starts before it that the store remembers, the newest first
	Least, Most uint64
	Rules       map[uint64]EntryRule
}

// Service is one node's part in the agreement on the state. It is a value that views.Step takes and returns, with
// handles into raft inside it: a state that went in is spent.
type Service struct {
	Self      uint64 // member id of this node's store
	Mine      Process
	Node      int
	Layout    shard.Layout
	Timing    Timing
	Raft      *raft.RawNode
	Log       *raft.MemoryStorage // what is stored
	State     State
	Conf      *raftpb.ConfState // who votes and who learns, as of State
	Unhealthy bool              // the disk is: no part is taken (rule R12)
	Lead      uint64            // member id of the Raft leader; 0 while none is known
	Term      uint64            // its term
	// it is not known yet that State has all that was decided before this process began (rule R8)
	CatchingUp bool
	Over       bool    // this binary or this store may take no part: nothing is done any more (rules R22, R23)
	Heard      []Start // by node: the newest start with which its member has said hello

	seen    []int64 // by node: when its member was last heard; as leader, not before it began to lead
	last    int     // node of the newest leader that was known; -1 before
	told    uint64  // index of the newest state that was given out
	heard   int64   // when the leader was last heard
	ticked  int64   // when the last tick was
	try     int64   // no standing for leader before
	turn    int64   // silence of the leader after which this node stands
	patient bool    // it stands, and waits longer for the votes
	change  int64   // no change of membership before
	// by node: on the connection that stands it has said what it knows of this store's starts; nothing is sent to it
	// before
	greeted []bool
	changed bool    // a change of membership was done; that it is committed is to be stored
	older   string  // how this store shows to be an old copy of itself; "" if it does not
	own     []Start // this process's start, and those before it that the store remembers
	start   []byte  // the entry that says so of this process
	asked   int64   // it is not proposed before
	spoken  int64   // as leader: since when all members have spoken the next version; 0 if they do not
	nudge   int64   // no look at lost snapshots before
	refused uint64  // store whose refusal was noted

	queue []waiting // to be stored, in order
	under int       // how many of them are with the disk
	hard  *raftpb.HardState
	low   uint64 // lowest and highest index of an entry on the disk
	high  uint64
	since uint64 // index of the newest snapshot on the disk
}

// EventKind is what happened to a view service.
type EventKind uint8

// The events of a view service.
const (
	Ticked          EventKind = iota + 1 // every 10 ms
	MessageReceived                      // Data came from another node's view service
	// Proposals, or Entry, are wanted; whoever asks repeats it until the state shows the outcome
	ProposalAsked
	Saved       // what the last Save carried is on the disk, synced
	DiskChanged // the disk is unhealthy, or well again
	// the store Member says hello with its Start; told to every member, the leader acts
	JoinAsked
	// a connection to node To stands, whose view service knows Start to be the newest of this store
	PeerGreeted
	PeerParted // the connection to node To broke
)

// Event is something that happened, with the time of it in ns on the node's clock.
type Event struct {
	Kind      EventKind
	Now       int64
	Data      []byte
	Proposals []shard.Proposal
	Entry     []byte // of ProposalAsked: an entry that is no list of proposals
	Unhealthy bool
	Member    uint64
	To        int
	Start     Start
}

// EffectKind is what the shell is to do for a view service.
type EffectKind uint8

// The effects of a view service.
const (
	// store Entries in order, in one synced batch, then report Saved; never two at a time
	Save         EffectKind = iota + 1
	SendMessage             // Data to the view service of node To; it may be lost
	StateChanged            // State is the newest; given only while this node's store is a member
	Elected                 // there is a Raft leader, Member: repeat open proposals at once
	Note                    // Text is for the log
	// this binary may take no part, Text says why: the process ends at once, and is of no use until its binary is another
	// one
	Halt
	// this store is an old copy of itself, Text says how that shows: nothing in it may be used, a new and empty one takes
	// its place
	Outdated
)

// Effect is one thing to do.
type Effect struct {
	Kind    EffectKind
	Entries []SavedEntry
	To      int
	Data    []byte
	State   State
	Member  uint64
	Text    string
}

// Step brings a view service forward by an event; the effects are appended to out. Equal states and events give equal
// effects.
//
// Raft hands out what it wants stored, sent and applied. Answers that promise something, and requests for votes, leave
// only after what they rest on is stored; heartbeats and appends do not wait for this node's own disk, whose other
// state is told by DiskChanged.
func Step(c Service, e *Event, out []Effect) (Service, []Effect) {
	snapshot, due, why := (*raftpb.Snapshot)(nil), false, error(nil) // why: this binary may take no part
	if c.Over {
		return c, out
	}
	switch c.turn = turnOf(c); e.Kind {
	case Ticked:
		c, out = promote(keepTime(c, e.Now), e.Now, out)
		if c, due = raise(c, e.Now); due {
			_ = c.Raft.Propose(packNumbers(entryNumbers(EntryVersion, c.State.Version+1)))
		}
	case MessageReceived:
		m := openMessage(c, e.Data)
		if m.GetType() == raftpb.MsgSnap {
			_, why = readState(m.GetSnapshot().GetData(), c.Layout)
		}
		c = stepRaft(c, readable(c, m, why), e.Now)
	case ProposalAsked:
		views := proposalNumbers(e.Proposals)
		m := asking(c.Self, e, packNumbers(entryNumbers(EntryViews, views...)))
		c = stepRaft(c, readable(c, m, nil), e.Now)
	case JoinAsked, PeerGreeted, PeerParted:
		c, out = takeJoin(greet(c, e), e, out)
	case DiskChanged:
		c.Unhealthy, c.heard, c.ticked = e.Unhealthy, e.Now, e.Now
	case Saved:
		c, snapshot, out = noteSaved(c, out)
	}
	if snapshot != nil {
		c.State, _ = readState(snapshot.GetData(), c.Layout) // was looked at when it came
	}
	c, out = judge(c, why, out)
	for !c.Unhealthy && !c.Over {
		for c.Raft.HasReady() && !c.Over {
			var apply *raftpb.Message
			c, apply, out = takeReady(c, out)
			for _, entry := range apply.GetEntries() {
				next, bad := nextState(c.Mine.Rules, c.State, entry.GetData())
				c, out, bad = applyEntry(c, entry, next, bad, out)
				c, out = judge(c, bad, out)
				if entry.GetType() != raftpb.EntryNormal && !c.Over { // a snapshot for the new member must name it
					_, _ = c.Log.CreateSnapshot(c.State.Index, c.Conf, packNumbers(stateNumbers(c.State)))
				}
			}
			for _, m := range apply.GetResponses() {
				_ = c.Raft.Step(m)
			}
		}
		if c.under > 0 || len(c.queue) == 0 {
			break
		}
		var entries []SavedEntry
		if c, entries = gather(c, packNumbers(stateNumbers(c.State))); len(entries) > 0 {
			out = append(out, Effect{Kind: Save, Entries: entries})
			break
		}
		c, _, out = noteSaved(c, out)
	}
	return announce(c, out)
}

// announce gives out the newest state, once that has all that was decided before this process began, and says when
// there is a leader. For the former this process's own start is put into the log: what stands before it is older than
// the process (rule R8).
func announce(c Service, out []Effect) (Service, []Effect) {
	member := c.Node < len(c.State.Members) && c.State.Members[c.Node] == c.Self
	switch {
	case c.Over:
		return c, out
	case !c.CatchingUp || c.Unhealthy || !member || c.ticked < c.asked:
	default:
		c.asked = c.ticked + startEvery
		_ = c.Raft.Propose(c.start) // refused while there is no leader
	}
	if member && !c.CatchingUp && c.State.Index > c.told && !c.Unhealthy {
		c.told = c.State.Index
		out = append(out, Effect{Kind: StateChanged, State: c.State})
	}
	now := c.Raft.BasicStatus()
	if now.Lead != 0 && (now.Lead != c.Lead || now.GetTerm() != c.Term) {
		c.last = shard.NodeOf(now.Lead)
		out = append(out, Effect{Kind: Elected, Member: now.Lead})
	}
	c.Lead, c.Term = now.Lead, now.GetTerm()
	return c, out
}

// judge ends this view service's part when this binary cannot read what was decided (why) or does not speak the version
// in force (rule R22), or when its store shows to be an old copy of itself (rule R23): other processes may have
// promised in its name what is not in it. The process's own start in the state shows that the state has all that was
// decided before it (rule R8).
func judge(c Service, why error, out []Effect) (Service, []Effect) {
	mine, known := c.Mine, Start{}
	if c.Node < len(c.State.Members) && c.State.Members[c.Node] == c.Self {
		known = c.State.Starts[c.Node]
	}
	old, v := c.older, c.State.Version
	if old == "" && isOldCopy(c.own, known) {
		old = fmt.Sprintf("the view service knows start %d of it (process %x)", known.Number, known.Nonce)
	}
	halt, older := Effect{Kind: Halt}, errors.Is(why, ErrVersion)
	switch {
	case older:
		halt.Text = why.Error()
	case v > mine.Most:
		halt.Text = fmt.Sprintf("this binary is older than the cluster: version %d is in force, and it speaks %d to %d",
			v, mine.Least, mine.Most)
	case v > 0 && v < mine.Least:
		halt.Text = fmt.Sprintf("this binary is too new for the cluster: version %d is in force, and it speaks %d to %d", v,
			mine.Least, mine.Most)
	case old != "":
		halt = Effect{Kind: Outdated, Text: fmt.Sprintf("%s, and this is start %d (process %x)", old,
			mine.Start.Number, mine.Start.Nonce)}
	}
	c.CatchingUp = c.CatchingUp && known != mine.Start
	if halt.Text != "" && !c.Over {
		c.Over, out = true, append(out, halt)
	}
	return c, out
}
