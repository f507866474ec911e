package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tandem/shard"
)

// ChaosCommand lets nodes fail at random moments under load.
type ChaosCommand struct {
	LoadFlags
	Rate   float64       `help:"Operations a second." default:"300"`
	Each   int           `help:"How many faults of each kind." default:"200"`
	Kinds  []string      `help:"Kinds of fault: kill, term, pause, cut (from peers, both ways), oneway, gateway (cut from it), all (kill -9 of all nodes)." default:"kill,term,pause,cut,oneway,gateway,all"`
	Round  int           `help:"Faults after which everything is read back and the histories are judged." default:"20"`
	Nodes  int           `help:"Nodes of the cluster." default:"3"`
	Bin    string        `help:"Folder of the binaries node and gateway (default: that of bench)." type:"path"`
	InSync time.Duration `name:"in-sync" help:"How long the cluster may take after a fault until all shards are in sync." default:"60s"`
	Strict bool          `help:"Requests beyond the budget fail the run too."`
}

// Run starts a cluster whose processes reach each other through proxies, lets faults happen to it, and prints what they cost.
func (asked ChaosCommand) Run(e ending) error {
	c := asked
	nodes := min(max(c.Nodes, 1), shard.MaxShards)
	files, unknown := openFiles()
	connections, _, tooMany := connectionsFor(c.Connections, filesOf(nodes), files)
	err := firstOf(checkChaos(c), checkLoad(c.LoadFlags), checkCluster("--nodes", c.Nodes, cells.Shards), unknown, tooMany)
	if err != nil {
		return err
	}
	list, err := planTrials(c.Seed, c.Kinds, c.Each, nodeNames(nodes))
	if c.Connections = connections; err == nil {
		err = tryFolder("--out", c.Out)
	}
	if err != nil {
		return err
	}
	own := make(chan lease, 1)
	go openCluster(c.Nodes, c.Bin, filepath.Join(c.Out, "cluster"), e, own)
	l := <-own
	defer l.End()
	if l.Err != nil {
		return l.Err
	}
	total := chaosReport{Began: time.Now(), Seed: c.Seed, Budget: c.Budget, Kinds: map[string]toll{}, users: map[string]user{}}
	w := workloadOf(c.LoadFlags, "crud")
	total.UsersSeed = w.Users
	for at := 0; at < len(list) && len(total.Wrong) == 0; at += c.Round {
		done, part := make(chan chaosReport, 1), list[at:min(len(list), at+c.Round)]
		go chaosRound(c, l, w, part, total, e.Early, done)
		total = <-done
		w.Users++
		fmt.Printf("%4d of %d faults, %d requests, %d beyond %v, longest %v; %d histories judged, %d wrong\n", total.Faults, len(list), total.Requests,
			total.Beyond, c.Budget, short(total.Max), total.Histories.Users, len(total.Wrong))
		if total.Stopped {
			break
		}
	}
	ended := make(chan chaosReport, 1)
	go endChaos(total, l, ended)
	total = <-ended
	v := chaosVerdict(total, c.Strict, len(list))
	text, err := json.MarshalIndent(total, "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Join(c.Out, "chaos.json"), append(text, '\n'), 0o644)
	}
	fmt.Print(chaosText(total), v.Word, "\n") // when the file is there: whoever is to read it may be gone
	if v.Code == exitWrong || err == nil && v.Code != exitPass {
		return v
	}
	return err
}

// chaosVerdict makes the verdict of a chaos run in which so many faults were wanted.
func chaosVerdict(r chaosReport, strict bool, wanted int) verdict {
	switch {
	case len(r.Wrong) > 0:
		return verdict{Code: exitWrong, Word: "FAIL: something is wrong", Reasons: r.Wrong}
	case len(r.Short) > 0:
		return verdict{Code: exitLagged, Word: "NOT JUDGED: it failed for what this machine lacked: " + r.Short[0], Reasons: r.Short}
	case r.Faults < wanted:
		return verdict{Code: exitUsage, Word: "it was ended early; nothing was wrong until then"}
	case strict && len(r.Lagged) > 0:
		return verdict{Code: exitLagged, Word: words[exitLagged] + ": " + r.Lagged[0], Reasons: r.Lagged}
	case strict && r.Beyond > 0:
		return verdict{Code: exitBudget, Word: words[exitBudget]}
	}
	return verdict{Word: "PASS: nothing acknowledged was lost, and every history is linearizable"}
}

// chaosRound loads the cluster while some faults happen, reads everything back, judges the histories and adds it all to a report.
func chaosRound(c ChaosCommand, l lease, w workload, part []trial, r chaosReport, early <-chan struct{}, out chan<- chaosReport) {
	j := jobOf(c.LoadFlags, w, "http://"+l.Plan.HTTP, c.Rate, 0)
	j.Early, j.Width, j.Show = early, time.Second, showTo(c.Quiet || !onTerminal(os.Stderr), nil)
	if onTerminal(os.Stderr) && !c.Quiet {
		j.Show = showPlain(os.Stderr)
	}
	j.Script = trials(part, l.Plan.Names, l.Plan.Addrs, performBy(l.Orders), c.InSync)
	ran, made, began := make(chan outcome, 1), make(chan report, 1), time.Now()
	go conduct(j, ran)
	o := <-ran
	for len(l.Short) > 0 {
		o.Short = append(o.Short, (<-l.Short).Error())
	}
	switch r.Stopped = o.Err != nil; {
	case errors.Is(o.Err, errOwn):
		o.Short = append(o.Short, o.Err.Error())
	case r.Stopped && !errors.Is(o.Err, errInterrupted):
		r.Wrong = append(r.Wrong, o.Err.Error())
	}
	if died := performBy(l.Orders)(step{Kind: faultLook}); died != nil {
		r.Wrong = append(r.Wrong, died.Error())
	}
	go assess(o, j, c.LoadFlags, began, made)
	one, compared := <-made, make(chan digests, 1)
	go compareDigests(l.Plan.Addrs, c.Settle, compared)
	d := <-compared
	if d.Err != nil || len(d.Unequal) > 0 {
		r.Wrong = append(r.Wrong, fmt.Sprintf("digests differ: %v %v", d.Unequal, d.Err))
	}
	for id, u := range o.Back.Users {
		r.users[id] = u
	}
	out <- addRound(r, one, o.Stalls)
}

// endChaos holds what was read back in all rounds against the whole list of users, and compares all digests.
func endChaos(r chaosReport, l lease, out chan<- chaosReport) {
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
