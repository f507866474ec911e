package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"tandem/bench/cluster"
	"tandem/shard"
)

// errSettings is the class of settings that do not fit together.
var errSettings = errors.New("bad settings")

// LoadFlags are the settings of a load, of run and chaos alike.
type LoadFlags struct {
	Records      uint64        `help:"Users that are created before the mix begins." default:"10000"`
	Keys         string        `help:"How users are chosen: uniform, zipfian or latest (default: as the mix has it)." enum:",uniform,zipfian,latest" default:""`
	Size         int           `help:"Least length of a user's name in bytes." default:"0"`
	Seed         uint64        `help:"Same seed, same operations." default:"1"`
	UsersSeed    uint64        `name:"users-seed" help:"Same seed, same users; 0 is a new one each time, so that no two runs share users." default:"0"`
	Connections  int           `help:"Requests, and connections, that may be under way at once; 0: 4096, or what the limit of open files allows." default:"0"`
	KeepAlive    bool          `name:"keep-alive" help:"Use connections again." default:"true" negatable:""`
	Timeout      time.Duration `help:"After which an answer is given up." default:"1s"`
	Budget       time.Duration `help:"Within which every request is to be answered." default:"250ms"`
	MostStall    time.Duration `name:"most-stall" help:"The longest stall of the generator itself with which a run is still judged." default:"100ms"`
	Probe        string        `help:"A folder on the disk of the nodes: late requests do not count that were under way while the disk itself stood still." type:"existingdir"`
	MostSync     time.Duration `name:"most-sync" help:"A small synced write to the probed disk that takes longer is a stall of it." default:"100ms"`
	Settle       time.Duration `help:"How long the cluster may take until every user of the load is created, and in the end until every user can be read back." default:"30s"`
	CheckTimeout time.Duration `name:"check-timeout" help:"For the check of one user's history; what takes longer is not decided." default:"20s"`
	Out          string        `help:"Folder for the results." default:"results" type:"path"`
	Quiet        bool          `help:"No progress."`
}

// runCommand loads a cluster and judges it.
type runCommand struct {
	LoadFlags
	Target       string            `help:"URL of the gateway (default: http://127.0.0.1:8080)."`
	Rate         string            `help:"Operations a second, or max: search the highest that keeps the budget." default:"1000"`
	Duration     time.Duration     `help:"How long the mix runs; of each try with --rate max." default:"60s"`
	Mix          string            `help:"crud, or one of YCSB's core workloads a, b, c, d, e, f." enum:"crud,a,b,c,d,e,f" default:"crud"`
	Phases       string            `help:"Which phases: load, run, or both. Without load give the users' seed and number of the run that has loaded." default:"load,run"`
	Check        bool              `help:"Keep every history, judge it and read all users back." default:"true" negatable:""`
	Shared       bool              `help:"Others write at the same time: counts and lists are not judged."`
	Fault        string            `help:"${faultHelp}" placeholder:"'kill db-1 at 10s; …'"`
	FaultCommand map[string]string `name:"fault-command" help:"Shell command that does a kind of fault, such as kill='docker-compose kill {node}'." mapsep:"none"`
	FaultNodes   []string          `name:"fault-nodes" help:"Nodes that random faults choose from, when commands do them (default: db-0,db-1,db-2)."`
	Cluster      bool              `help:"Start a cluster of its own, and take it away at the end."`
	Nodes        int               `help:"Nodes of the own cluster (default: 3)."`
	Bin          string            `help:"Folder of the binaries node and gateway (default: that of bench)." type:"path"`
	Compare      string            `help:"Print the ratios to an earlier run's report.json." type:"existingfile"`
}

