package lease

import "tandem/shard"

// Session is what a node and one neighbour promise each other: leases of the shards that both hold (Gray and Cheriton,
// SOSP 1989), and who proposes a change of their views. One loop a neighbour owns it, so that answering a lease and
// proposing are never done by two minds (rule R3).
type Session struct {
	Self, Peer    int
	Store         uint64 // member id of the peer's store; what comes from another store is dropped (rule R13)
	Start         int64  // this process: grows with every start of its store
	PeerStart     int64
	LastPing      int64
	LastTick      int64
	ResumedAt     int64 // ns of the end of this process's last pause; of several without a ping in between, the first
	Pinged        int64 // ns of the peer's last ping
	LastHeard     int64 // ns of the sending of the last ping that was answered
	Disk          shard.DiskState
	Unhealthy     bool  // the peer could take over from this node, whose disk it cannot rely on (rule R12)
	TurnedAt      int64 // ns when that last began or was over
	Shared        bool  // the peer's disk was unhealthy, too, while this node's was
	PeerThere     bool  // its pings come
	Leaving       bool  // this node hands its leaderships over
	PeerUnhealthy bool  // as the peer's last ping says
	PeerLeaves    bool  // as the peer's last ping says
	PeerAt        int64 // ns on the peer's clock of that ping
	Uncovered     int64 // ns of the last lease of the peer's that this node's grace does not cover, 0 once it does
	Stopped       bool  // this node has said good-bye and promises nothing any more
	Timing        Timing
	Shares        []Share
}

// Share is a shard that both neighbours hold.
type Share struct {
	Shard     int
	Preferred bool // placement wants this node to lead it
	View      shard.View
	Known     bool
	// as leader: the process is younger than the view, and may not serve in it (rules R8, R9)
	Restarted       bool
	Damaged         bool   // this node's data of the shard cannot be trusted: for this shard it is as good as dead
	DamagedIn       uint64 // the epoch in which that was found
	Since           int64  // ns when the view was learnt
	Answered        int64  // ns of the last lease that was promised for it, to any epoch; at first the start
	LeaderRestarted bool   // as backup: the leader's process that led in this view is gone (rule R9)
	// as backup in sync: this process began in that role, and the leader has not said since that the logs fit (rule R24)
	Unverified bool
	Last       shard.Position // where this node's log ended when the process began
	// as an unverified backup: the leader's process, which has restarted too, has said where its log ends
	LeaderLastKnown bool
	Behind          bool       // this node's ends before that
	AckRequired     bool       // as leader: the backup is treated as in sync (rule R7)
	Proposed        shard.View // the change that is proposed; Epoch 0 if none
	AskedAt         int64      // ns of its last proposal; 0 asks at once
	Drain           int64      // as leader: ns since when it hands over; 0 if it does not
	Heard           int64      // ns of the sending of the last ping that the peer answered with a promise of it
	Steady          int64      // ns since when the view has been in sync and leases have come
}

// Claim is a shard and the epoch in which a lease of it is asked for or promised.
type Claim struct {
	Shard int
	Epoch uint64
}

// LastEntry is where the log of a shard ends at a leader that has restarted, which may not serve in the view of an
// epoch.
type LastEntry struct {
	Shard int
	Epoch uint64
	At    shard.Position
}

// Timing has the times of a lease session, in ns on the monotonic clock of the node that counts them.
type Timing struct {
	PingEvery int64 // between two pings
	Lease     int64 // from the sending of a ping that was answered
	Grace     int64 // from the answering of a ping; longer than Lease by more than clocks drift apart in it
	Silent    int64 // without an answer, after which a leader goes on alone
	AskEvery  int64 // between two repetitions of a proposal
	FreshFor  int64 // after which a restarted leader asks to lead alone
	DrainFor  int64 // for the pending writes of a shard that is handed over
	SteadyFor int64 // in sync, before a leadership goes back to where placement wants it
}

// DefaultTiming has the times that keep the 250 ms budget.
func DefaultTiming() Timing {
	const ms = 1000 * 1000
	return Timing{PingEvery: 10 * ms, Lease: 100 * ms, Grace: 120 * ms, Silent: 80 * ms, AskEvery: 20 * ms,
		FreshFor: 1000 * ms, DrainFor: 50 * ms, SteadyFor: 1000 * ms}
}

// WaitOut returns how many ns a process that keeps its promises for grace waits before it says anything, by what its
// store's former process kept its promises for: a neighbour may have taken one of them for as long (rule R25). Both
// count from the start of a process, so only a longer one is waited out.
func WaitOut(former, grace int64) int64 {
	if former > grace {
		return former
	}
	return 0
}

// EventKind is what happened to a lease session.
type EventKind uint8

// The events of a lease session.
const (
	Ticked EventKind = iota + 1
	// from the peer's store Store and its process Start, sent at its time At, with its Lease and Claims, and whether it
	// is Unhealthy or Leaving
	PingReceived
	PongReceived // the answer of the peer's store Store to our ping of At, with the Claims that it promises
	ViewsLearnt  // Views by shard, and the member id of the peer's store
	LinkBroken   // the connection to the peer broke
	NoticeGiven  // a replica here gives Notice, in Epoch
	RaftElected  // there is a new leader of Raft: open proposals are repeated at once
	DiskChanged  // Disk says how the disk is
	LeaveAsked   // hand the leaderships over
	GoodbyeAsked // nothing is served here any more: free the peer from what it promised
)

