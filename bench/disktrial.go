package main

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"tandem/bench/cluster"
)

// The kinds of trial in which one node's disk fails. Each hits one copy of the data only.
const (
	trialFlipLog      = "disk-flip-wal"
	trialFlipTable    = "disk-flip-sst"
	trialFlipManifest = "disk-flip-manifest"
	trialFlipCurrent  = "disk-flip-current"
	trialFlipOptions  = "disk-flip-options"
	trialReadError    = "disk-eio-read"
	trialWriteError   = "disk-eio-write"
	trialSyncError    = "disk-eio-sync"
	trialShort        = "disk-short-write"
	trialFull         = "disk-full"
	trialOldCopy      = "disk-old-copy"
	trialTorn         = "disk-torn"
)

// The kinds in which the disk of a node fails that has led alone, while the other copy is away and older. A loss must
// be reported; old data must not be served.
const (
	trialLoneLog      = "disk-lone-wal"
	trialLoneTable    = "disk-lone-sst"
	trialLoneManifest = "disk-lone-manifest"
	trialLoneCurrent  = "disk-lone-current"
	trialLoneCopy     = "disk-lone-copy"
	trialLoneTorn     = "disk-lone-torn"
)

// The kinds in which a disk takes long, or does not answer for a while.
const (
	trialSlowRead = "slow-read"
	trialSlowSync = "slow-sync"
	trialHangRead = "hang-read"
	trialHangSync = "hang-sync"
)

// diskKinds are all of these, in the order in which a group of them is tried. The list never changes.
var diskKinds = []string{trialFlipLog, trialFlipTable, trialFlipManifest, trialFlipCurrent, trialFlipOptions,
	trialReadError, trialWriteError, trialSyncError, trialShort, trialFull, trialOldCopy, trialTorn,
	trialLoneLog, trialLoneTable, trialLoneManifest, trialLoneCurrent, trialLoneCopy, trialLoneTorn,
	trialSlowRead, trialSlowSync, trialHangRead, trialHangSync}

// The times of a disk's fault, and of one of a lone leader's.
var (
	diskLength = [2]time.Duration{300 * time.Millisecond, 2 * time.Second}
	loneLength = [2]time.Duration{time.Second, 2 * time.Second}
)

// flips are what the kinds that flip a bit flip it in. The table never changes.
var flips = map[string]string{trialFlipLog: cluster.FileLog, trialFlipTable: cluster.FileTable,
	trialFlipManifest: cluster.FileManifest,
	trialFlipCurrent:  cluster.FileCurrent, trialFlipOptions: cluster.FileOptions,
	trialLoneLog: cluster.FileLog, trialLoneTable: cluster.FileTable, trialLoneManifest: cluster.FileManifest,
	trialLoneCurrent: cluster.FileCurrent}

func isDisk(kind string) bool { return slices.Contains(diskKinds, kind) }

func isLone(kind string) bool { return strings.HasPrefix(kind, "disk-lone-") }

// kindsOf returns kinds of trial with the groups among them written out: a group is what stands before a hyphen, such
// as disk or disk-flip. The kinds of a lone leader are in a group of their own only, disk-lone.
func kindsOf(words []string) ([]string, error) {
	all := []string{}
	for _, word := range words {
		if _, known := lengths[word]; known {
			all = append(all, word)
			continue
		}
		group := slices.DeleteFunc(slices.Clone(diskKinds), func(kind string) bool {
			return !strings.HasPrefix(kind, word+"-") || isLone(kind) && !strings.HasPrefix(word, "disk-lone")
		})
		if len(group) == 0 {
			return nil, fmt.Errorf("%w: --kinds: expected kill, term, pause, cut, oneway, gateway, all, or %s, "+
				"or a group of these such as disk, disk-flip or disk-lone, found %q",
				errSettings, strings.Join(diskKinds, ", "), word)
		}
		all = append(all, group...)
	}
	return all, nil
}

// stage is some steps that are done at once, after a while.
type stage struct {
	Wait  time.Duration
	Steps []cluster.Step
	Whole bool // and not before all shards are in sync
}

