// Command bench runs and measures Tandem from the outside: it starts a local cluster of real processes, fills it through
// REST, and takes its latency.
//
//	bench cluster   starts nodes and a gateway on this machine and stops them in order at Ctrl-C
//	bench stop      stops a cluster that was started with --detach
//	bench fill      creates users through REST
//	bench pages     measures LIST at offset 0 and near the end
//
// The rooms:
//
//	main.go      the commands and their settings
//	plan.go      a local cluster on paper: names, addresses, command lines (pure)
//	process.go   one child process: launch, readiness, what its log says
//	cluster.go   start, hold and stop a whole cluster
//	workload.go  seed and number → user (pure)
//	fill.go      the users through REST
//	pages.go     latency of pages near and far
//	compare.sh   wrk against Tandem and against etcd in one run; its requests are in lua/
//
// The tests in this folder start real processes; house_test.go holds the rules of style that all of the project's code keeps.
package main
