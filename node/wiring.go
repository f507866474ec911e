package main

import (
	"log/slog"
	"math/rand/v2"
	"net"

	"tandem/node/store"
	"tandem/shard"
	"tandem/shard/replica"
	"tandem/shard/views"
	"tandem/wire"
	"tandem/wire/peer"
	"tandem/wire/proc"
)

// wiring is how this node's loops are wired. None of it changes after the start. A loop is given the parts that it
// uses; whole it goes through the start, and with the connections, whose requests may be about anything.
type wiring struct {
	Node
	Handles
	Storage
	Peers
	Clients
}

// Node is this process: its settings, its place in the ring, its store's identity, its log, and how it ends.
type Node struct {
	Config   config
	Layout   shard.Layout
	Members  []member
	Self     int // the number of this node
	Identity store.Identity
	Member   uint64         // member id of this node's store
	Start    views.Start    // this process
	Former   []uint64       // nonces of the starts before it that the store remembers, the newest first
	Mine     shard.Greeting // what this node says of itself, but for what changes; see greeting
	Origin   chan origin    // a cell with the cluster that this store belongs to; see originIn
	Started  bool           // the loops run; until then only greetings are answered
	Opened   chan struct{}  // closed when they do
	Lacks    chan string    // a cell: what the node lacks to take its whole part; see lacks
	Again    chan string    // why this process must start anew in place
	Ends     chan ending    // why it must end, or set its store aside: one slot
	Log      *slog.Logger
	Output   proc.Output // where the log goes
}

// Handles are where the loops of replicas are reached.
type Handles struct {
	Loops   []*replicaHandle // all of them
	ByShard []*replicaHandle // the one that owns a shard's replica; nil where none is held
}

// Storage is the store, and where the loops are reached that write to it and know what it holds.
type Storage struct {
	DB    store.DB
	Marks map[int]shard.Mark // of damage, by shard, as they were at the start
	// it was opened past files that cannot be read, and is to be opened anew when these are gone
	Lenient bool
	Damage  chan damageNote
	Disk    chan []store.Part
	Synced  chan store.SyncNote // one slot, the newest wins: the last batch that was synced
	Closed  chan segmentNote    // the segments of the write log that are no longer written to
	Health  chan diskReport
	Index   chan indexNote
	Lookups chan indexAsk
}

// Peers is where the loops are reached that have to do with other nodes, all by the node's number.
type Peers struct {
	Links    []*linkHandle  // nil for this node
	Leases   []*leaseHandle // nil where no shard is shared with the node
	Views    *viewsHandle
	Names    []proc.Names // where the node is dialled
	Refused  chan refusal
	Refusals chan chan<- map[string]string // asks who is refused, and why
}

// Clients bounds what accepted connections may have under way, and is where the loops are reached that know them.
type Clients struct {
	Watch      chan watcher
	ConnEvents chan connEvent
	ConnStats  chan chan<- connStats
	Scans      chan struct{} // has an element for each page that is being read from RocksDB
	Pages      chan struct{} // has an element for each list that has a slot for a page
	// has an element for each unreadUnit bytes of answers that wait for clients to read, beyond unreadOwn of each
	Unread chan struct{}
	Texts  chan struct{} // has an element for each line of text under way whose answer may be long
}

const (
	scansAtOnce = 8       // pages that are read from RocksDB at the same time
	textsAtOnce = 4       // lines of text with long answers
	handleQueue = 1 << 10 // events that wait for a replica
)

// newWiring makes the channels; the loops are not running yet.
func newWiring(c config, l shard.Layout, members []member, self int, output proc.Output, log *slog.Logger) *wiring {
	cell := make(chan origin, 1)
	cell <- origin{Known: make(chan struct{})}
	lacking := make(chan string, 1)
	lacking <- "data: it has not opened its data yet, or waits for the other nodes of a new cluster"
	mine := peer.FirstGreeting(shard.RoleNode, c.Cluster, c.Name, members, l.Shards)
	mine.Lease, mine.Grace, mine.Nonce = int64(c.Lease), int64(c.Grace), rand.Uint64()
	mine.Ring, mine.Build = shard.RingHash(mine.Names), proc.Build()
	return &wiring{
		Node{Config: c, Layout: l, Members: members, Self: self, Mine: mine, Origin: cell, Opened: make(chan struct{}),
			Lacks: lacking, Again: make(chan string, 1), Ends: make(chan ending, 1), Log: log, Output: output},
		Handles{ByShard: make([]*replicaHandle, l.Shards)},
		Storage{Damage: make(chan damageNote, 64), Disk: make(chan []store.Part, 2*replica.MaxPending*l.Shards),
			Synced: make(chan store.SyncNote, 1), Closed: make(chan segmentNote, 1<<10),
			Health: make(chan diskReport, 64), Index: make(chan indexNote, 1<<10),
			Lookups: make(chan indexAsk)},
		Peers{Links: make([]*linkHandle, l.Nodes), Leases: make([]*leaseHandle, l.Nodes), Refused: make(chan refusal, 64),
			Refusals: make(chan chan<- map[string]string)},
		Clients{Watch: make(chan watcher, 64), ConnEvents: make(chan connEvent, 64),
			ConnStats: make(chan chan<- connStats), Scans: make(chan struct{}, scansAtOnce),
			Pages:  make(chan struct{}, max(1, c.UnreadMB<<19/pageMost)),
			Unread: make(chan struct{}, max(1, c.UnreadMB<<19/unreadUnit)), Texts: make(chan struct{}, textsAtOnce)},
	}
}