// diskStages are what the trials of disks do, in order, by kind. The first stage is the fault. The table never changes.
var diskStages = map[string]func(t trial, names []string) []stage{
	trialFlipLog: flipStages, trialFlipTable: flipStages, trialFlipManifest: flipStages, trialFlipCurrent: flipStages,
	trialFlipOptions: flipStages,
	trialOldCopy:     copyStages, trialTorn: tornStages,
	trialLoneLog: loneStages, trialLoneTable: loneStages, trialLoneManifest: loneStages, trialLoneCurrent: loneStages,
	trialLoneCopy: loneStages, trialLoneTorn: loneStages,
	trialReadError: ruleStages, trialWriteError: ruleStages, trialSyncError: ruleStages, trialShort: ruleStages,
	trialFull:     ruleStages,
	trialSlowRead: ruleStages, trialSlowSync: ruleStages, trialHangRead: ruleStages, trialHangSync: ruleStages,
}

// way returns one of n ways in which a trial can go, by its random draw; each purpose uses bits of its own.
func way(t trial, place, n int) int { return int(t.Draw >> (8 * place) % uint64(n)) }

// stops are the ways in which a process is ended before its data is touched. The list never changes.
var stops = []string{cluster.FaultKill, cluster.FaultTerm}

// single makes a stage of one step.
func single(wait time.Duration, kind, node string) stage {
	return stage{Wait: wait, Steps: []cluster.Step{{Kind: kind, Node: node}}}
}

// whole makes the first of some stages wait until all shards are in sync: what comes then hits one copy only.
func whole(first stage, more ...stage) []stage {
	first.Whole = true
	return append([]stage{first}, more...)
}

// flipStep makes the step that flips a bit.
func flipStep(t trial) cluster.Step {
	s := cluster.Step{Kind: cluster.FaultFlip, Node: t.Node, File: flips[t.Kind], Chance: t.Draw >> 16,
		Spare: !isLone(t.Kind)}
	if s.File == cluster.FileTable {
		s.Part = cluster.TableParts[way(t, 1, len(cluster.TableParts))]
	}
	return s
}

// flipStages flips a bit while the node is stopped, or while it runs, which is then started anew. Then everything on
// it is read.
func flipStages(t trial, _ []string) []stage {
	stop, flip, begin := stops[way(t, 0, 4)%2], flipStep(t), []stage{}
	if flip.File == cluster.FileTable {
		begin = tableStages(t)
	}
	if way(t, 0, 4) < 2 {
		return append(begin, whole(single(t.Quiet, stop, t.Node), stage{Wait: t.Lasts / 2, Steps: []cluster.Step{flip}},
			single(t.Lasts/2, cluster.FaultStart, t.Node), single(200*time.Millisecond, cluster.FaultScrub, t.Node))...)
	}
	return append(begin, whole(stage{Wait: t.Quiet, Steps: []cluster.Step{flip}},
		single(t.Lasts, cluster.FaultScrub, t.Node),
		single(100*time.Millisecond, stop, t.Node),
		single(50*time.Millisecond, cluster.FaultStart, t.Node),
		single(200*time.Millisecond, cluster.FaultScrub, t.Node))...)
}

// tableStages starts a node anew, which brings what is in its log to tables.
func tableStages(t trial) []stage {
	return whole(single(t.Quiet, cluster.FaultTerm, t.Node), single(0, cluster.FaultStart, t.Node))
}

// everyNode makes a stage of one step for each node, in a trial's order.
func everyNode(t trial, wait time.Duration, kind string, names []string) stage {
	all := stage{Wait: wait}
	for _, at := range t.Order {
		all.Steps = append(all.Steps, cluster.Step{Kind: kind, Node: names[at]})
	}
	return all
}

// withdrawal ends the rules of all disks and starts all nodes, at whatever stage the trial of a disk was.
func withdrawal(names []string) []stage {
	cure, revive := stage{}, stage{}
	for _, name := range names {
		cure.Steps = append(cure.Steps, cluster.Step{Kind: cluster.FaultCure, Node: name})
		revive.Steps = append(revive.Steps, cluster.Step{Kind: cluster.FaultRevive, Node: name})
	}
	return []stage{cure, revive}
}

