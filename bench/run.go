package main

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
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
	Connections  int           `help:"Requests, and connections, that may be under way at once." default:"4096"`
	KeepAlive    bool          `name:"keep-alive" help:"Use connections again." default:"true" negatable:""`
	Timeout      time.Duration `help:"After which an answer is given up." default:"1s"`
	Budget       time.Duration `help:"Within which every request is to be answered." default:"250ms"`
	MostStall    time.Duration `name:"most-stall" help:"The longest stall of the generator itself with which a run is still judged." default:"100ms"`
	Probe        string        `help:"A folder on the disk of the nodes: late requests do not count that were under way while the disk itself stood still." type:"existingdir"`
	MostSync     time.Duration `name:"most-sync" help:"A small synced write to the probed disk that takes longer is a stall of it." default:"100ms"`
	Settle       time.Duration `help:"How long the cluster may take in the end until every user can be read back." default:"30s"`
	CheckTimeout time.Duration `name:"check-timeout" help:"For the check of one user's history; what takes longer is not decided." default:"20s"`
	Out          string        `help:"Folder for the results." default:"results" type:"path"`
	Quiet        bool          `help:"No progress."`
}

// RunCommand loads a cluster and judges it.
type RunCommand struct {
	LoadFlags
	Target       string            `help:"URL of the gateway." default:"http://127.0.0.1:8080"`
	Rate         string            `help:"Operations a second, or max: search the highest that keeps the budget." default:"1000"`
	Duration     time.Duration     `help:"How long the mix runs; of each try with --rate max." default:"60s"`
	Mix          string            `help:"crud, or one of YCSB's core workloads a, b, c, d, e, f." enum:"crud,a,b,c,d,e,f" default:"crud"`
	Phases       string            `help:"Which phases: load, run, or both. Without load give the users' seed and number of the run that has loaded." default:"load,run"`
	Check        bool              `help:"Keep every history, judge it and read all users back." default:"true" negatable:""`
	Shared       bool              `help:"Others write at the same time: counts and lists are not judged."`
	Fault        string            `help:"${faultHelp}" placeholder:"'kill db-1 at 10s; …'"`
	FaultCommand map[string]string `name:"fault-command" help:"Shell command that does a kind of fault, such as kill='docker-compose kill {node}'." mapsep:"none"`
	FaultNodes   []string          `name:"fault-nodes" help:"Nodes that random faults choose from, when commands do them." default:"db-0,db-1,db-2"`
	Cluster      bool              `help:"Start a cluster of its own, and take it away at the end."`
	Nodes        int               `help:"Nodes of the own cluster." default:"3"`
	Bin          string            `help:"Folder of the binaries node and gateway (default: that of bench)." type:"path"`
	Compare      string            `help:"Print the ratios to an earlier run's report.json." type:"existingfile"`
}

// workloadOf makes the workload of some settings.
func workloadOf(f LoadFlags, mixName string) workload {
	w := workload{Seed: f.Seed, Users: f.UsersSeed, Records: max(1, f.Records), Mix: recipes[mixName], Keys: f.Keys, Size: f.Size}
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
	return job{Target: target, Workload: w, Rate: rate, Duration: length, Timeout: f.Timeout, Budget: f.Budget, Width: width, Settle: f.Settle,
		Probe: f.Probe, MostSync: f.MostSync,
		Connections: max(1, f.Connections), KeepAlive: f.KeepAlive, Load: true, Mixed: true, Check: true, Beat: realBeat}
}

