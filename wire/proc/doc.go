// Package proc is what both processes, node and gateway, want of the operating system around them: a log that nobody
// who reads it can hold up, the addresses behind names, a clock, timers, and a start anew in place. A process waits
// here for things outside of it, each in a goroutine of its own, so that no loop does.
//
// # Files
//
//	output.go   the way out for lines of the log, which never holds anybody up
//	queue.go    which lines wait, and which are dropped and counted, pure
//	names.go    the addresses of a peer: look-ups, and which address is dialled
//	route.go    which address is dialled next, and when a name is looked up, pure
//	clock.go    the boot-time clock
//	timers.go   timers that may ring a little late, so that the runtime wakes less often
//	runtime.go  when the runtime collects garbage
//	reach.go    listening, and where a process that listens is reached
//	restart.go  starting anew in place, and ending
//	build.go    which program this is
//	settings.go settings that both have, checked
package proc