// copyStages copies a stopped node's folder, lets it take part for a while, and puts the copy in its place; half of
// the times all nodes lose their power before.
func copyStages(t trial, names []string) []stage {
	before := whole(single(t.Quiet, cluster.FaultTerm, t.Node), single(0, cluster.FaultCopy, t.Node),
		single(0, cluster.FaultStart, t.Node))
	before = append(before, whole(single(0, cluster.FaultLook, t.Node))...) // it has taken part from then on
	if way(t, 0, 2) == 0 {
		return append(before, whole(single(time.Second+t.Lasts, stops[way(t, 1, 2)], t.Node),
			stage{Steps: []cluster.Step{{Kind: cluster.FaultPutBack, Node: t.Node, Spare: true}}},
			single(t.Lasts/4, cluster.FaultStart, t.Node))...)
	}
	return append(before, whole(everyNode(t, time.Second+t.Lasts, cluster.FaultKill, names),
		stage{Steps: []cluster.Step{{Kind: cluster.FaultPutBack, Node: t.Node, Spare: true}}},
		everyNode(t, t.Lasts/4, cluster.FaultStart, names))...)
}

// lateSyncs lets a node's log be synced so late that a loss of power mostly meets writes that are not yet synced, and
// not so late that the disk counts as slow.
var lateSyncs = cluster.Rule{Ops: cluster.OpsSync, Files: cluster.FilesLog, Action: cluster.ActSlow,
	Slow: 30 * time.Millisecond}

// powerLoss takes the power from some nodes at once, while their syncs are late.
func powerLoss(t trial, quiet, lasts time.Duration, nodes []string) []stage {
	ill, kill := stage{Wait: quiet}, stage{Wait: 50*time.Millisecond + quiet/4}
	lose, start := stage{}, stage{Wait: lasts}
	for i, node := range nodes {
		ill.Steps = append(ill.Steps, cluster.Step{Kind: cluster.FaultIll, Node: node, Rule: lateSyncs})
		kill.Steps = append(kill.Steps, cluster.Step{Kind: cluster.FaultKill, Node: node})
		lose.Steps = append(lose.Steps, cluster.Step{Kind: cluster.FaultLose, Node: node,
			Chance: t.Draw>>16 + uint64(i)})
		start.Steps = append(start.Steps, cluster.Step{Kind: cluster.FaultStart, Node: node})
	}
	return []stage{ill, kill, lose, start}
}

// tornStages takes the power from a node, or, one time in three, from all.
func tornStages(t trial, names []string) []stage {
	nodes := []string{t.Node}
	if way(t, 0, 3) == 0 {
		nodes = []string{}
		for _, at := range t.Order {
			nodes = append(nodes, names[at])
		}
	}
	stages := powerLoss(t, t.Quiet, t.Lasts, nodes)
	return whole(stages[0], stages[1:]...)
}

// ruleOf returns how the disk fails in a kind of trial.
func ruleOf(t trial) cluster.Rule {
	often := []uint64{1, 1, 3, 10}[way(t, 1, 4)]
	writes := []uint64{cluster.FilesAll, cluster.FilesAll, cluster.FilesLog,
		cluster.FilesTable | cluster.FilesManifest}[way(t, 2, 4)]
	switch t.Kind {
	case trialReadError:
		reads := []uint64{cluster.FilesAll, cluster.FilesTable, cluster.FilesLog}[way(t, 2, 3)]
		return cluster.Rule{Ops: cluster.OpsRead, Files: reads, Action: cluster.ActFail,
			Error: syscall.EIO, Every: often}
	case trialWriteError:
		return cluster.Rule{Ops: cluster.OpsWrite, Files: writes, Action: cluster.ActFail, Error: syscall.EIO,
			Every: often}
	case trialSyncError:
		return cluster.Rule{Ops: cluster.OpsSync, Files: writes, Action: cluster.ActFail, Error: syscall.EIO,
			Every: often}
	case trialShort:
		why := []syscall.Errno{syscall.EIO, syscall.ENOSPC}[way(t, 3, 2)]
		return cluster.Rule{Ops: cluster.OpsWrite, Files: writes, Action: cluster.ActShort, Error: why,
			Every: often * 4,
			Most:  uint64(1 + way(t, 4, 3))}
	case trialFull:
		return cluster.Rule{Ops: cluster.OpsWrite | cluster.OpsAllocate, Files: cluster.FilesAll,
			Action: cluster.ActFail, Error: syscall.ENOSPC}
	case trialSlowRead, trialSlowSync:
		ops := map[string]uint64{trialSlowRead: cluster.OpsRead, trialSlowSync: cluster.OpsSync}[t.Kind]
		late := []time.Duration{5, 20, 80, 300}[way(t, 3, 4)] * time.Millisecond
		return cluster.Rule{Ops: ops, Files: cluster.FilesAll, Action: cluster.ActSlow, Slow: late}
	}
	ops := map[string]uint64{trialHangRead: cluster.OpsRead, trialHangSync: cluster.OpsSync}[t.Kind]
	return cluster.Rule{Ops: ops, Files: cluster.FilesAll, Action: cluster.ActHang}
}