// checkRun returns the rate, 0 for a search, or what is wrong with the settings.
func checkRun(c runCommand) (rate float64, err error) {
	search := c.Rate == "max"
	if !search {
		rate, err = strconv.ParseFloat(c.Rate, 64)
	}
	refuse := func(format string, a ...any) (float64, error) {
		return 0, fmt.Errorf("%w: "+format, append([]any{errSettings}, a...)...)
	}
	switch {
	case err != nil || !search && !(rate > 0 && rate <= kneeMost):
		return refuse("--rate: expected a number up to %.0f or max, found %q", kneeMost, c.Rate)
	case !slices.Contains([]string{phaseLoad, phaseRun, phaseLoad + "," + phaseRun}, c.Phases):
		return refuse("--phases: expected load, run or load,run, found %q", c.Phases)
	case c.Duration <= 0 || c.Duration > longestRun:
		return refuse("--duration: expected a time of more than 0 and at most %v, found %v", longestRun, c.Duration)
	case !search && rate*c.Duration.Seconds() < 1:
		return refuse("--rate %s for %v is less than one operation", c.Rate, c.Duration)
	case c.Phases == phaseRun && c.UsersSeed == 0:
		return refuse("--phases run needs the --users-seed (and --records) of the run that has loaded; its report names them")
	case search && (c.Fault != "" || c.Compare != "" || c.Phases == phaseLoad):
		return refuse("--rate max goes with neither --fault nor --compare, and needs the run phase")
	}
	if c.Compare != "" {
		_, err = oldReport(c.Compare)
	}
	return rate, err
}

// runPlan is what the settings of a run come to: a rate of 0 is a search for it; Fewer says why there are fewer
// connections than usual.
type runPlan struct {
	Target string
	Rate   float64
	Steps  []cluster.Step
	Fewer  string
}

// checkCommands tells which step of a timeline nobody could do.
func checkCommands(c runCommand, steps []cluster.Step) error {
	for _, s := range steps {
		if !c.Cluster && c.FaultCommand[s.Kind] == "" {
			return fmt.Errorf("%w: %s needs --cluster or --fault-command %s='…{node}…'", errSettings, s.Text(), s.Kind)
		}
	}
	return nil
}

// workloadOf makes the workload of some settings.
func workloadOf(f LoadFlags, mixName string) workload {
	w := workload{Seed: f.Seed, Users: f.UsersSeed, Records: max(1, f.Records), Mix: recipes[mixName], Keys: f.Keys,
		Size: f.Size}
	if w.Keys == "" {
		w.Keys = w.Mix.Keys
	}
	if w.Users == 0 {
		w.Users = rand.Uint64()>>32 + 1
	}
	if w.Keys != "uniform" {
		w.Zipf = newZipf(w.Records)
	}
	return w
}

// jobOf makes the job of some settings.
func jobOf(f LoadFlags, w workload, target string, rate float64, length time.Duration) job {
	width := 100 * time.Millisecond
	for length/width > 400 {
		width *= 2
	}
	return job{Target: target, Workload: w, Rate: rate, Duration: length, Timeout: f.Timeout, Budget: f.Budget,
		Width: width, Settle: f.Settle,
		Probe: f.Probe, MostSync: f.MostSync,
		Connections: max(1, f.Connections), KeepAlive: f.KeepAlive, Load: true, Mixed: true, Check: true, Beat: realBeat}
}

