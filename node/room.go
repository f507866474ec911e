package main

import (
	"log/slog"
	"net"

	"tandem/shard"
	"tandem/wire"
)

// Room is how this node's loops are wired: settings, handles and channels, none of which changes after the start.
type Room struct {
	Config  Config
	Layout  shard.Layout
	Members []Member
	Self    int
	Facts   Facts
	Member  uint64        // member id of this node's store
	Start   shard.Start   // this process
	Born    []uint64      // member ids that the cluster was born with; nil while it is not born, as far as this store knows
	Ready   bool          // the loops run; until then only greetings are answered
	Opened  chan struct{} // closed when they do
	Store   Store
	Damage  map[int]damage // by shard, as it was at the start
	Merge   bool           // what was damaged has been dropped, and files may be merged again
	Disk    chan []Part
	Pulse   chan beat
	Index   chan indexNote
	Lookups chan indexAsk
	Loops   []*Desk     // all loops of replicas
	Desks   []*Desk     // by shard, the loop that owns its replica; nil where none is held
	Links   []*Link     // by node; nil for this one
	Pacts   []*PactDesk // by node; nil where no shard is shared with it
	Council *CouncilDesk
	Watch   chan watcher
	Scans   chan struct{}
	Census  chan chan<- []ConnInfo
	Doors   chan door
	Again   chan string // why this process must start anew in place
	Ends    chan ending // why it must end, or set its store aside: one place
	Log     *slog.Logger
}

const (
	scansAtOnce = 8       // pages that are read from RocksDB at the same time
	deskQueue   = 1 << 10 // events that wait for a replica
)

// newRoom makes the channels; the loops are not running yet.
func newRoom(c Config, l shard.Layout, members []Member, self int, log *slog.Logger) *Room {
	return &Room{Config: c, Layout: l, Members: members, Self: self, Log: log, Desks: make([]*Desk, l.Shards), Links: make([]*Link, l.Nodes), Pacts: make([]*PactDesk, l.Nodes),
		Disk: make(chan []Part, 2*shard.MaxPending*l.Shards), Pulse: make(chan beat, 64), Index: make(chan indexNote, 1<<10), Lookups: make(chan indexAsk),
		Watch: make(chan watcher, 64), Scans: make(chan struct{}, scansAtOnce), Census: make(chan chan<- []ConnInfo), Doors: make(chan door, 64), Again: make(chan string, 1), Ends: make(chan ending, 1), Opened: make(chan struct{})}
}

// ending is why this process may go on no more: its binary is of no use here, or its store is Old and another takes its place.
type ending struct {
	Why string
	Old bool
}

// Desk is where a loop of replicas is reached.
type Desk struct {
	In      chan []*shard.Event // from connections, links and pacts; the loop waits for nobody but the disk, so it is always drained
	Stored  chan []mark         // from the disk, one place: the newest stored LSN of each replica
	Sick    chan string         // from the disk, one place: why it refuses writes
	Inspect chan chan<- []Inspection
	Counts  chan countsAsk
}

// countsAsk asks a loop for the number of users in each bucket of a shard.
type countsAsk struct {
	shard int
	reply chan<- buckets
}

// mark is how far a replica's log is stored, or that its data was dropped.
type mark struct {
	Shard int
	LSN   uint64
	Wiped bool
}

// Inspection is what a loop says about one of its replicas.
type Inspection struct {
	State  shard.Replica // without its slices and its map
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

// Link is where the connection that this node keeps to another is reached.
type Link struct {
	Out    chan []letter
	Urgent chan *wire.Message // pings: what does not fit is dropped
	Break  chan uint64        // one place: number of a stream that must end
	Feeds  chan feed          // wishes that a backup be fed from the write log
	Turn   chan struct{}      // one place: one shard is fed or sent whole at a time, so that repairs share what they may take
	Relays chan relay         // requests for shards that the peer leads
	Echoes chan echo          // what becomes of them
}

// letter is what goes out by one stream, a message or frames; it is dropped when another stream stands.
type letter struct {
	Stream  uint64
	Message *wire.Message
	Frames  []byte
}

// Conn is an accepted connection that speaks frames. Out has a place for every answer that Slots admits, so whoever answers
// never waits for a slow client.
type Conn struct {
	Raw   net.Conn
	Out   chan answers
	Slots chan struct{}
	Gone  chan struct{} // closed when nothing is written any more
}

// answers is what goes out by a connection, a message or frames that answer so many requests.
type answers struct {
	Message *wire.Message
	Frames  []byte
	Count   int
}

// caller is who waits for the answer to a get or a write.
type caller struct {
	conn *Conn
	id   uint64
}

// ConnInfo is one line of CONNS.
type ConnInfo struct {
	Remote string `json:"remote"`
	Speaks string `json:"speaks"`
	Caller string `json:"caller,omitempty"`
}

// door is a connection that was opened, became known, or was closed.
type door struct {
	Raw  net.Conn
	Info ConnInfo
	Shut bool
}