// Event is something that happened to a lease session.
type Event struct {
	Kind        EventKind
	Now         int64
	Store       uint64
	Start       int64
	At          int64
	Lease       int64 // ns for which the peer takes what it is promised
	Claims      []Claim
	LastEntries []LastEntry // of PingReceived: by a leader that has restarted
	Views       []shard.View
	Shard       int
	Epoch       uint64
	Notice      shard.Notice
	Unhealthy   bool
	Leaving     bool
	Disk        shard.DiskState
}

// EffectKind is what the shell is to do for a lease session.
type EffectKind uint8

// The effects of a lease session.
const (
	SendPing  EffectKind = iota + 1 // to the peer, with Claims, LastEntries, Start, At, Lease, Unhealthy and Leaving
	SendPong                        // to the peer, with Claims and At
	TellView                        // to the replica of Shard: ViewLearnt
	TellLease                       // to the replica of Shard: LeaseCame
	TellDrain                       // to the replica of Shard: DrainAsked in Epoch, or DrainOff if Until is 0
	Propose                         // to the view service: Proposals, each by itself
	// for the log: the peer takes promises for Lease, which the grace here does not cover, so that it gets none
	TooLong
	// for the log: the leader's log of Shard ends at LastEntry, this node's before that: it does not take over
	LogBehind
)

// Effect is one thing to do for a lease session.
type Effect struct {
	Kind        EffectKind
	Shard       int
	View        shard.View
	Epoch       uint64
	Until       int64
	FreeFrom    int64
	Restarted   bool
	Unhealthy   bool
	Leaving     bool
	Start, At   int64
	Lease       int64 // ns
	Claims      []Claim
	LastEntries []LastEntry
	LastEntry   LastEntry // the leader's
	Proposals   []shard.Proposal
}

// New returns the lease session of a process that began at now, in the start start of its store, with a neighbour with
// which it shares shards, whose logs end here at last, by shard; nil: all are empty.
func New(l shard.Layout, self, peer int, shards []int, last []shard.Position, start, now int64, timing Timing) Session {
	p := Session{Self: self, Peer: peer, Start: start, LastHeard: now, Timing: timing}
	for _, s := range shards {
		preferred := s%l.Nodes == self == (s/l.Nodes%2 == 0) // as InitialView places the leaders
		share := Share{Shard: s, Preferred: preferred, Answered: now}
		if len(last) > 0 {
			share.Last = last[s]
		}
		p.Shares = append(p.Shares, share)
	}
	return p
}

// TickAfter returns how long after now the lease session is to be ticked next: at a beat of its clock, that of its
// pings as long as nothing can come due before the one after that.
func TickAfter(p *Session, now int64) int64 {
	beat, restless := p.Timing.PingEvery, p.Leaving || p.Disk != shard.DiskHealthy
	for i := range p.Shares {
		s := &p.Shares[i]
		leads := s.View.Leader == p.Self
		late := leads && (s.View.InSync || s.AckRequired) &&
			now-max(s.Since, min(s.Heard, p.LastHeard)) > p.Timing.Silent/2 ||
			!leads && s.View.InSync && now-max(s.Since, s.Answered) > p.Timing.Grace/2
		restless = restless || late || s.Proposed.Epoch > 0 || s.Drain > 0 || s.Restarted || s.LeaderRestarted || s.Damaged
	}
	if restless {
		beat /= 2
	}
	return beat - now%beat
}

// Step takes a lease session and an event and returns the lease session after it, with the effects appended to out. A
// lease session that went in is spent.
func Step(p Session, e *Event, out []Effect) (Session, []Effect) {
	was := p.Unhealthy
	p = weighDisk(noteEvent(p, e), e.Now)
	// the peer is to know at once: two that are unhealthy together go on, as nobody could take over
	if was != p.Unhealthy {
		p.LastPing, p.TurnedAt = 0, e.Now
	}
	if was && !p.Unhealthy && p.PeerThere { // it has not listened for a while
		p = hearAnew(p, e.Now)
	}
	switch e.Kind {
	case PingReceived:
		p, out = answerPing(p, e, out)
		p, out = noteLastEntries(p, e, out)
	case PongReceived:
		p, out = takePong(p, e, out)
	case ViewsLearnt:
		p, out = takeViews(p, e, out)
	case NoticeGiven:
		p, out = noteWant(p, e, out)
	case RaftElected:
		p = askAgain(p)
	case LeaveAsked:
		p.Leaving = true
	case GoodbyeAsked: // for the peer that is the next start
		p.Stopped = true
		out = append(out, Effect{Kind: SendPing, Start: p.Start + 1, At: e.Now, Lease: p.Timing.Lease, Leaving: true})
	case Ticked:
		p, out = watch(p, e.Now, out)
	}
	p, out = ping(p, e.Now, out)
	return propose(p, e.Now, out)
}
