// Package lease is what two neighbours promise each other: leases of the shards that both hold, and who proposes which
// change of their views when. Step takes a session's state and an event, and returns the state after it with the
// effects that the shell is to carry out. It is pure; docs/protocol.md has the rules that it keeps (R3 to R6, R9, R24,
// R25).
package lease
