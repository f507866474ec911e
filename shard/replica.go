package shard

// RequestID names a write through all its tries.
type RequestID = [16]byte

// Op says what a write does.
type Op = uint8

// The operations of a write.
const (
	Create Op = iota + 1
	Update
	Delete
)

// Bits of Change.Fields: the fields of a user that an update changes.
const (
	HasName = 1 << iota
	HasEmail
	HasGroup
)

// Result says what became of a get or a write.
type Result = uint8

// The results of a get or a write; Created, Updated and Deleted are also the kinds of entry in a log.
const (
	Found Result = iota + 1
	Created
	Updated
	Deleted
	Missing
	Exists
	Mismatch
)

// Refusal is why a request got no result. The zero value is no refusal.
type Refusal uint8

// The refusals. After any of them the same request, with the same request id, may be sent again.
const (
	NotLeader   Refusal = iota + 1 // another node leads the shard
	Unavailable                    // the shard cannot be written now; the reason says why
	Overdue                        // the deadline had passed before the request was sequenced
	Busy                           // too many writes are pending
	DiskTrouble                    // a disk of the pair refuses writes
)

// Position is a place in a shard's log.
type Position struct{ Epoch, LSN uint64 }

// Record is a user with its version: the position of the write that made it.
type Record struct {
	ID, Name, Email string
	Group           int64
	Epoch, LSN      uint64
}

// Entry is one write in a shard's log: Result is Created, Updated or Deleted, the other fields are the record after it.
type Entry struct {
	Request         RequestID
	Result          Result
	ID, Name, Email string
	Group           int64
	Epoch, LSN      uint64
}

// Change is a write as it was asked for. An update changes the fields whose bits are set in Fields. A write with versions in
// Match is done only if the user has one of them.
type Change struct {
	Request         RequestID
	Op              Op
	Fields          uint8
	ID, Name, Email string
	Group           int64
	Match           []Position
}

// Reply is the answer to a request: a refusal with its reason, or a result. Touched counts the nodes that it needed.
type Reply struct {
	Refusal Refusal
	Reason  string
	Result  Result
	Record  Record
	Touched int
	Users   uint64 // of a count: the users of the shard
}

// Caller is the shell's own handle for whoever waits for an answer; the core only hands it back.
type Caller any

// Pending is a write that the leader has sequenced and not yet applied.
type Pending struct {
	Entry  Entry
	Caller Caller
}

// Waiting is an answer that is held back until the log is applied up to LSN.
type Waiting struct {
	LSN    uint64
	Until  int64 // ns on the node's clock; nobody waits for longer
	Caller Caller
	Reply  Reply
}

// Done is a write in the request-id window: where in the log it is and what was answered.
type Done struct {
	LSN   uint64
	Reply Reply
}

// Expiry says when a request id may leave the window, in ns on the node's clock.
type Expiry struct {
	At      int64
	Request RequestID
}

// Replica is the state of one shard's replica on one node. It is a value that Step takes and returns; the slices and the map
// in it belong to the newest value alone.
type Replica struct {
	Shard, Self int
	Peer        string // name of the other replica's node, for reasons
	View        View

	Applied uint64 // last LSN in this node's RocksDB, synced
	Handed  uint64 // last LSN handed to this node's disk
	Sick    string // why this node's disk refuses writes; "" while it is well

	// As leader.
	Next       uint64 // last LSN sequenced
	Stream     uint64 // number of the connection to the backup; 0 while there is none
	Agreed     bool   // both logs are known to fit together on this stream
	Sent       uint64 // last LSN sent on this stream
	PeerStored uint64 // last LSN that the backup has stored
	Told       uint64 // last applied LSN that the backup was told
	Alarm      bool   // a tick is under way
	Catch      uint64 // where the backup's longer log ends; 0 if it is not longer
	Trouble    string // why the shard cannot be written; "" if it can
	Pending    []Pending

	// As backup.
	LeaderApplied uint64
	Upstream      Caller // the stream from the leader
	Asked         Caller // a stream that waits for this log's end; nil if none does

	Waiting []Waiting
	Window  map[RequestID]Done
	Order   []Expiry // the window's request ids, oldest first
}

