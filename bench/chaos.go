package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"tandem/bench/cluster"
	"tandem/shard"
)

// chaosCommand lets nodes and their disks fail at random moments under load.
type chaosCommand struct {
	LoadFlags
	Rate   float64       `help:"Operations a second." default:"300"`
	Each   int           `help:"How many faults of each kind." default:"200"`
	Kinds  []string      `help:"Kinds of fault: kill, term, pause, cut (from peers, both ways), oneway, gateway (cut from it), all (kill -9 of all nodes); disk-…, slow-… and hang-… (docs/bench.md names them), or disk for all of those that hit one copy, disk-lone for those that hit the only one." default:"kill,term,pause,cut,oneway,gateway,all"`
	Round  int           `help:"Faults after which everything is read back and the histories are judged." default:"20"`
	Nodes  int           `help:"Nodes of the cluster." default:"3"`
	Bin    string        `help:"Folder of the binaries node and gateway (default: that of bench)." type:"path"`
	InSync time.Duration `name:"in-sync" help:"How long the cluster may take after a fault until all shards are in sync." default:"60s"`
	Strict bool          `help:"Requests beyond the budget fail the run too."`
	GoOn   bool          `name:"go-on" help:"After something wrong go on with a cluster anew, to see how often each kind of fault fails."`
}

// Run lets faults happen to a cluster of its own, one after the other, and prints what they cost.
func (asked chaosCommand) Run(e ending) error {
	c := asked
	nodes := min(max(c.Nodes, 1), shard.MaxShards)
	files, unknown := openFiles()
	connections, _, tooMany := connectionsFor(c.Connections, filesOf(nodes), files)
	kinds, strange := kindsOf(c.Kinds)
	ring := checkCluster("--nodes", c.Nodes, cells.Shards)
	err := firstOf(checkChaos(c), checkLoad(c.LoadFlags), ring, unknown, tooMany, strange)
	if err != nil {
		return err
	}
	if err = tryFolder("--out", c.Out); err != nil {
		return err
	}
	c.Connections = connections
	list := planTrials(c.Seed, kinds, c.Each, cluster.NodeNames(nodes))
	total := makeTrials(c, workloadOf(c.LoadFlags, "crud"), list, e)
	if total.Clusters == 0 {
		return total.failed
	}
	v := chaosVerdict(total, c.Strict, len(list))
	text, err := json.MarshalIndent(total, "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Join(c.Out, "chaos.json"), append(text, '\n'), 0o644)
	}
	// when the file is there: whoever is to read it may be gone
	fmt.Print(chaosText(total), disksText(total), v.Word, "\n")
	if v.Code == exitWrong || err == nil && v.Code != exitPass {
		return v
	}
	return err
}

