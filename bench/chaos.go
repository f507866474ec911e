package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"tandem/bench/cluster"
	"tandem/shard"
)

// ChaosCommand lets nodes and their disks fail at random moments under load.
type ChaosCommand struct {
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
func (asked ChaosCommand) Run(e ending) error {
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
	list, made := planTrials(c.Seed, kinds, c.Each, cluster.NodeNames(nodes)), make(chan chaosReport, 1)
	go makeTrials(c, list, e, made)
	total := <-made
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
// sends what they have shown. What is wrong with a cluster, or may lack what its only copy had, is left as it is: the
// rest is made with another one, if it goes on.
func makeTrials(c ChaosCommand, list []trial, e ending, out chan<- chaosReport) {
	l, spent := cluster.Own{End: func() {}}, true
	disks := slices.ContainsFunc(list, func(t trial) bool { return isDisk(t.Kind) })
	total := chaosReport{Began: time.Now(), Seed: c.Seed, Budget: c.Budget,
		Kinds: map[string]faultCost{}, Disks: map[string]diskFaultCost{}, users: map[string]user{}}
	w := workloadOf(c.LoadFlags, "crud")
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
		done, before, part := make(chan chaosReport, 1), total, roundOf(list[total.Faults:], c.Round)
		go chaosRound(c, l, w, part, total, e.Early, done)
		total = <-done
		fmt.Printf("%4d of %d faults, %d requests, %d beyond %v, longest %v; %d histories judged, %d wrong\n",
			total.Faults, len(list), total.Requests, total.Beyond, c.Budget, short(total.Max),
			total.Histories.Users, len(total.Wrong))
		spent = len(total.Wrong) > len(before.Wrong) || isLone(part[0].Kind)
		if total.Stopped || len(total.Wrong) > 0 && !c.GoOn || total.Faults == before.Faults {
			break
		}
	}
	if total.failed = l.Err; l.Err == nil && !spent {
		ended := make(chan chaosReport, 1)
		go endChaos(total, l, ended)
		total = <-ended
	}
	switch {
	case errors.Is(l.Err, cluster.ErrProcess):
		total.Wrong = append(total.Wrong, "another cluster: "+l.Err.Error())
	case l.Err != nil && !errors.Is(l.Err, cluster.ErrInterrupted):
		total.Short = append(total.Short, "another cluster: "+l.Err.Error())
	}
	l.End()
	out <- total
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

// chaosRound loads the cluster while some faults happen, reads everything back, judges the histories and adds it all to
// a report.
func chaosRound(c ChaosCommand, l cluster.Own, w workload, part []trial, r chaosReport, early <-chan struct{},
	out chan<- chaosReport) {
	j := jobOf(c.LoadFlags, w, "http://"+l.Plan.HTTP, c.Rate, 0)
	j.Early, j.Width, j.Show = early, time.Second, showTo(c.Quiet || !onTerminal(os.Stderr), nil)
	if onTerminal(os.Stderr) && !c.Quiet {
		j.Show = showPlain(os.Stderr)
	}
	j.Script = trials(part, cluster.Site{Plan: l.Plan, Do: cluster.PerformBy(l.Orders), Limit: c.InSync})
	lone := isLone(part[0].Kind)
	if j.Partial = lone; lone {
		j.Settle = min(j.Settle, loneSettle)
	}
	ran, made, began := make(chan outcome, 1), make(chan report, 1), time.Now()
	go runJob(j, ran)
	o := <-ran
	for len(l.Short) > 0 {
		o.Short = append(o.Short, (<-l.Short).Error())
	}
	lacked := errors.Is(o.Err, cluster.ErrOwn)
	switch r.Stopped = lacked || errors.Is(o.Err, cluster.ErrInterrupted); {
	case lacked:
		o.Short = append(o.Short, o.Err.Error())
	case o.Err != nil && !r.Stopped:
		r.Wrong = append(r.Wrong, o.Err.Error())
	}
	sick := errors.Is(o.Err, errDisk) // of what follows from that no more is said
	if died := cluster.PerformBy(l.Orders)(cluster.Step{Kind: cluster.FaultLook}); died != nil && !sick {
		r.Wrong = append(r.Wrong, died.Error())
	}
	go assess(o, j, c.LoadFlags, began, made)
	one, compared := <-made, make(chan digests, 1)
	if unserved := lone && o.Back.Unread > 0; sick || unserved {
		compared <- digests{}
	} else {
		go compareDigests(l.Plan.Addrs, j.Settle, compared)
	}
	if d := <-compared; d.Err != nil || len(d.Unequal) > 0 {
		r.Wrong = append(r.Wrong, fmt.Sprintf("digests differ: %v %v", d.Unequal, d.Err))
	}
	for id, u := range o.Back.Users {
		r.users[id] = u
	}
	out <- addRound(r, one, o.Stalls)
}

// endChaos holds what was read back in all rounds against the whole list of users, and compares all digests.
func endChaos(r chaosReport, l cluster.Own, out chan<- chaosReport) {
	walked, compared := make(chan string, 1), make(chan digests, 1)
	c := newClient("http://"+l.Plan.HTTP, 1, true, pageTimeout, time.Now())
	defer c.Close()
	if r.Stopped {
		walked <- ""
	} else {
		go walkUsers(c, r.users, 0, walked)
	}
	if listed := <-walked; listed != "" && len(r.Wrong) == 0 && !r.Stopped {
		r.Wrong = append(r.Wrong, "in the end: "+listed)
	}
	go compareDigests(l.Plan.Addrs, pageTimeout, compared)
	d := <-compared
	if r.Digests = digestText(d); d.Err != nil || len(d.Unequal) > 0 {
		r.Wrong = append(r.Wrong, fmt.Sprintf("digests: %v %v", d.Unequal, d.Err))
	}
	r.Users = len(r.users)
	out <- r
}
