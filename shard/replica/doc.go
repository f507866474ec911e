// Package replica is the replication of one shard: what a replica, leader or backup, does next. Step takes its state
// and an event, and returns the state after it with the effects that the shell is to carry out. It is pure: no clock,
// no disk, no network. docs/protocol.md has the rules that it keeps.
package replica
