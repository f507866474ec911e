package main

import (
	"log/slog"
	"net"

	"tandem/shard"
	"tandem/shard/replica"
	"tandem/shard/views"
	"tandem/wire"
	"tandem/wire/proc"
)

// Room is how this node's loops are wired: settings, handles and channels, none of which changes after the start.
type Room struct {
	Config  Config
	Layout  shard.Layout
	Members []Member
	Self    int
	Facts   Facts
	Member  uint64         // member id of this node's store
	Start   views.Start    // this process
	Former  []uint64       // nonces of the starts before it that the store remembers, the newest first
	Mine    shard.Greeting // what this node says of itself, but for what changes; see greeting
	Origin  chan origin    // a cell with the cluster that this store belongs to; see originIn
	Ready   bool           // the loops run; until then only greetings are answered
	Opened  chan struct{}  // closed when they do
	Store   Store
	Marks   map[int]shard.Mark // of damage, by shard, as they were at the start
	// the store was opened past files that cannot be read, and is to be opened anew when these are gone
	Lenient bool
	Damage  chan damageNote
	Lacks   chan string          // a cell: what the node lacks to take its whole part; see lacks
	Synced  chan shard.BatchHead // one place, the newest wins: the last batch that was synced
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
	Pages   chan struct{} // has an element for each list that has a place for a page
	// has an element for each unreadUnit bytes of answers that wait for clients to read, beyond unreadOwn of each
	Unread   chan struct{}
	Texts    chan struct{} // has an element for each line of text under way whose answer may be long
	Census   chan chan<- census
	Doors    chan door
	Refused  chan refusal
	Refusals chan chan<- map[string]string // asks who is refused, and why
	Again    chan string                   // why this process must start anew in place
	Ends     chan ending                   // why it must end, or set its store aside: one place
	Names    []proc.Names                  // by node: where it is dialled
	Log      *slog.Logger
	Output   proc.Output // where the log goes
}

const (
	scansAtOnce = 8       // pages that are read from RocksDB at the same time
	textsAtOnce = 4       // lines of text with long answers
	deskQueue   = 1 << 10 // events that wait for a replica
)

// newRoom makes the channels; the loops are not running yet.
func newRoom(c Config, l shard.Layout, members []Member, self int, output proc.Output, log *slog.Logger) *Room {
	cell := make(chan origin, 1)
	cell <- origin{Known: make(chan struct{})}
	lacking := make(chan string, 1)
	lacking <- "data: it has not opened its data yet, or waits for the other nodes of a new cluster"
	mine := firstGreeting(c, l, members)
	mine.Ring, mine.Build = shard.RingHash(mine.Names), proc.Build()
	return &Room{Mine: mine, Origin: cell, Refused: make(chan refusal, 64),
		Refusals: make(chan chan<- map[string]string), Config: c, Layout: l, Members: members, Self: self,
		Output: output, Log: log,
		Desks: make([]*Desk, l.Shards), Links: make([]*Link, l.Nodes), Pacts: make([]*PactDesk, l.Nodes),
		Disk: make(chan []Part, 2*replica.MaxPending*l.Shards), Pulse: make(chan beat, 64),
		Index: make(chan indexNote, 1<<10), Lookups: make(chan indexAsk),
		Watch: make(chan watcher, 64), Scans: make(chan struct{}, scansAtOnce),
		Pages:  make(chan struct{}, max(1, c.UnreadMB<<19/pageMost)),
		Unread: make(chan struct{}, max(1, c.UnreadMB<<19/unreadUnit)), Texts: make(chan struct{}, textsAtOnce),
		Census: make(chan chan<- census), Doors: make(chan door, 64), Again: make(chan string, 1),
		Synced: make(chan shard.BatchHead, 1),
		Damage: make(chan damageNote, 64), Ends: make(chan ending, 1), Lacks: lacking, Opened: make(chan struct{})}
}

// ending is why this process may go on no more: its binary is of no use here (Halt: ErrVersion), or its store is an old
// copy (Old: ErrOldCopy), and another takes its place.
type ending struct {
	Halt, Old error
}

// Desk is where a loop of replicas is reached.
type Desk struct {
	In      chan []*replica.Event // from connections, links and pacts; the loop waits for nobody but the disk, so it is always drained
	Stored  chan []mark           // from the disk, one place: the newest stored LSN of each replica
	Sick    chan string           // from the disk, one place: why it refuses writes
	Inspect chan chan<- []Inspection
	Opens   chan scanAsk
}

// scanAsk asks a loop for a view of a shard. opened has one place, and who asks closes the view. confirmed has one
// place for whether, and that, what the view shows may be given out; it is nil if that is not asked.
type scanAsk struct {
	shard     int
	opened    chan<- Moment
	confirmed chan shard.Reply
}

// Moment is a shard as it was when its view was opened.
type Moment struct {
	Scan     Scan
	Counts   buckets // by bucket: the users, but for buckets in doubt
	Doubtful []byte  // buckets of which the view itself must be asked
	Leads    bool    // this node led the shard
}

// mark is how far a replica's log is stored, or that its data was dropped.
type mark struct {
	Shard int
	LSN   uint64
	Wiped bool
	Store *Store // of a copy that was dropped with its files: the store with the new one; nil else
}

// Inspection is what a loop says about one of its replicas.
type Inspection struct {
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

// Conn is an accepted connection that speaks frames. Out has a place for every answer that Slots admits, so whoever
// answers never waits for a slow client.
type Conn struct {
	Raw   net.Conn
	Codec wire.Codec // of the version that was agreed on
	Out   chan answers
	Slots chan struct{}
	Pages chan struct{} // as that of the room, for this connection alone
	Gone  chan struct{} // closed when nothing is written any more
}

// answers is what goes out by a connection, a message or frames that answer so many requests.
type answers struct {
	Message *wire.Message
	Frames  []byte
	Count   int
	Left    chan<- struct{} // of a page, for which there is a place: closed when it has left; nil for everything else
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
	Deaf string // why it is closed whose answers are not read; "" if that is not so
}

// census is what is known of the connections: those that are open, and how many were closed because their answers were
// not read.
type census struct {
	open []ConnInfo
	deaf int
}
