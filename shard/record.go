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
	Missing   // no user has this id
	Exists    // a user has this id already
	Mismatch  // a precondition of the write is not met
	Oversized // the user would hold more than MaxText
)

// Refusal is why a request got no result. The zero value is no refusal.
type Refusal uint8

// The refusals. After any of them the same request, with the same request id, may be sent again.
const (
	NotLeader   Refusal = iota + 1 // another node leads the shard
	Unavailable                    // the shard cannot be served now; the reason says why
	Overdue                        // the deadline had passed before the request was sequenced
	Busy                           // too many writes are pending
	DiskError                      // a disk of the pair refuses writes
	Stuck                          // as Unavailable, and that for so long that another try at this replica is of no use
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
	Wall            int64 // ms since 1970 on the leader's wall clock, when it was sequenced; nothing is decided by it
}

// Change is a write as it was asked for. An update changes the fields whose bits are set in Fields. It is done only if
// the user is among those that Match names, and not among those that Unless names.
type Change struct {
	Request         RequestID
	Op              Op
	Fields          uint8
	ID, Name, Email string
	Group           int64
	Match, Unless   Condition
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
