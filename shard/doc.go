// Package shard decides: where a user belongs, who leads a shard, and what a replica does next. It has no clock, no disk, no
// network and no goroutine; time comes in with events. Gateway and node act on what it says.
//
// # Files
//
//	place.go    hash → shard and bucket; the pair of a shard; the view it is born with
//	cover.go    the few nodes that COUNT and LIST ask
//	page.go     offset and limit → runs within shards
//	key.go      what an id is, and the key it has in RocksDB
//	replica.go  a replica's state, its events and its effects
//	step.go     Step, and what leader and backup have in common
//	leader.go   sequencing, sending, comparing logs
//	backup.go   storing what the leader appends
//
// # The protocol
//
// A shard is a log of writes, each with an LSN, kept by two replicas: a leader and a backup (primary and backup as in
// PacificA, Lin et al., MSR-TR-2008-25). A position is an epoch and an LSN; the epoch belongs to the view and is 1 as long as
// views do not change.
//
//	client      leader                         backup
//	  | write ->  |  sequence: LSN 7             |
//	  |           |  append(7) ----------------> |
//	  |           |                              | store, synced
//	  |           | <---------------- stored(7)  |
//	  |           |  store (apply), synced       |
//	  | <- done   |                              |
//
// Invariants, by number; code and tests refer to them:
//
//	I1  Backup first. The leader hands a write to its disk only after the backup has stored it, and answers only after its own
//	    disk has. So the leader's RocksDB holds nothing but committed writes, and the backup's log is never the shorter one.
//	I2  One order. LSNs of a shard are 1, 2, 3 … without gaps, on both replicas; each stores its entries in that order.
//	I3  Outcomes are decided against the newest sequenced state: pending writes first, then RocksDB.
//	I4  A refusal that rests on a pending write is answered once that write is applied. (Refused: Missing, Exists, Mismatch.)
//	I5  A sequenced write is never abandoned: it stays pending through broken connections and full disks.
//	I6  A request id is done once. A repeated request is given the outcome of the first; one that is pending is joined. Ids are kept
//	    for RememberFor, which outlives every deadline, and an overdue write is not sequenced (R18).
//	I7  "Stored" counts within its stream. A new stream begins with the question where the backup's log ends; what still arrives by
//	    an older stream is dropped, on both sides (R15).
//	I8  A leader that restarts may be behind its backup, never ahead. It fetches what it lacks before it sequences anything.
//	I9  Reads go to RocksDB of the leader, which holds committed writes only (R1). COUNT and LIST may go to the backup, whose log may
//	    run ahead: its answer waits until the leader has applied what was read (R2).
//	I10 A disk that fails stops new writes with the reason, on either replica; reads go on.
//
// The numbers R1, R2 … are the rules of the full protocol with changing views; those that need leases and epochs are not in
// force yet: a shard whose leader is down answers nothing until it is back.
//
// # State is a value
//
// Step takes a Replica and returns the next one. Its slices and its map are handed along with it: the value that went in is spent. That
// keeps a step as cheap as a mutation while nothing outside can hold on to the state.
package shard