// onlyAtStart tells whether a rule is met for sure only by a node that is being started: that is when it reads its
// log, and makes tables of it.
func onlyAtStart(r cluster.Rule) bool {
	return r.Ops == cluster.OpsRead && r.Files == cluster.FilesLog || r.Ops&(cluster.OpsWrite|cluster.OpsSync) != 0 &&
		r.Files&cluster.FilesLog == 0
}

// ruleStages lets the disk fail for a while: of a node that runs, or, one time in four at least, of one that is being
// started. A process that ends by itself is started again when the disk is well. After half of the failed syncs of a
// node that runs it loses its power.
func ruleStages(t trial, _ []string) []stage {
	r := ruleOf(t)
	ill := cluster.Step{Kind: cluster.FaultIll, Node: t.Node, Rule: r}
	cure := single(t.Lasts, cluster.FaultCure, t.Node)
	again := []stage{single(0, cluster.FaultLook, t.Node), single(0, cluster.FaultRevive, t.Node)}
	if onlyAtStart(r) || way(t, 0, 4) == 0 && r.Action != cluster.ActSlow && r.Action != cluster.ActHang {
		begin := whole(single(t.Quiet, cluster.FaultTerm, t.Node), stage{Steps: []cluster.Step{ill}},
			single(50*time.Millisecond, cluster.FaultLaunch, t.Node), cure)
		return append(begin, again...)
	}
	begin := []stage{}
	if r.Ops&cluster.OpsRead != 0 { // from tables, none of which is in its cache
		begin = tableStages(t)
	}
	begin = append(begin, whole(stage{Wait: t.Quiet, Steps: []cluster.Step{ill}})...)
	if r.Action != cluster.ActSlow && r.Action != cluster.ActHang { // on a disk that hangs a scrub does not end
		begin = append(begin, single(0, cluster.FaultScrub, t.Node))
	}
	if t.Kind == trialSyncError && way(t, 0, 4) < 3 {
		lose := stage{Steps: []cluster.Step{{Kind: cluster.FaultLose, Node: t.Node, Chance: t.Draw >> 16}}}
		return append(begin, single(t.Lasts/2, cluster.FaultKill, t.Node), lose,
			single(t.Lasts/2, cluster.FaultStart, t.Node))
	}
	return append(append(begin, cure), again...)
}

// loneStages kills a neighbour, lets the node lead alone, and hurts its data before the neighbour comes back with the
// older copy.
func loneStages(t trial, names []string) []stage {
	other := names[(slices.Index(names, t.Node)+1+way(t, 0, len(names)-1))%len(names)]
	begin := []stage{}
	if t.Kind == trialLoneCopy {
		begin = whole(single(t.Quiet, cluster.FaultTerm, t.Node), single(0, cluster.FaultCopy, t.Node),
			single(0, cluster.FaultStart, t.Node))
	}
	if t.Kind == trialLoneTable {
		begin = tableStages(t)
	}
	begin = append(begin, whole(single(t.Quiet, cluster.FaultKill, other))...)
	end := []stage{single(t.Lasts, cluster.FaultScrub, t.Node), single(0, cluster.FaultStart, other)}
	if t.Kind == trialLoneTorn {
		return slices.Concat(begin, powerLoss(t, time.Second+t.Lasts, t.Lasts/2, []string{t.Node}), end)
	}
	hurt := flipStep(t)
	if t.Kind == trialLoneCopy {
		hurt = cluster.Step{Kind: cluster.FaultPutBack, Node: t.Node}
	}
	begin = append(begin, single(time.Second+t.Lasts, stops[way(t, 1, 2)], t.Node), stage{Steps: []cluster.Step{hurt}},
		single(t.Lasts/2, cluster.FaultStart, t.Node))
	return append(begin, end...)
}
