// Package cluster starts clusters of real processes on this machine, holds them, lets their nodes, connections and
// disks fail, and stops them. What load they are under, and how it is judged, is bench's, which imports this package.
//
// A cluster's life: Settle completes a Plan, Start launches its processes and waits until they serve, Hold stays with
// them, StopProcesses ends them. OpenOwn does all of it for one run, in an emptied folder, with a proxy for every
// connection, a guard that ends the processes when bench is gone, and a goroutine that takes orders: each is a Step, a
// fault or the end of one.
//
//	plan.go     what a cluster is to be: names, addresses, command lines (pure)
//	process.go  one child process: launch, readiness, what its log says
//	ask.go      lines of text to a node
//	cluster.go  start, hold and stop a whole cluster
//	guard.go    ends a cluster when the bench that runs it is gone
//	own.go      a cluster for one run
//	step.go     the kinds of fault
//	operate.go  steps done to processes and connections: signals, starts, cuts
//	proxy.go    the connections between processes, which can be cut
//	disk.go     steps done to a node's disk and data
//	shim.go     the rules by which a disk fails, and the library that obeys them (shim/shim.c)
//	place.go    which file, which byte, how much is lost (pure)
//	sync.go     when all replicas are in sync
//	blame.go    whose fault it is that a connection failed (pure)
//	tell.go     lines to standard error that hold nothing up
package cluster
