package wire

// Kind is the first element of every body.
type Kind uint8

// The kinds of frame. Requests and answers share the request id; streams (append, stored, position …) carry 0.
const (
	Error       Kind = iota // any request failed, or the connection is about to be closed
	Hello                   // first frame of a connection, from whoever dialled
	Welcome                 // the node's answer to hello
	Ping                    // asks for a pong
	Pong                    // carries the node's clock, and why it takes no part
	Get                     // reads one user
	Write                   // creates, updates or deletes one user
	Outcome                 // answers get and write
	Count                   // asks for the user counts of shards
	Counts                  // answers count
	List                    // asks for a page of one shard
	Page                    // answers list; one of several if more follow
	Ask                     // leader to backup: a new stream begins; where does your log end?
	Position                // backup to leader: the end of its log, all of it stored
	Append                  // entries of one shard, in LSN order
	Stored                  // backup to leader: stored up to this LSN, synced
	Applied                 // leader to backup: applied up to this LSN
	StreamError             // backup to leader: this stream cannot go on; the code and the text say why
	SnapBegin               // leader to backup: the whole shard as of this LSN follows
	SnapData                // leader to backup: records of the snapshot
	SnapEnd                 // leader to backup: the snapshot is complete; its history and its request-id window
	LeasePing               // asks for leases
	LeasePong               // the leases granted
	Raft                    // a message between the nodes' Raft members
	Views                   // the views of all shards, to a gateway
	kindEnd
)

// Code is the class of an error frame.
type Code uint8

// The codes of an error frame. A gateway may try again after all from NotLeader on.
const (
	BadFrame         Code = iota + 1 // the frame is malformed; the connection is closed
	WrongVersion                     // hello with another range of protocol versions
	WrongCluster                     // hello from a cluster of another name
	WrongIncarnation                 // hello from another cluster of the same name: another incarnation
	WrongRing                        // hello with other nodes, or the same in another order
	WrongShards                      // hello with another number of shards
	WrongLease                       // hello with lease times that do not go together with this node's
	WrongName                        // hello from a node that has no place in the ring, or this node's own
	WrongStore                       // hello from a node whose store another one has taken the place of
	BadRequest                       // a field's value is not allowed
	NotLeader                        // this node does not lead the shard
	NotHere                          // this node holds no replica of the shard
	Unavailable                      // the shard cannot be served now; the text says why
	Overdue                          // the deadline had passed before the request was sequenced
	Busy                             // too many requests are waiting
	Disk                             // this node's disk refuses writes
	Stuck                            // as Unavailable, and that for so long that another try at this node is of no use
	// the request was passed on to the leader, whose answer was lost: a write may yet be done
	AnswerLost
)

// Op says what a write does.
type Op = uint8

// The operations of a write.
const (
	Create Op = iota + 1
	Update
	Delete
)

// Bits of Message.Fields: the fields of a user that an update changes.
const (
	HasName = 1 << iota
	HasEmail
	HasGroup
)

// Bits of Message.State: how the node is that asks for leases.
const (
	IsUnhealthy = 1 << iota // its disk is
	IsLeaving               // it is about to stop, and hands its leaderships over
)

// Result says what became of a get or a write.
type Result = uint8

// The results of a get or a write; Created, Updated and Deleted are also the kinds of entry in a log.
const (
	Found Result = iota + 1
	Created
	Updated
	Deleted
	Missing   // no user has this id
	Exists    // a user has this id already
	Mismatch  // a precondition of the write is not met
	Oversized // the user would hold more text than a user may
)

// The kinds of precondition; 0 is none.
const (
	AnyVersion = iota + 1 // a user of any version: whether there is one
	OneOf                 // a user of one of the versions
)

// RequestID names a write through all its tries.
type RequestID = [16]byte

// LogPosition is a position in a shard's log.
type LogPosition struct{ Epoch, LSN uint64 }

// Condition is a precondition of a write: which users, by their version, it names.
type Condition struct {
	Kind     uint8
	Versions []LogPosition
}

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
	Wall            int64 // ms since 1970, when the leader sequenced it
}

// ShardCount is the number of users in one shard.
type ShardCount struct{ Shard, Users uint64 }

// Claim names a lease, asked for or granted: a shard in an epoch.
type Claim struct{ Shard, Epoch uint64 }

// LastEntry is where the log of a shard ends at a leader that has restarted: at LSN, in the epoch LastEpoch. It may not
// serve in the view of the epoch Epoch.
type LastEntry struct{ Shard, Epoch, LastEpoch, LSN uint64 }

// View says who leads and who backs a shard, by number in the ring, and whether the backup is in sync.
type View struct {
	Epoch, Leader, Backup uint64
	InSync                bool
}

// Greeting is what hello and welcome say about the sender. Of a greeting whose range of versions does not meet ours
// only that range is known.
type Greeting struct {
	Least, Most uint64 // the range of protocol versions that it speaks
	Cluster     string
	Role        string // "gateway" or "node"
	Name        string
	Build       string     // which program it is, for people
	Incarnation [16]byte   // of its cluster; zero while it knows none
	Ring        uint64     // xxhash64 of the nodes' names in ring order, joined by ","
	Shards      uint64     // how many
	Lease       int64      // ns; 0 from a gateway, as are those below
	Grace       int64      // ns
	Store       uint64     // member id of its store
	Start       StoreStart // of its store: the process that speaks
}

// StoreStart names a process: the number of the start of its store, which grows, and a random number of its own.
type StoreStart struct{ Number, Nonce uint64 }

// Message is any frame, decoded. Kind says which of the other fields are in use (see the frame table in doc.go).
type Message struct {
	Kind      Kind
	Code      Code
	Op        Op
	Fields    uint8
	Result    Result
	State     uint8
	More      bool
	ID        uint64 // request id on this connection
	Shard     uint64
	Epoch     uint64
	LSN       uint64
	Applied   uint64 // the leader's applied LSN
	LastEpoch uint64 // epoch of the last write in the backup's log; 0 if it is empty
	Touched   uint64 // how many nodes the answer needed
	Clock     int64  // ns on the sender's boot-time clock
	Deadline  int64  // ns on the receiver's boot-time clock
	Start     int64  // number of the sender's process: grows with every start of its store
	Lease     int64  // ns for which the sender of a ping takes what it is promised
	At        int64  // when the ping was sent, in ns on the boot-time clock of who sent it
	Users     uint64 // of the shard, at the moment of which the page is
	Offset    uint64
	Limit     uint64
	Request   RequestID
	Text      string
	After     []byte // id of the record before the page; nil when Offset counts
	Greeting  Greeting
	Record    Record
	Match     Condition // the user must be among those that it names
	Unless    Condition // the user must not be among those that it names
	Set       []uint64
	Counts    []ShardCount
	Records   []Record
	Entries   []Entry
	// member ids of the stores that the cluster was bootstrapped with, by node; empty before that
	Founders    []uint64
	Known       StoreStart    // of the asker's store, as the answering node's cluster knows it; zero if it knows none
	History     []LogPosition // from which LSN on the log is of which epoch
	Claims      []Claim
	Views       []View      // by shard
	Data        []byte      // a Raft message
	LastEntries []LastEntry // of a leader that has restarted
}