// EventKind is what happened to a replica.
type EventKind uint8

// The events.
const (
	WriteAsked    EventKind = iota + 1 // a write; Current and Exists are what RocksDB holds
	ReadDone                           // a get; Current and Exists were read from RocksDB
	CountAsked                         // Users is the count with every write that was handed to the disk
	ScanDone                           // a page was read from RocksDB
	DiskStored                         // the disk has stored up to LSN, synced
	DiskSick                           // the disk refuses writes, Reason says why; "" when it is well again
	StreamUp                           // leader: a connection to the backup stands
	StreamDown                         // leader: it broke
	PeerPosition                       // leader: the backup's log ends at LSN
	PeerStored                         // leader: the backup has stored up to LSN
	PeerTrouble                        // leader: the backup cannot store, Reason says why
	FeedFailed                         // the log does not reach back to what the peer lacks
	PositionAsked                      // backup: a new stream from the leader begins
	EntriesCame                        // entries of the peer's log
	LeaderTold                         // backup: the leader has applied up to LSN
	Ticked                             // an alarm that was asked for has rung
)

// Event is something that happened, with the time of it in ns on the node's clock. Step only reads it, but keeps what it points to.
type Event struct {
	Kind     EventKind
	Shard    int // of the replica it is for; Step leaves that to the shell
	Now      int64
	Caller   Caller
	Change   Change
	Deadline int64 // ns on the node's clock
	Current  Record
	Exists   bool
	Users    uint64
	Stream   uint64
	Epoch    uint64
	LSN      uint64
	Applied  uint64 // the leader's applied LSN
	Entries  []Entry
	Reason   string
	Broken   bool // of PeerTrouble: the stream must begin anew
}

// EffectKind is what the shell is to do.
type EffectKind uint8

// The effects.
const (
	Answer       EffectKind = iota + 1 // give Reply to Caller
	Persist                            // store Entries, synced, then report DiskStored
	SendAsk                            // to the backup, on Stream: where does your log end?
	SendAppend                         // to the backup, on Stream: Entries, and Applied
	SendApplied                        // to the backup, on Stream: applied up to LSN
	SendFetch                          // to the backup, on Stream: send your log from LSN on
	SendStored                         // to the leader, by Caller: stored up to LSN
	SendPosition                       // to the leader, by Caller: the log ends at LSN
	SendTrouble                        // to the leader, by Caller: Reply.Refusal and Reply.Reason
	Feed                               // to the backup, on Stream: the log from LSN on up to Applied, read from the WAL
	SetAlarm                           // report Ticked after TellEvery
)

// Effect is one thing to do. Effects are carried out in order.
type Effect struct {
	Kind    EffectKind
	Caller  Caller
	Stream  uint64
	Epoch   uint64
	LSN     uint64
	Applied uint64
	Entries []Entry
	Reply   Reply
}

// The limits of a replica.
const (
	MaxPending  = 256                     // writes of a shard that are sequenced and not applied
	TellEvery   = 10 * 1000 * 1000        // ns between two notes of the applied LSN
	WaitFor     = 1000 * 1000 * 1000      // ns that an answer is held back at most: its caller has given up by then
	RememberFor = 10 * 1000 * 1000 * 1000 // ns that a request id stays in the window: far longer than any deadline
)

// NewReplica returns a replica whose log ends at last. log has the entries of the request-id window, oldest first.
func NewReplica(shard, self int, peer string, view View, last uint64, log []Entry, now int64) Replica {
	r := Replica{Shard: shard, Self: self, Peer: peer, View: view, Applied: last, Handed: last, Next: last,
		Trouble: "no connection to the backup " + peer + " yet", Window: map[RequestID]Done{}}
	for i := range log {
		n := &log[i]
		r.Window[n.Request] = Done{n.LSN, Reply{Result: n.Result, Touched: 2, Record: Record{n.ID, n.Name, n.Email, n.Group, n.Epoch, n.LSN}}}
		r.Order = append(r.Order, Expiry{now + RememberFor, n.Request})
	}
	return r
}