// makeTrials starts a cluster whose processes reach each other through proxies, makes trials with it in rounds, and
// returns what they have shown. What is wrong with a cluster, or may lack what its only copy had, is left as it is: the
// rest is made with another one, if it goes on.
func makeTrials(c chaosCommand, w workload, list []trial, e ending) chaosReport {
	l, spent := cluster.Own{End: func() {}}, true
	disks := slices.ContainsFunc(list, func(t trial) bool { return isDisk(t.Kind) })
	total := chaosReport{Began: time.Now(), Seed: c.Seed, Budget: c.Budget,
		Kinds: map[string]faultCost{}, Disks: map[string]diskFaultCost{}, users: map[string]user{}}
	for total.UsersSeed = w.Users; total.Faults < len(list); w.Users++ {
		if spent {
			l.End()
			folder := clusterFolder(c.Out, total.Clusters)
			l = cluster.OpenOwn(cluster.OwnSettings{Nodes: c.Nodes, Shards: cells.Shards, Bin: c.Bin, Dir: folder,
				Disks: disks, Early: e.Early, Running: e.Clusters})
			if l.Err != nil {
				break
			}
			total.Clusters, total.users = total.Clusters+1, map[string]user{}
		}
		before, part := total, roundOf(list[total.Faults:], c.Round)
		round := chaosRound{c: c, own: l, w: w, part: part, early: e.Early, total: total}
		for _, stage := range roundStages {
			round = stage(round)
		}
		total = round.total
		fmt.Printf("%4d of %d faults, %d requests, %d beyond %v, longest %v; %d histories judged, %d wrong\n",
			total.Faults, len(list), total.Requests, total.Beyond, c.Budget, short(total.Max),
			total.Histories.Users, len(total.Wrong))
		spent = len(total.Wrong) > len(before.Wrong) || isLone(part[0].Kind)
		if total.Stopped || len(total.Wrong) > 0 && !c.GoOn || total.Faults == before.Faults {
			break
		}
	}
	if total.failed = l.Err; l.Err == nil && !spent {
		end := chaosEnd{l, total}
		for _, stage := range endStages {
			end = stage(end)
		}
		total = end.total
	}
	switch {
	case errors.Is(l.Err, cluster.ErrProcess):
		total.Wrong = append(total.Wrong, "another cluster: "+l.Err.Error())
	case l.Err != nil && !errors.Is(l.Err, cluster.ErrInterrupted):
		total.Short = append(total.Short, "another cluster: "+l.Err.Error())
	}
	l.End()
	return total
}

// clusterFolder returns the folder of a cluster of a run; the first has no number.
func clusterFolder(out string, number int) string {
	if number == 0 {
		return filepath.Join(out, "cluster")
	}
	return filepath.Join(out, fmt.Sprintf("cluster-%d", number+1))
}

// roundOf returns how many of some trials make a round. A trial that hits the only copy is one by itself.
func roundOf(list []trial, most int) []trial {
	n := slices.IndexFunc(list, func(t trial) bool { return isLone(t.Kind) })
	switch {
	case n == 0:
		return list[:1]
	case n < 0:
		n = len(list)
	}
	return list[:min(n, max(1, most))]
}

// chaosVerdict makes the verdict of a chaos run in which so many faults were wanted.
func chaosVerdict(r chaosReport, strict bool, wanted int) verdict {
	switch {
	case len(r.Wrong) > 0:
		return verdict{Code: exitWrong, Word: "FAIL: something is wrong", Reasons: r.Wrong}
	case len(r.Short) > 0:
		why := "NOT JUDGED: it failed for what this machine lacked: " + r.Short[0]
		return verdict{Code: exitLagged, Word: why, Reasons: r.Short}
	case r.Faults < wanted:
		return verdict{Code: exitUsage, Word: "it was ended early; nothing was wrong until then"}
	case strict && len(r.Lagged) > 0:
		return verdict{Code: exitLagged, Word: words[exitLagged] + ": " + r.Lagged[0], Reasons: r.Lagged}
	case strict && r.Beyond > 0:
		return verdict{Code: exitBudget, Word: words[exitBudget]}
	}
	return verdict{Word: "PASS: nothing acknowledged was lost, and every history is linearizable"}
}

// chaosRound is a round of a chaos run: the load of a cluster while some faults happen to it, and what came of it.
type chaosRound struct {
	c     chaosCommand
	own   cluster.Own
	w     workload
	part  []trial
	early <-chan struct{}
	began time.Time
	job   job
	ran   outcome
	lone  bool // it hits the only copy
	sick  bool // a trial of a disk has failed: what follows from that is not reported
	one   report
	total chaosReport // what the run has shown so far
}

// roundStages make a round, one after the other. The list never changes.
var roundStages = []func(chaosRound) chaosRound{planRound, loadRound, judgeRound, compareRound, sumRound}

