// Package shard decides: where a user belongs, who leads a shard, and what a replica does next. It has no clock, no
// disk, no network and no goroutine; time comes in with events. Gateway and node act on what it says.
//
// # Files
//
//	place.go    hash → shard and bucket; the pair of a shard; its initial view
//	cover.go    the few nodes that COUNT and LIST ask
//	page.go     offset and limit → runs within shards
//	key.go      what an id, a name and an email may be, and the key that an id has in RocksDB
//	condition.go preconditions of reads and writes
//	record.go   users, log entries, changes, results and refusals
//	notice.go   what a replica tells the lease session about it
//	times.go    times that several parts use
//	memberid.go the Raft id of a node's store
//	diskhealth.go how a node judges its disk: JudgeDisk
//	recovery.go what a damaged log means, and how a store is opened: JudgeLog, NextOpen
//	greeting.go who may work together: Fits, Incarnation
//	cluster.go  which cluster a gateway serves: ChooseCluster
//	health.go   whether a process takes its part: NodeChecks, GatewayChecks
//	replica/    what a replica of a shard does next: replica.Step
//	lease/      what two neighbours promise each other, and who proposes which view when: lease.Step
//	views/      the view service: agreement on the views, around etcd's Raft core: views.Step
//
// Package shard/sim runs whole clusters of all that in virtual time.
//
// # The protocol
//
// A shard is a log of writes, each with an LSN, kept by two replicas: a leader and a backup (primary and backup as in
// PacificA, Lin et al., MSR-TR-2008-25). A view says who is which, and whether the backup is in sync; each view of a
// shard has an epoch, and a position in the log is an epoch and an LSN.
//
//	client      leader                         backup
//	  | write ->  |  sequence: LSN 7             |
//	  |           |  append(7) ----------------> |
//	  |           |                              | store, synced
//	  |           | <---------------- stored(7)  |
//	  |           |  store (apply), synced       |
//	  | <- done   |                              |
//
// While the backup is in sync neither can act without the other for longer than a lease: the leader serves as long as
// its backup promises not to replace it, and the other way round. When that ends, the first proposal to the view
// service wins: the leader goes on alone, or the backup does. Who is alone waits until what it promised has run out (a
// grace), and then needs nobody. A replica that comes back is fed until it has all, and let in again by another view.
//
// What the nodes agree on is the cluster state: the views, the members, the newest start of each member's store, and
// the version in force. An entry of the log that changes it says of what format and kind it is; a node that cannot read
// one stops. A store that was put back to an older state shows by its start, or by what it lacks.
//
// Invariants, by number; docs/protocol.md has them all, with the rules that the code cites (R1 and on), and what holds
// each:
//
//	I1  Backup first. The leader hands a write to its disk only after the backup has stored it, and answers only after
//	    its own disk has. So the leader's RocksDB holds nothing but committed writes, and a backup in sync has all that
//	    was acknowledged.
//	I2  One order. LSNs of a shard are 1, 2, 3 … without gaps, on both replicas; each stores its entries in that order.
//	I3  Outcomes are decided against the newest sequenced state: pending writes first, then RocksDB.
//	I4  A refusal that rests on a pending write is answered once that write is applied. (Refused: Missing, Exists,
//	    Mismatch, Oversized.)
//	I5  A sequenced write is never abandoned while its leader leads. A leader that was replaced drops what its disk was
//	    not given.
//	I6  What can grow is bounded: pending writes, answers that are held back, the window of request ids by time.
//
// # State is a value
//
// The three Step functions take a state and return the next one. Slices and maps are handed along with it: the
// value that went in is spent. That keeps a step as cheap as a mutation while nothing outside can hold on to the state.
package shard
