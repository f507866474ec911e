// Command bench runs and measures Tandem from the outside: it starts clusters of real processes, loads them through
// REST with an open loop, lets their nodes fail, and judges whether the answers were in time and linearizable.
//
//	bench run       loads a cluster and judges it: budget, faults, wrong answers
//	bench chaos     the same for a cluster of its own, whose nodes and disks are made to fail again and again
//	bench verify    compares the digests of both replicas of every shard
//	bench space     bytes on disk over bytes of the users' JSON
//	bench micro     nodes touched by each operation in clusters of several sizes
//	bench cluster   starts nodes and a gateway on this machine and stops them in order at Ctrl-C
//	bench stop      stops a cluster that was started with --detach
//	bench fill      creates users through REST
//	bench pages     measures LIST at offset 0 and near the end
//
// How a run goes: drive starts operations at their scheduled times, and shoot does each in a goroutine of its own.
// collect counts the answers. watch records when this process itself stalled, probe when the disk of the nodes did. A
// script makes the faults. Then everything is read back, the histories are judged, and a report is made. docs/bench.md
// says what the figures mean and what they do not.
//
// The files, commands and what is shared by them first:
//
//	main.go      the commands and the exit codes
//	ending.go    signals, and outputs that nobody reads any more: how a command ends before its time
//	check.go     invalid settings (pure)
//	limits.go    open files, memory, folders, suspensions: what this machine has for a run
//	run.go       bench run: settings, cluster, job, report
//	chaos.go     bench chaos: rounds of faults, and the final checks
//	verify.go    bench verify
//	space.go     bench space
//	micro.go     bench micro
//	local.go     bench cluster, stop and fill
//	pages.go     bench pages
//
// What is done:
//
//	workload.go  seed and number → user (pure)
//	mix.go       the mixes: seed and number → operation (pure)
//	zipf.go      popular users are asked for more often (pure)
//	trial.go     faults at random moments: seed → trials, and their script
//	disktrial.go the kinds of fault of a disk: trial → stages (pure)
//	fault.go     a timeline of faults: text → steps (pure)
//	timeline.go  steps at fixed times, and steps that are commands of the shell
//
// Load:
//
//	job.go       a whole run: phases, script, collector
//	drive.go     the schedule and the requests under way
//	persist.go   an operation for each user, done again until it is answered
//	rest.go      an operation as an HTTP request, and its answer
//	target.go    the URL of a gateway, and the addresses of its host
//	reasons.go   failed requests by their reason (pure)
//	sample.go    what became of one request
//	readback.go  every user read again in the end, their count and their list
//	watch.go     when the generator itself stalled
//	probe.go     when the disk of the nodes stalled
//	collect.go   the loop that counts
//	tally.go     what is counted
//	knee.go      the highest rate that keeps the budget
//	fill.go      the users of bench fill
//
// The cluster itself, and faults as they are done, are in bench/cluster.
//
// Judgement and reports:
//
//	budget.go    late requests, who is to blame for them, the verdict
//	model.go     what the answers about one user must agree with
//	history.go   the histories of all users, judged with porcupine
//	witness.go   an order of a crowded history, by its versions, that proves it right
//	bounds.go    counts between what was acknowledged and what may have happened
//	assess.go    all checks of a run together
//	report.go    the report of a run
//	faultcost.go the report of a chaos run
//	diskjudge.go a trial of a disk, and whether the node passed it
//	table.go     a report for a terminal
//	page.go      a report as a page of HTML (report.html.tmpl), with chart.go
//	chart.go     lines over time as SVG
//	publish.go   the files of a report, and comparison with an earlier one
//	live.go      progress
//	compare.sh   wrk against Tandem and against etcd in one run; its requests are in lua/
//
// The tests in this folder start real processes. The house rules are tests of their own, in bench/lint.
package main