// planRound makes the job of a round.
func planRound(r chaosRound) chaosRound {
	j := jobOf(r.c.LoadFlags, r.w, "http://"+r.own.Plan.HTTP, r.c.Rate, 0)
	j.Early, j.Width, j.Show = r.early, time.Second, showPlain(io.Discard)
	if onTerminal(os.Stderr) && !r.c.Quiet {
		j.Show = showPlain(os.Stderr)
	}
	j.Script = trials(r.part, cluster.Site{Plan: r.own.Plan, Do: cluster.PerformBy(r.own.Orders), Limit: r.c.InSync})
	if r.lone = isLone(r.part[0].Kind); r.lone {
		j.Settle = min(j.Settle, loneSettle)
	}
	j.Partial, r.job, r.began = r.lone, j, time.Now()
	return r
}

// loadRound loads the cluster while the faults happen, and reads everything back.
func loadRound(r chaosRound) chaosRound {
	ran := make(chan outcome, 1)
	go runJob(r.job, ran)
	o := <-ran
	for len(r.own.Short) > 0 {
		o.Short = append(o.Short, (<-r.own.Short).Error())
	}
	lacked := errors.Is(o.Err, cluster.ErrOwn)
	switch r.total.Stopped = lacked || errors.Is(o.Err, cluster.ErrInterrupted); {
	case lacked:
		o.Short = append(o.Short, o.Err.Error())
	case o.Err != nil && !r.total.Stopped:
		r.total.Wrong = append(r.total.Wrong, o.Err.Error())
	}
	r.ran, r.sick = o, errors.Is(o.Err, errDisk)
	died := cluster.PerformBy(r.own.Orders)(cluster.Step{Kind: cluster.FaultLook})
	if died != nil && !r.sick {
		r.total.Wrong = append(r.total.Wrong, died.Error())
	}
	return r
}

// judgeRound judges the answers.
func judgeRound(r chaosRound) chaosRound {
	r.one = assess(assessment{ran: r.ran, job: r.job, flags: r.c.LoadFlags, began: r.began})
	return r
}

// compareRound compares the digests of both replicas of all shards.
func compareRound(r chaosRound) chaosRound {
	if unserved := r.lone && r.ran.Back.Unread > 0; r.sick || unserved {
		return r
	}
	if d := compareDigests(r.own.Plan.Addrs, r.job.Settle); d.Err != nil || len(d.Unequal) > 0 {
		r.total.Wrong = append(r.total.Wrong, fmt.Sprintf("digests differ: %v %v", d.Unequal, d.Err))
	}
	return r
}

// sumRound adds a round to what the run has shown.
func sumRound(r chaosRound) chaosRound {
	for id, u := range r.ran.Back.Users {
		r.total.users[id] = u
	}
	r.total = addRound(r.total, r.one, r.ran.Stalls)
	return r
}

// chaosEnd is the end of a chaos run, with the cluster that is left.
type chaosEnd struct {
	own   cluster.Own
	total chaosReport
}

// endStages end a chaos run, one after the other. The list never changes.
var endStages = []func(chaosEnd) chaosEnd{walkEnd, compareEnd}

// walkEnd holds what was read back in all rounds against the whole list of users.
func walkEnd(e chaosEnd) chaosEnd {
	e.total.Users = len(e.total.users)
	if e.total.Stopped {
		return e
	}
	c := newClient("http://"+e.own.Plan.HTTP, 1, true, pageTimeout, time.Now())
	defer c.Close()
	if listed := walkUsers(c, e.total.users, 0); listed != "" && len(e.total.Wrong) == 0 {
		e.total.Wrong = append(e.total.Wrong, "in the end: "+listed)
	}
	return e
}

// compareEnd compares all digests.
func compareEnd(e chaosEnd) chaosEnd {
	d := compareDigests(e.own.Plan.Addrs, pageTimeout)
	if e.total.Digests = digestText(d); d.Err != nil || len(d.Unequal) > 0 {
		e.total.Wrong = append(e.total.Wrong, fmt.Sprintf("digests: %v %v", d.Unequal, d.Err))
	}
	return e
}
