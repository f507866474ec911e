package replica

import "tandem/shard"

// Pending is a write that the leader has sequenced and not yet applied.
type Pending struct {
	Entry  shard.Entry
	Caller shard.Caller
}

// Waiting is an answer that is held back until the log is applied up to LSN.
type Waiting struct {
	LSN    uint64
	Until  int64 // ns on the node's clock; nobody waits for longer
	Caller shard.Caller
	Reply  shard.Reply
}

// Done is a write in the request-id window: where in the log it is and what was answered.
type Done struct {
	LSN   uint64
	Reply shard.Reply
	Wall  int64 // of its entry
}

// Expiry says when a request id may leave the window, in ns on the node's clock.
type Expiry struct {
	At      int64
	Request shard.RequestID
}

// Repair is what a leader knows of a backup that is not in sync. It ends at the re-admission barrier: what was
// sequenced before it is fed, what comes after it is sent, and the backup is let in sync when it has stored all of the
// former.
type Repair struct {
	Compared bool // it is known from where to feed
	Busy     bool // the shell is feeding
	// a snapshot was sent, and the backup has not said "stored" since: what it had before may still be on its disk
	Owed        bool
	Fed         uint64 // last LSN that was fed
	MovedAt     int64  // ns of the last progress
	AckRequired bool   // the leader treats the backup as in sync: it answers nothing without it (rule R7)
	Barrier     uint64 // last LSN that was sequenced before that
	AskedAt     int64  // ns of the last notice that the backup has caught up
	Snapshot    bool   // the whole shard is being fed, as the log does not reach back
	First       uint64 // LSN from which the feeding began
	Since       int64  // ns since when it goes on
}

// State is the state of one shard's replica on one node. It is a value that Step takes and returns; the slices and the
// map in it belong to the newest value alone.
type State struct {
	Shard, Self     int
	Peer            string // name of the other replica's node, for reasons
	View            shard.View
	Known           bool  // the view was learnt since this process began (rule R8)
	Restarted       bool  // as leader: the process is younger than the view, and may not serve in it (rules R8, R9)
	FreeFrom        int64 // as leader alone: ns from which it may serve (rule R5)
	LeaseUntil      int64 // ns; a lease of this epoch
	NotServingSince int64 // ns since when it may not answer for its shard, as far as events have shown; 0 if it may
	// ns since when this node's disk has held all that was ever acknowledged; what was read before may lack some
	CompleteSince int64
	Stopping      bool // the node is about to stop
	Damage        Damage
	Log           Log
	Stream        Stream
	Leading       Leading
	Repair        Repair
	Backing       Backing
	Waiting       []Waiting
}

// Damage is why this node's data of the shard cannot be trusted.
type Damage struct {
	Reason string // "" if it can
	At     int64  // ns since when that is known
	// the epoch in which it was found, 0 while none is known; a proposal of that epoch that this replica be in sync may
	// still be accepted
	Epoch uint64
}

// Log is this node's log of the shard, and what it knows of its disk.
type Log struct {
	Applied   uint64           // last LSN in this node's RocksDB, synced
	Submitted uint64           // last LSN handed to this node's disk
	DiskError string           // why this node's disk refuses writes; "" while it is well
	Wiping    int              // wipes that the disk has not reported yet
	History   []shard.Position // of each epoch that has writes: the epoch and its first LSN
	Window    map[shard.RequestID]Done
	Order     []Expiry // the window's request ids, oldest first
}

// Stream is what a leader has said and heard by the connection to its backup. What it begins with is kept when the
// connection breaks, as is what the backup has stored.
type Stream struct {
	Number      uint64 // of the connection; 0 while there is none
	Agreed      bool   // both logs are known to fit together on it, and new writes follow on it
	AskedAt     int64  // ns of the last question where the backup's log ends
	AskedIn     uint64 // the epoch of that question
	Sent        uint64 // last LSN sent on it
	PeerStored  uint64 // last LSN that the backup has stored
	AppliedSent uint64 // last applied LSN that the backup was told
}

// Leading is what a replica keeps as leader.
type Leading struct {
	// all that was handed to its disk when it became leader must be stored before it serves (rule R10)
	Takeover    uint64
	Next        uint64 // last LSN sequenced
	Pending     []Pending
	Draining    bool   // it hands its leadership over and takes no new request
	BackupError string // why the backup does not store; "" if it does
	StoredFor   int64  // ns that the backup may owe a "stored", before the leader goes on alone
	LateFrom    int64  // ns since when it has owed one, pauses of this process left out; 0 if it owes none
	LookedAt    int64  // ns of the event before; while something is owed a tick is one
	Alarm       bool   // a tick is under way
	SyncedAt    int64  // ns since when the view is in sync
	// ns that the leader waits, after it had to go on alone, before it lets the backup be in sync again: at least, and
	// now. It waits for longer each time, so that a backup that comes and goes does not stop the shard each time
	BackoffLeast int64
	Backoff      int64
	BackoffUntil int64
}

// Backing is what a replica keeps as backup.
type Backing struct {
	LeaderApplied uint64
	Compared      bool         // since this process began the leader has found that the logs fit (rule R24)
	Upstream      shard.Caller // the stream from the leader
	UpstreamEpoch uint64       // in which it began; what was sent in an older epoch no longer counts
	Asked         shard.Caller // a stream that waits for this log's end; nil if none does
	Later         shard.Caller // a stream of a later epoch than is known here; nil if there is none
	LaterEpoch    uint64
	Filling       bool          // the whole shard is coming in
	Filled        []shard.Entry // of it: what has come of the request-id window
}

// The limits of a replica.
const (
	MaxPending    = 256               // writes of a shard that are sequenced and not applied
	TellEvery     = 10 * 1000 * 1000  // ns between two notes of the applied LSN
	AskEvery      = 40 * 1000 * 1000  // ns between two questions where the backup's log ends
	CaughtUpEvery = 20 * 1000 * 1000  // ns between two notices that a backup has caught up
	StoredFor     = 80 * 1000 * 1000  // ns, the StoredFor of a replica that is told no other
	StallFor      = 500 * 1000 * 1000 // ns without progress of a repair, after which its stream begins anew
	BackoffFor    = 400 * 1000 * 1000 // ns, the least Backoff; the greatest is BackoffTimes as long
	BackoffTimes  = 8
	CalmFor       = 5000 * 1000 * 1000 // ns in sync, after which the waiting begins anew with the least
	NearEnd       = 64                 // writes that a backup may lack when its leader sets the barrier
	WaitFor       = 1000 * 1000 * 1000 // ns that an answer is held back at most: its caller has given up by then
)

// New returns the replica of a shard, by its number, whose log ends at last, with the history of its epochs. log has
// the entries of the request-id window, oldest first. It knows no view yet.
func New(number, self int, peer string, last uint64, history []shard.Position, log []shard.Entry, now int64) State {
	r := State{Shard: number, Self: self, Peer: peer,
		Log:     Log{Applied: last, Submitted: last, History: history, Window: map[shard.RequestID]Done{}},
		Leading: Leading{Next: last, BackoffLeast: BackoffFor, StoredFor: StoredFor}}
	for i := range log {
		n := &log[i]
		r.Log.Window[n.Request] = Done{n.LSN, shard.Reply{Result: n.Result, Touched: 2,
			Record: shard.Record{ID: n.ID, Name: n.Name, Email: n.Email, Group: n.Group, Epoch: n.Epoch, LSN: n.LSN}}, n.Wall}
		r.Log.Order = append(r.Log.Order, Expiry{now + shard.RememberFor, n.Request})
	}
	return r
}