// ending is why this process may go on no more: its binary is of no use here (Halt: ErrVersion), or its store is an old
// copy (Old: ErrOldCopy), and another takes its place.
type ending struct {
	Halt, Old error
}

// replicaHandle is where a loop of replicas is reached.
type replicaHandle struct {
	// from connections, links and lease sessions; the loop waits for nobody but the disk, so it is always drained
	In       chan []*replica.Event
	Stored   chan []storedPosition // from the disk, one slot: the newest stored LSN of each replica
	Refusing chan string           // from the disk, one slot: why it refuses writes, "" when it takes them again
	Inspect  chan chan<- []inspection
	Opens    chan scanAsk
}

// scanAsk asks a loop for a scan of a shard. opened has one slot, and who asks closes the scan. confirmed has one slot
// for whether, and that, what the scan shows may be given out; it is nil if that is not asked.
type scanAsk struct {
	shard     int
	opened    chan<- shardScan
	confirmed chan shard.Reply
}

// shardScan is a shard as it was when its scan was opened.
type shardScan struct {
	Scan     store.Scan
	Counts   store.Buckets // by bucket: the users, but for buckets in doubt
	Doubtful []byte        // buckets of which the scan itself must be asked
	Leads    bool          // this node led the shard
	Damage   string        // why the copy cannot be trusted; none if it can
}

// storedPosition is how far a replica's log is stored, or that its data was dropped.
type storedPosition struct {
	Shard int
	LSN   uint64
	Wiped bool
	DB    *store.DB // of a copy that was dropped with its files: the store with the new one; nil else
}

// inspection is what a loop says about one of its replicas.
type inspection struct {
	State  replica.State // without its slices and its map
	Users  uint64
	Served Served
	Now    int64 // ns on the node's clock
}

// Served counts what a replica has answered since the start; of count and list, once a shard and request.
type Served struct {
	Get    uint64 `json:"get"`
	Write  uint64 `json:"write"`
	Count  uint64 `json:"count"`
	List   uint64 `json:"list"`
	Append uint64 `json:"append"`
}

// linkHandle is where the connection that this node keeps to another is reached.
type linkHandle struct {
	Out    chan []outbound
	Urgent chan *wire.Message // pings: what does not fit is dropped
	Break  chan uint64        // one slot: number of a stream that must end
	Feeds  chan feed          // backups that are to be fed from the write log
	// one slot: one shard is fed or sent whole at a time, so that repairs share what they may take
	Turn        chan struct{}
	Relays      chan relay      // requests for shards that the peer leads
	RelayEvents chan relayEvent // what becomes of them
}

// outbound is what goes out by one stream, a message or frames; it is dropped when another stream stands.
type outbound struct {
	Stream  uint64
	Message *wire.Message
	Frames  []byte
}

// conn is an accepted connection that speaks frames. Out has a slot for every answer that Slots admits, so whoever
// answers never waits for a slow client.
type conn struct {
	Raw   net.Conn
	Codec wire.Codec // of the version that was agreed on
	Out   chan answers
	Slots chan struct{}
	Pages chan struct{} // as that of the node, for this connection alone
	Ended chan struct{} // closed when nothing is written any more
}

// answers is what goes out by a connection, a message or frames that answer so many requests.
type answers struct {
	Message *wire.Message
	Frames  []byte
	Count   int
	Left    chan<- struct{} // of a page, for which there is a slot: closed when it has left; nil for everything else
}

// caller is who waits for the answer to a get or a write.
type caller struct {
	conn *conn
	id   uint64
}

// connInfo is one line of CONNS.
type connInfo struct {
	Remote string `json:"remote"`
	Speaks string `json:"speaks"`
	Caller string `json:"caller,omitempty"`
}

// connEvent is a connection that was opened, became known, or was closed.
type connEvent struct {
	Raw    net.Conn
	Info   connInfo
	Closed bool
	Unread string // why it is closed whose answers are not read; "" if that is not so
}

// connStats is what the connection registry knows: the connections that are open, and how many were closed because
// their answers were not read.
type connStats struct {
	open   []connInfo
	unread int
}
