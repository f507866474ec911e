// Package store is a node's data folder: the write-ahead log, the RocksDB database behind it, and the files that lie
// beside those. It is the only package that knows RocksDB, and the one that writes and reads the files of the log,
// whose format package wal knows. It knows the values of package shard, and neither the wire, nor connections, nor
// loops: its functions do one thing when they are called, and the node's loops decide when that is.
//
// A database is a value of type DB, a set of handles that nothing changes. What replaces a handle (AddFamilies,
// RenewFamily) returns another DB. Errors of RocksDB are of class ErrStore; IsDamage and IsDiskError tell what they
// mean.
//
// # Files
//
//	db.go        opening the database; reads and writes of one key; damage of its files
//	families.go  its column families
//	scan.go      scans of a shard
//	log.go       the write-ahead log: writing it, recovering it
//	segment.go   beginning and removing its segments
//	logread.go   the write-ahead log, read back while it is written
//	replay.go    what a recovered log has and the tables lack
//	cfile.go     files of the log, through the C library
//	batch.go     entries ↔ bytes of a RocksDB batch, which the log holds, too
//	batchhead.go the head of a batch
//	fill.go      a snapshot → bytes of RocksDB batches
//	value.go     a user ↔ bytes of a value
//	identity.go  whose data folder this is, and which start of it
//	syncnote.go  the note how far the write-ahead log was synced
//	marks.go     the file that names damaged copies of shards
//	files.go     files that are written as a whole
//	folder.go    what a data folder holds; setting a store aside
//	leftover.go  what can be read of a damaged shard
//	salvage.go   a copy of the store without the files that cannot be opened
//	space.go     how much room the disk has, and which errors are the disk's
//
// # Keys
//
// In a shard's column family: 'u' + bucket + tag + id → epoch, LSN, name, email, group (msgpack array); "mc" + bucket →
// number of users and LSN of the last write in it (varints; the highest of these LSNs is the shard's position), "mh" +
// epoch → LSN of its first write (big-endian), "mw" → the request ids that a snapshot brought, "ma" → the sequence of
// the last batch that the shard's data has. In the column family raft: the view service's log, hard state and snapshot,
// and "applied", which is what "ma" is. In the default column family, the store-local keys: "facts"
// (Identity), "start" (the last starts), "grace" and "marks".
//
// # Batches
//
// A batch is one append to the log, with the next sequence, and one write to RocksDB, whose own log is off. Each begins
// with a head (batchhead.go: start, number, and how many parts of each shard) and carries, a shard, a
// LogData header with its version (3), shard, epoch, first LSN, stamp and the request id, outcome and wall time of each
// entry, then the puts and deletes, then the meta; users of a snapshot come without a header. A header or a folder of
// another version is refused by name; nothing is converted when a folder is opened.
package store
