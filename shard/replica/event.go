package replica

import "tandem/shard"

// EventKind is what happened to a replica.
type EventKind uint8

// The events.
const (
	WriteAsked EventKind = iota + 1 // a write; Current and Exists are what RocksDB holds
	GetAsked                        // a get; Current and Exists were read from RocksDB before Now
	CountAsked                      // Users is the count with every write that was handed to the disk
	PageAsked                       // a view of RocksDB was opened before Now, from which a page is read
	DiskStored                      // the disk has stored up to LSN, synced
	// the disk has dropped all data of the shard, synced; reported in order with DiskStored
	DiskWiped
	DiskRefuses     // the disk refuses writes, Reason says why; "" when it is well again
	DataDamaged     // this node's data of the shard fails its checksum, Reason says where
	ViewLearnt      // View, with FreeFrom and Restarted
	LeaseCame       // of Epoch, up to Until
	DrainAsked      // leader: hand the leadership of Epoch over
	DrainOff        // leader: do not
	NodeStopping    // the node is about to stop: nothing is served any more
	StreamUp        // a connection to the peer stands
	StreamDown      // it broke
	PeerPosition    // leader: the backup's log ends at LSN, in epoch LastEpoch
	PeerStored      // leader: the backup has stored up to LSN
	PeerStreamError // leader: the backup cannot store, Reason says why
	FeedDone        // leader: the shell has fed up to LSN
	FeedFailed      // leader: the log does not reach back to what the backup lacks, or cannot be read
	PositionAsked   // backup: a stream of the leader's begins, in Epoch
	EntriesCame     // backup: entries of the leader's log
	LeaderTold      // backup: the leader has applied up to LSN
	SnapshotBegun   // backup: the whole shard follows, in Epoch
	SnapshotCame    // backup: Records of it
	// backup: it was the shard as of LSN, with History and the request-id window's Entries
	SnapshotEnded
	Ticked // an alarm that was asked for has rung
)

// Event is something that happened, with the time of it in ns on the node's clock. Step only reads it, but keeps what
// it points to.
type Event struct {
	Kind     EventKind
	Shard    int // of the replica it is for; Step leaves that to the shell
	Now      int64
	Caller   shard.Caller
	Change   shard.Change
	Deadline int64 // ns on the node's clock
	// of WriteAsked: ms since 1970 on the wall clock; it is kept with the entry, and nothing is decided by it
	Wall      int64
	Began     int64 // of GetAsked and PageAsked: ns before the reading began; 0 if nothing came between it and this step
	Current   shard.Record
	Exists    bool
	Relayed   bool // of WriteAsked and GetAsked: the other replica passed it on
	Restarted bool
	Broken    bool // of PeerStreamError: the stream must begin anew
	Users     uint64
	// of StreamUp: of the protocol, as the shell has agreed it with the peer; the core does not look at it
	Version   uint64
	Stream    uint64
	Epoch     uint64
	LSN       uint64
	LastEpoch uint64 // epoch of the write at LSN
	Applied   uint64 // the leader's applied LSN
	Until     int64  // ns
	FreeFrom  int64  // ns
	View      shard.View
	Entries   []shard.Entry
	Records   []shard.Record
	History   []shard.Position
	Reason    string
}

// EffectKind is what the shell is to do.
type EffectKind uint8

// The effects.
const (
	Answer  EffectKind = iota + 1 // give Reply to Caller
	Persist                       // store Entries, synced, then report DiskStored
	// drop all data of the shard, in order with what is stored before and after; report DiskWiped
	Wipe
	// as Wipe, but the files of the shard's data go, too, unread: they may be damaged; report DiskWiped
	Drop
	PersistRecords // store Records of a snapshot
	// a snapshot is whole: store LSN, its epoch, History and the window's Entries, synced, then report DiskStored
	PersistHistory
	SendAsk         // to the backup, on Stream: where does your log end?
	SendAppend      // to the backup, on Stream: Entries, and Applied
	SendApplied     // to the backup, on Stream: applied up to LSN
	SendStored      // to the leader, by Caller: stored up to LSN
	SendPosition    // to the leader, by Caller: the log ends at LSN, in epoch LastEpoch
	SendStreamError // to the leader, by Caller: Reply.Refusal and Reply.Reason
	// to the backup, on Stream: the log from LSN on up to at most Applied, of History, read from the WAL; report FeedDone
	// or FeedFailed
	Feed
	FeedSnapshot    // to the backup, on Stream: the whole shard as it is now; report FeedDone
	BreakStream     // end Stream and begin another
	SetAlarm        // report Ticked after TellEvery
	Notify          // Notice to the lease session, in Epoch
	Relay           // to the leader, on Stream: what Asked asks for; its answer is the caller's
	TakeBackRelayed // this replica leads now: what was passed on and not answered comes back to it
)

// Effect is one thing to do. Effects are carried out in order.
type Effect struct {
	Kind      EffectKind
	AtOnce    bool // of Feed: the leader holds back its new writes until this is done
	Caller    shard.Caller
	Notice    shard.Notice
	Stream    uint64
	Epoch     uint64
	LSN       uint64
	LastEpoch uint64
	Applied   uint64
	Entries   []shard.Entry
	Records   []shard.Record
	History   []shard.Position
	Reply     shard.Reply
	Asked     *Event
}