// Run makes the run, prints what came of it, writes the reports, and returns its verdict. What is wrong with the
// settings is told before anything is done.
func (asked runCommand) Run(e ending) error {
	c, names, own := asked, asked.FaultNodes, 0
	switch {
	case c.Cluster:
		c.Nodes = cmp.Or(c.Nodes, cells.Nodes)
		own, names = min(c.Nodes, shard.MaxShards), cluster.NodeNames(min(c.Nodes, shard.MaxShards))
	case len(names) == 0:
		names = cluster.NodeNames(cells.Nodes)
	}
	p, wrong := runPlan{}, [5]error{}
	p.Rate, wrong[0] = checkRun(c)
	p.Target, wrong[1] = parseTarget(cmp.Or(c.Target, localTarget))
	p.Steps, wrong[2] = parseFaults(c.Fault, c.Seed, names, c.Duration)
	files, unknown := openFiles()
	c.Connections, p.Fewer, wrong[3] = connectionsFor(c.Connections, filesOf(own), files)
	if c.Cluster {
		wrong[4] = checkCluster("--nodes", c.Nodes, cells.Shards)
	}
	need := memoryOf(p.Rate*c.Duration.Seconds(), c.Records, c.Check && p.Rate > 0)
	err := firstOf(checkTogether(c), wrong[0], checkLoad(c.LoadFlags), wrong[1], wrong[2], checkCommands(c, p.Steps),
		wrong[4], unknown, wrong[3], checkMemory(need, memoryHere()))
	if err == nil {
		err = tryFolder("--out", c.Out)
	}
	if err == nil && c.Probe != "" {
		err = tryFolder("--probe", c.Probe)
	}
	if err != nil {
		return err
	}
	// of an earlier run
	if err = os.Remove(filepath.Join(c.Out, violationPage)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	l, r := cluster.Own{End: func() {}}, targetRun{c: c, plan: p, early: e.Early, do: performWith(c.FaultCommand)}
	if c.Cluster {
		folder := filepath.Join(c.Out, "cluster")
		l = cluster.OpenOwn(cluster.OwnSettings{Nodes: c.Nodes, Shards: cells.Shards, Bin: c.Bin, Dir: folder,
			Early: e.Early, Running: e.Clusters})
		r.plan.Target, r.do, r.lacked = "http://"+l.Plan.HTTP, cluster.PerformBy(l.Orders), l.Short
	}
	defer l.End()
	r.err = l.Err
	stages := runStages
	if c.Rate == "max" {
		stages = searchStages
	}
	for _, stage := range stages {
		if r.err == nil {
			r = stage(r)
		}
	}
	return r.err
}

// targetRun is a run against a target that is there.
type targetRun struct {
	c      runCommand
	plan   runPlan
	early  <-chan struct{}
	do     cluster.Perform // does the faults
	lacked <-chan error    // what the proxies of an own cluster lacked
	job    job
	began  time.Time
	ran    outcome
	found  search
	report report
	err    error // ends the run; in the end its verdict
}

// runStages make a run and judge it, searchStages look for the highest rate instead. The lists never change.
var (
	runStages    = []func(targetRun) targetRun{planJob, loadTarget, judgeRun, publishRun}
	searchStages = []func(targetRun) targetRun{planJob, searchKnee, printKnee}
)

// planJob makes the job of a run.
func planJob(r targetRun) targetRun {
	c, p := r.c, r.plan
	j := jobOf(c.LoadFlags, workloadOf(c.LoadFlags, c.Mix), p.Target, p.Rate, c.Duration)
	j.Load, j.Mixed = c.Phases != phaseRun, c.Phases != phaseLoad
	j.Check, j.Shared = c.Check, c.Shared
	if j.Early, j.Fewer = r.early, p.Fewer; !j.Load {
		j.Workload.Numbers = rand.Uint64() >> 28
	}
	j.Show = showTo(c.Quiet, map[string]int64{phaseLoad: int64(j.Workload.Records),
		phaseRun: int64(p.Rate * c.Duration.Seconds())})
	if len(p.Steps) > 0 {
		j.Script = timeline(p.Steps, r.do)
	}
	r.job = j
	return r
}

// loadTarget makes the run.
func loadTarget(r targetRun) targetRun {
	ran := make(chan outcome, 1)
	r.began = time.Now()
	go runJob(r.job, ran)
	r.ran = <-ran
	if errors.Is(r.ran.Err, errTarget) || errors.Is(r.ran.Err, cluster.ErrOwn) {
		r.err = r.ran.Err
	}
	for r.err == nil && len(r.lacked) > 0 {
		r.ran.Short = append(r.ran.Short, (<-r.lacked).Error())
	}
	return r
}

// judgeRun judges the answers.
func judgeRun(r targetRun) targetRun {
	r.report = assess(assessment{ran: r.ran, job: r.job, flags: r.c.LoadFlags, began: r.began})
	if r.report.Histories.Unknown > 0 && isClosed(r.early) {
		r.ran.Err = cluster.ErrInterrupted
	}
	if r.c.Cluster {
		r.ran.Died = r.do(cluster.Step{Kind: cluster.FaultLook})
	}
	r.report.Verdict = amend(r.report.Verdict, r.c, r.ran)
	return r
}

// publishRun prints what came of the run and writes the reports.
func publishRun(r targetRun) targetRun {
	r.report.Title = titleOf(r.c.Mix, r.plan.Rate, r.plan.Steps)
	r.report.Settings = settingsOf(r.c, r.plan.Target, r.job.Workload)
	text, failed := textOf(r.report), error(nil)
	if r.c.Compare != "" {
		compared, err := compareWith(r.report, r.c.Compare)
		text, failed = text+compared, err
	}
	r.err = publish(r.report, r.c.Out, text, failed)
	return r
}

// amend returns the verdict of a run with what spoilt it.
func amend(v verdict, c runCommand, o outcome) verdict {
	early := errors.Is(o.Err, cluster.ErrInterrupted)
	failure, short := loadFailure(c, o), len(o.Tally.Own)+len(o.Short) > 0 || o.Slept > 0
	switch {
	case o.Died != nil:
		return verdict{exitWrong, "FAIL: a process of the cluster died by itself", append(v.Reasons, o.Died.Error())}
	case early && v.Code != exitWrong:
		return verdict{exitUsage, "NOT JUDGED: it was ended early", v.Reasons}
	case failure != "" && v.Code == exitLagged && short:
		return verdict{v.Code, v.Word, append(v.Reasons, failure)}
	case failure != "":
		return verdict{exitUsage, "NOT JUDGED: " + failure, v.Reasons}
	case v.Code == exitWrong || o.Err == nil:
		return v
	}
	return verdict{exitUsage, "NOT JUDGED: " + o.Err.Error(), v.Reasons}
}

// loadFailure says why the users of a load are not what the run was to begin with, "" if they are.
func loadFailure(c runCommand, o outcome) string {
	load := o.Tally.Groups[groupKey{phaseLoad, opCreate}]
	there := load.Outcomes["status 409"] // each create that failed may be one: it was done, and found at the next try
	switch {
	case there > load.Failed && c.UsersSeed != 0:
		return fmt.Sprintf("%d users of --users-seed %d were there before; give another one, or --phases run", there,
			c.UsersSeed)
	case o.Missing > 0:
		return fmt.Sprintf("%d users of the load could not be created within %v", o.Missing, c.Settle)
	}
	return ""
}

// printKnee prints and writes what a search has found.
func printKnee(r targetRun) targetRun {
	s := r.found
	if errors.Is(s.Err, errTarget) || errors.Is(s.Err, cluster.ErrOwn) && len(s.Tries) <= 1 {
		r.err = s.Err
		return r
	}
	made := report{Title: "highest rate within the budget, mix " + r.c.Mix, Began: time.Now(),
		Settings: settingsOf(r.c, r.job.Target, r.job.Workload), Knee: s.Tries}
	_, made.Verdict = judgeKnee(s)
	r.err = writeJSON(made, filepath.Join(r.c.Out, "knee.json"))
	fmt.Println(made.Verdict.Word)
	return r
}

// titleOf names a run.
func titleOf(mixName string, rate float64, steps []cluster.Step) string {
	title := fmt.Sprintf("%s at %.0f operations/s", recipes[mixName].About, rate)
	if len(steps) > 0 {
		title += fmt.Sprintf(" with %d faults", len(steps))
	}
	return title
}

// settingsOf are the settings that a run can be repeated with.
func settingsOf(c runCommand, target string, w workload) map[string]string {
	all := map[string]string{"target": target, "rate": c.Rate, "duration": c.Duration.String(), "mix": c.Mix,
		"records": strconv.FormatUint(w.Records, 10),
		"keys":    w.Keys, "size": strconv.Itoa(w.Size), "seed": strconv.FormatUint(w.Seed, 10),
		"users-seed":  strconv.FormatUint(w.Users, 10),
		"connections": strconv.Itoa(c.Connections), "keep-alive": strconv.FormatBool(c.KeepAlive),
		"timeout": c.Timeout.String(), "budget": c.Budget.String(), "fault": c.Fault, "phases": c.Phases,
		"check": strconv.FormatBool(c.Check), "shared": strconv.FormatBool(c.Shared),
		"most-stall": c.MostStall.String(), "probe": c.Probe, "most-sync": c.MostSync.String(),
		"settle": c.Settle.String(), "check-timeout": c.CheckTimeout.String(), "cluster": strconv.FormatBool(c.Cluster)}
	if c.Cluster {
		all["nodes"] = strconv.Itoa(c.Nodes)
	}
	for _, kind := range slices.Collect(maps.Keys(c.FaultCommand)) {
		all["fault-command "+kind] = c.FaultCommand[kind]
	}
	return all
}