// Run makes the run, prints what came of it, writes the reports, and returns its verdict.
func (c RunCommand) Run() error {
	rate, err := strconv.ParseFloat(c.Rate, 64)
	if search := c.Rate == "max"; !search && (err != nil || rate <= 0) {
		return fmt.Errorf("%w: --rate: expected a number or max, found %q", errSettings, c.Rate)
	}
	if c.Duration <= 0 {
		return fmt.Errorf("%w: --duration must be more than 0", errSettings)
	}
	if !c.Cluster && c.Fault != "" && len(c.FaultCommand) == 0 {
		return fmt.Errorf("%w: --fault needs --cluster, or a --fault-command for each kind", errSettings)
	}
	if err = os.MkdirAll(c.Out, 0o755); err != nil {
		return err
	}
	names, do, target := c.FaultNodes, performWith(c.FaultCommand), c.Target
	if c.Cluster {
		own := make(chan lease, 1)
		go openCluster(c.Nodes, c.Bin, filepath.Join(c.Out, "cluster"), own)
		l := <-own
		defer l.End()
		if l.Err != nil {
			return l.Err
		}
		names, do, target = l.Plan.Names, performBy(l.Orders), "http://"+l.Plan.HTTP
	}
	steps, err := parseFaults(c.Fault, c.Seed, names, c.Duration)
	if err != nil {
		return err
	}
	j := jobOf(c.LoadFlags, workloadOf(c.LoadFlags, c.Mix), target, rate, c.Duration)
	j.Load, j.Mixed, j.Check, j.Shared = strings.Contains(c.Phases, phaseLoad), strings.Contains(c.Phases, phaseRun), c.Check, c.Shared
	j.Show = showTo(c.Quiet, map[string]int64{phaseLoad: int64(j.Workload.Records), phaseRun: int64(rate * c.Duration.Seconds())})
	if len(steps) > 0 {
		j.Script = timeline(steps, do)
	}
	if c.Rate == "max" {
		return c.seek(j)
	}
	made := make(chan report, 1)
	began := time.Now()
	ran := make(chan outcome, 1)
	go conduct(j, ran)
	o := <-ran
	if o.Err != nil && !errors.Is(o.Err, errInterrupted) {
		return o.Err
	}
	go assess(o, j, c.LoadFlags, began, made)
	r := <-made
	if o.Err != nil && r.Verdict.Code != exitWrong {
		r.Verdict = verdict{exitUsage, "NOT JUDGED: it was ended early", r.Verdict.Reasons}
	}
	r.Title, r.Settings = titleOf(c.Mix, rate, steps), settingsOf(c, target, j.Workload)
	published := make(chan error, 1)
	go publish(r, c.Out, c.Compare, published)
	return <-published
}

// seek searches the knee and prints it.
func (c RunCommand) seek(j job) error {
	found := make(chan []knee, 1)
	j.Check = false
	go searchKnee(j, c.MostStall, found)
	best := knee{}
	r := report{Title: "highest rate within the budget, mix " + c.Mix, Began: time.Now(), Settings: settingsOf(c, j.Target, j.Workload), Knee: <-found}
	for _, k := range r.Knee {
		if k.Why == "" && k.Rate > best.Rate {
			best = k
		}
	}
	r.Verdict.Word = fmt.Sprintf("knee: %.0f requests/s (%.0f/s done; p99 %v, longest %v)", best.Rate, best.Got, short(best.P99), short(best.Max))
	fmt.Println(r.Verdict.Word)
	if best.Rate == 0 {
		r.Verdict = verdict{exitBudget, "no rate keeps the budget", nil}
	}
	return writeJSON(r, filepath.Join(c.Out, "knee.json"))
}

// titleOf names a run.
func titleOf(mixName string, rate float64, steps []step) string {
	title := fmt.Sprintf("%s at %.0f operations/s", recipes[mixName].About, rate)
	if len(steps) > 0 {
		title += fmt.Sprintf(" with %d faults", len(steps))
	}
	return title
}

// settingsOf are the settings that a run can be repeated with.
func settingsOf(c RunCommand, target string, w workload) map[string]string {
	all := map[string]string{"target": target, "rate": c.Rate, "duration": c.Duration.String(), "mix": c.Mix, "records": strconv.FormatUint(w.Records, 10),
		"keys": w.Keys, "size": strconv.Itoa(w.Size), "seed": strconv.FormatUint(w.Seed, 10), "users-seed": strconv.FormatUint(w.Users, 10),
		"connections": strconv.Itoa(c.Connections), "keep-alive": strconv.FormatBool(c.KeepAlive), "timeout": c.Timeout.String(), "budget": c.Budget.String(), "fault": c.Fault}
	for _, kind := range slices.Collect(maps.Keys(c.FaultCommand)) {
		all["fault-command "+kind] = c.FaultCommand[kind]
	}
	return all
}
