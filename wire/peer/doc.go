// Package peer is what node and gateway both do when they dial a node: the greeting, and what comes of it. What the
// outcome means, for the log, for metrics or for who waits, each decides itself.
//
//	dial.go      a connection to a node, up to its welcome
//	greeting.go  what a process says of itself; greetings as the wire has them ↔ as the core has them
//	misfit.go    misfits ↔ codes of error frames, and the error of a dial that met one
package peer
