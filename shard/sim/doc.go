// Package sim is the simulator: whole clusters of 3 or 5 nodes in virtual time, in one goroutine, made by a seed. It
// runs the real state machines (replica.Step, lease.Step, views.Step) on networks, disks and clocks that fail, and
// judges what the clients were answered. Everything in it is tests:
//
//	world_test.go      a run: its plan, its events in order of time
//	run_test.go        the tests: many seeds, one seed again
//	node_test.go       a node: its view service, its lease sessions, and what their effects do
//	replica_test.go    its replicas, and what their effects do
//	client_test.go     what a gateway asks, and how it tries again
//	net_test.go        connections, delays, cuts
//	disk_test.go       what is written, synced, lost and damaged
//	log_test.go        the write-ahead log, and how a start reads it
//	old_test.go        old copies of folders, and nodes of two versions
//	faults_test.go     which faults happen when
//	deeds_test.go      faults as they are done
//	lease_test.go      lease times that differ
//	list_test.go       counts and pages
//	condition_test.go  preconditions
//	check_test.go      what must hold at every step, and in the end
//	porcupine_test.go  histories, judged for linearizability
//	trace_test.go      a run as text
//	golden_*_test.go   three runs as texts for readers: testdata/traces
//	planted*_test.go   bugs that are planted into the sources and must be found
package sim
