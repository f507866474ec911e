// Command node is a database node: it keeps replicas of shards in RocksDB (package store) and speaks the wire protocol.
//
// # Loops
//
// All state is in the local variables of a few loops; they talk by channels.
//
//	replicas (a few)       owns the states of some replicas; asks replica.Step and carries its effects out
//	lease (one a neighb.)  owns what the two promise each other, and proposes views; asks lease.Step
//	view service           owns this node's part in Raft, which holds the views; asks views.Step
//	disk                   owns all writes: what is waiting becomes one synced append to the log (group commit), then
//	                       goes to RocksDB, whose memory it has flushed
//	disk health            looks how long writes take, and says whether the disk is slow, distrusted or healthy
//	index                  knows where in the write log each shard's entries stand
//	sync notes             notes in the data folder how far the write log is synced
//	damage                 owns the marks of damaged copies, and the file of them
//	pruning                removes segments of the write log that nobody can need
//	progress               writes to the log how repairs go on
//	views                  tells the gateways the views
//	names (one a node)     knows the addresses behind another node's name, and where it was reached last
//	link (one a node)      keeps a connection to another node: appends, pings, Raft's messages
//	feeds (one a node)     feeds the backups at another node from the write log, which a reader beside it reads once
//	relay (one a node)     passes requests on to the leader that a peer is, and its answers back
//	connection (one each)  a reader that hands requests to replicas, a sender that sends all waiting answers at once
//	list (one each)        reads a list's pages from a scan, each when the one before has left
//	connection registry    knows the open connections
//	refusals               knows who was refused, and by whom, and writes it to the log
//	health                 looks whether the node takes its part, and says so in the log and to whoever pings
//
// The main channels, by the names of their fields. A request comes in at the left, and its answer leaves there:
//
//	         frames  +------------+    In     +----------+    Disk     +------+  synced
//	client <=======> | connection | --------> |          | ----------> |      | ========> log, RocksDB
//	                 |            | <-------- | replicas | <---------- | disk |  batches
//	                 +------------+    Out    |          |   Stored,   |      |
//	                    |      |              +----------+   Refusing  +------+
//	                    |      |                ^      |                ^    |
//	                    |      |             In |      | Wants     Disk |    | Health
//	                    |      |       In       |      v                |    v
//	                    |      |              +----------+              |  +-------+
//	                    |      +------------> |  lease   | <------------|--|       |
//	                    |                     +----------+   Disk       |  |       |
//	                    |             States,   ^      |                |  | disk  |
//	                    |             Elected   |      | Asks           |  |health |
//	                    |       In              |      v                |  |       |
//	                    |                     +----------+              |  |       |
//	                    +-------------------> |view serv.| -------------+  |       |
//	                                          |          | <---------------|       |
//	                                          +----------+   Unhealthy     +-------+
//
// A link carries what goes to another node, and brings what that answers:
//
//	replicas ----------- Out ----------------> +------+
//	replicas -- Feeds --> feeds --- Out -----> |      |  frames   connection
//	replicas -- Relays -> relay --- Out -----> | link | <=======> at the other node
//	lease -------------- Urgent -------------> |      |
//	view service ------- Out ----------------> +------+
//	                                              |
//	replicas, lease <--- In ----------------------+
//	relay <------------- RelayEvents -------------+
//	view service <------ Greets ------------------+
//
// And who is told or asked beside that:
//
//	disk -- Index ----> index <-- Lookups -- reader of the write log <-- feeds, WAL (a line of text)
//	disk -- Synced ---> sync notes; -- Closed --> pruning
//	disk, replicas -- Damage --> damage
//	view service -- States -> views -- Out --> connections of gateways; pruning
//	relay -- Out -----> connection; -- In --> replicas (what this node leads itself by now)
//	lines of text, lists, health, progress, a stop -- Inspect, Opens --> replicas
//
// Views travel one way: view service → leases → replicas. So a lease session knows what it has promised when its
// replicas act on a view.
//
// Work is handed over in batches: a reader hands over all requests that have arrived, a loop does all that waits and
// then sends one list to each receiver, a writer sends one system call. Before each takes what waits it lets every
// other goroutine that can run go first (runtime.Gosched): under load that makes the batches large, and without load it
// costs nothing.
//
// Nothing waits in a circle. A replicas' loop waits only for the disk's queue, which has room for all that can be
// pending; a lease session waits only for replicas; the disk and the view service hand results over through channels of
// one slot, the newest wins; what can be asked again (proposals, pings, Raft's messages) is dropped when it does not
// fit; whoever answers a connection never waits for it: one whose queue is full does not read and is closed.
// Back-pressure is at the edge: a connection with 1,024 requests under way is read no further; a request is under way
// until its answer has left.
//
// # Who reads
//
// Once the node has started, only the loop that owns a replica uses the column family of its shard: it looks users up
// for gets and writes, and it opens a scan (OpenScan, some microseconds) for whoever wants to read more: lists,
// snapshots for a backup, and the lines GET, LIST and DIGEST. Who asked reads the scan and closes it. So a scan is of
// one moment in the loop's own order of events, and a column family can be replaced by its loop alone. With a scan the
// loop hands over its counts of the buckets. Those run ahead of the scan, as writes are counted when they are handed to
// the disk; the buckets that have writes which the disk has not reported (replica.BucketsAhead) are therefore counted
// by the scan: a read of some microseconds each, where all 256 would take 1 to 3 ms, many times what 100 users take.
//
// # What clients can make a node hold
//
// All of it is bounded, by connection and in all:
//
//	requests under way     1,024 a connection; --max-connections
//	frames coming in       4 KiB for the greeting, 64 KiB from gateways, 1 MiB from nodes; a read buffer of 32 KiB each
//	answers                what the system does not take at once counts as unread: 64 KiB of each connection are free,
//	                       beyond that up to --unread-each-mb of each and half of --unread-mb in all; who leaves more
//	                       unread is closed, or takes nothing for 2 s
//	pages of lists         made only when there is a slot for one: --unread-each-mb of them a connection, the other
//	                       half of --unread-mb in all; who waits for 200 ms is told that the node is busy
//	lines of text          4 at a time whose answers may be long, until they are written; LIST at most 1 MiB of users
//	requests passed on     512 to each peer
//
// STATUS shows how much of that is taken. Neither a loop of replicas nor one of leases waits for any of it.
//
// # How a write travels
//
//  1. conn.go reads the frame and checks it; the write goes to the loop of its shard.
//  2. replica.go reads the user from RocksDB and asks replica.Step, which sequences it and says: append to the backup.
//  3. outbox.go encodes the append, and link.go sends it, with those of other shards, in one system call.
//  4. At the backup, conn.go hands the entries to the replica's loop, which makes its part of a batch
//     (store.EntriesPart) for disk.go.
//  5. disk.go appends the parts of all shards to the log, synced, in one batch, and writes it to RocksDB; the replica's
//     loop hears of it, and "stored" goes back.
//  6. At the leader the same happens to its own batch, and only then the answer goes out through the connection's
//     writer.
//
// # Files
//
//	main.go      settings → start → stop
//	config.go    settings and their checks
//	start.go     data folder → bootstrap → loops
//	bootstrap.go what a node does whose store belongs to no cluster yet
//	wiring.go    how the loops are wired: the channels
//	boot.go      what a replica starts from: its meta and the request ids in the log
//	accept.go    the command node accept-loss
//	acceptshard.go  what it does with one shard
//	recover.go   opening a folder in the ways that shard.NextOpen names, and bringing its data up to the log
//	syncnote.go  the loop that notes how far the log is synced, and the stage of the start that judges the log
//	grace.go     waiting until what the process before has promised is over
//	damage.go    the loop that notes which copies of shards are damaged
//	leave.go     handing leaderships over before a stop
//	replica.go   the loop of some replicas
//	serialize.go effects → parts of a batch
//	outbox.go    what a loop sends after a batch of events
//	lease.go     the loop that keeps the lease session with a neighbour
//	viewservice.go  the loop of the view service
//	views.go     the loop that tells gateways the views
//	disk.go      the loop that owns all writes
//	diskhealth.go   the loop that looks how long writes take
//	index.go     the loop that knows where in the write log entries stand
//	progress.go  the loop that says how repairs go on
//	pruning.go   the loop that removes old segments of the write log
//	link.go      the connection to another node
//	relay.go     requests for shards that the peer leads, passed on to it
//	append.go    entries ↔ append frames
//	log.go       the write log read back
//	feed.go      the loop that feeds backups what they lack of it
//	snapshot.go  a whole shard, for a backup whose lack the log no longer covers
//	listen.go    accepting, and telling frames from text
//	greeting.go  what a node says of itself, and the cluster that its store belongs to
//	refusals.go  the loop that knows who was refused
//	conn.go      a connection that speaks frames
//	send.go      what is sent by it, and what its client leaves unread
//	read.go      counts
//	list.go      pages
//	lines.go     a connection that speaks lines of text
//	answers.go   what each line answers
//	health.go    whether the node takes its part: READY, and the health check
package main
