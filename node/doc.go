// Command node is a database node: it keeps replicas of shards in RocksDB and speaks the wire protocol.
//
// # Loops
//
// All state is in the local variables of a few loops; they talk by channels.
//
//	replicas (a few)       owns the states of some replicas; asks shard.Step and carries its effects out
//	disk                   owns all writes: what is waiting becomes one batch and one fsync (group commit)
//	link (one a peer)      keeps the connection to the node that backs shards led here
//	connection (one each)  a reader that hands requests to replicas, a writer that sends all waiting answers at once
//	census                 knows the open connections
//
// Work is handed over in batches: a reader hands over all requests that have arrived, a loop does all that waits and then sends one list to each
// receiver, a writer sends one system call. Before each takes what waits it lets every other goroutine that can run go first
// (runtime.Gosched): under load that makes the batches large, and without load it costs nothing.
//
// Nothing waits in a circle. A replicas' loop waits only for the disk's queue, which has room for all that can be pending; the disk
// hands results over through channels of one place, the newest wins; whoever answers a connection never waits for it: one whose
// queue is full does not read and is closed. Back-pressure is at the edge: a connection with 1,024 requests under way is read no
// further.
//
// # How a write travels
//
//  1. conn.go reads the frame and checks it; the write goes to the loop of its shard.
//  2. replica.go reads the user from RocksDB and asks shard.Step, which sequences it and says: append to the backup.
//  3. link.go sends the append, with those of other shards, in one system call.
//  4. At the backup, conn.go hands the entries to the replica's loop, which makes its part of a batch (batch.go) for disk.go.
//  5. disk.go writes the parts of all shards in one synced batch; the replica's loop hears of it, and "stored" goes back.
//  6. At the leader the same happens to its own batch, and only then the answer goes out through the connection's writer.
//
// # Files
//
//	main.go     settings → data folder → loops → stop
//	config.go   settings and their checks
//	room.go     how the loops are wired: the channels
//	boot.go     what a replica starts from: its meta and the request ids in the newest part of the log
//	facts.go    whose data folder this is
//	replica.go  the loop of some replicas
//	outbox.go   what a loop sends after a batch of events
//	disk.go     the loop that owns all writes
//	space.go    how much room the disk has
//	batch.go    entries ↔ bytes of a RocksDB batch
//	value.go    a user ↔ bytes of a value
//	rocks.go    the only file that knows grocksdb
//	link.go     the connection to a backup
//	append.go   entries ↔ append frames
//	feed.go     the write log read back, for a peer that lacks entries
//	listen.go   accepting, and telling frames from text
//	conn.go     a connection that speaks frames
//	read.go     counts and pages
//	lines.go    a connection that speaks lines of text
//	answers.go  what each line answers
//	probe.go    the health check
//	clock.go    the boot-time clock
//
// # Keys
//
// In a shard's column family: 'u' + bucket + tag + id → epoch, LSN, name, email, group (msgpack array); "mb" + bucket → number of
// users, "mp" → epoch and LSN of the last write (big-endian). Each batch carries, a shard, a LogData header with shard, epoch, first LSN, stamp
// and the request id and outcome of each entry, then the puts and deletes, then the meta. In the default column family: "facts".
package main
