package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// chaosReport is what a chaos run has shown so far.
type chaosReport struct {
	Began     time.Time                `json:"began"`
	Seed      uint64                   `json:"seed"`
	UsersSeed uint64                   `json:"usersSeed"`
	Budget    time.Duration            `json:"budget"`
	Faults    int                      `json:"faults"`
	Requests  uint64                   `json:"requests"`
	Beyond    int                      `json:"beyond"`
	Failed    int                      `json:"failed"`
	Explained int                      `json:"explained"`
	Struck    int                      `json:"struck"` // by stalls of the probed disk
	Max       time.Duration            `json:"max"`
	Stall     time.Duration            `json:"longestStall"`
	Kinds     map[string]faultCost     `json:"kinds"`
	Histories checked                  `json:"histories"`
	Counts    int                      `json:"countsChecked"`
	Users     int                      `json:"users"`
	Digests   string                   `json:"digests"`
	Wrong     []string                 `json:"wrong"`
	Short     []string                 `json:"shortages"` // what this machine lacked
	Lagged    []string                 `json:"lagged"`    // why rounds do not judge the budget
	Stopped   bool                     `json:"stopped"`
	Missed    []missed                 `json:"missed"`
	Clusters  int                      `json:"clusters"`
	Disks     map[string]diskFaultCost `json:"disks,omitempty"`
	Trials    []diskTrial              `json:"diskTrials,omitempty"`
	users     map[string]user          // what was read back, for the end
	failed    error                    // why there is no further cluster
}

// faultCost is what the faults of one kind cost, a number for each fault.
type faultCost struct {
	Outages []time.Duration `json:"outages"` // longest time that a part of the users was not answered well
	Gaps    []time.Duration `json:"gaps"`    // longest time without any good answer
	Back    []time.Duration `json:"back"`    // from the fault's end until what ended it was done
	Beyond  int             `json:"beyond"`  // requests late or failed
	Stall   time.Duration   `json:"stall"`   // the harness's own longest stall meanwhile
}

// missed is a fault that made requests late or fail; the times tell where to look in the logs of the processes.
type missed struct {
	Number int           `json:"number"` // in the run, from 1
	Text   string        `json:"text"`
	Began  time.Time     `json:"began"`
	Lasted time.Duration `json:"lasted"` // until what ended it was done
	Outage time.Duration `json:"outage"`
	Gap    time.Duration `json:"gap"`
	Beyond int           `json:"beyond"`
}

// diskFaultCost is what came of the faults of disks of one kind, a number of them each.
type diskFaultCost struct {
	Tried int           `json:"tried"`
	Met   int           `json:"met"`   // the node had to meet it
	Named int           `json:"named"` // it said so
	Ended int           `json:"ended"` // the node ended by itself
	Bad   int           `json:"wrong"`
	Whole time.Duration `json:"whole"` // the longest time until all was in sync
	// how often the data was left as it was, since the node had come to have the only whole copy of a shard; such a
	// trial is not among those that were tried
	Spared int `json:"spared,omitempty"`
}

// diskTrial is one of them.
type diskTrial struct {
	Number int    `json:"number"` // in the run, from 1
	Kind   string `json:"kind"`
	found
}

// addDisks adds what the faults of disks in a round have shown to a report.
func addDisks(r chaosReport, faults []faultReport) chaosReport {
	number := r.Faults
	for _, f := range faults {
		if !f.Heal {
			number++
		}
		if f.Disk == nil {
			continue
		}
		t, count := r.Disks[f.Kind], map[bool]int{true: 1}
		r.Disks[f.Kind] = diskFaultCost{t.Tried + count[f.Disk.Spared == ""], t.Met + count[f.Disk.Must],
			t.Named + count[f.Disk.Named != ""], t.Ended + count[f.Disk.Ended > 0],
			t.Bad + count[len(f.Disk.Wrong) > 0], max(t.Whole, f.Disk.Whole), t.Spared + count[f.Disk.Spared != ""]}
		r.Trials = append(r.Trials, diskTrial{number, f.Kind, *f.Disk})
	}
	return r
}

// disksText is what came of the faults of disks, for a terminal.
func disksText(r chaosReport) string {
	var b strings.Builder
	if len(r.Disks) == 0 {
		return ""
	}
	table := tabwriter.NewWriter(&b, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(table,
		"\nfault of a disk\tnumber\tto be named\tnamed\texited by itself\tfailed\tlongest until in sync\tspared\t\n")
	for _, kind := range slices.Sorted(maps.Keys(r.Disks)) {
		t := r.Disks[kind]
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t%v\t%d\t\n",
			kind, t.Tried, t.Met, t.Named, t.Ended, t.Bad, short(t.Whole), t.Spared)
	}
	_ = table.Flush() // a strings.Builder never fails
	for _, t := range r.Trials {
		for _, why := range t.Wrong {
			fmt.Fprintf(&b, "failed      fault %d, %s: %s (%s)\n", t.Number, t.Kind, why, strings.Join(t.Notes, "; "))
		}
	}
	return b.String()
}

// addRound adds a round to a report. What happens after the end of a fault belongs to it, until the next one.
func addRound(r chaosReport, one report, stalls []stall) chaosReport {
	r.Requests, r.Beyond, r.Failed = r.Requests+one.Budget.Requests, r.Beyond+one.Budget.Beyond, r.Failed+one.Budget.Failed
	r.Explained, r.Struck, r.Counts = r.Explained+one.Generator.Explained, r.Struck+one.Generator.Struck,
		r.Counts+one.Counts
	r.Max, r.Stall = max(r.Max, one.Budget.Max), max(r.Stall, one.Generator.Longest)
	h, n := r.Histories, one.Histories
	r.Histories = checked{h.Users + n.Users, h.Operations + n.Operations, h.Open + n.Open, h.Unknown + n.Unknown,
		h.Illegal + n.Illegal, n.First, n.Page}
	r.Short = append(r.Short, one.Generator.Short...)
	if one.Verdict.Code == exitLagged {
		r.Lagged = append(r.Lagged, one.Verdict.Reasons...)
	}
	if one.Verdict.Code == exitWrong {
		r.Wrong = append(r.Wrong, one.Verdict.Reasons...)
	}
	r = addDisks(r, one.Faults)
	for i, f := range one.Faults {
		if f.Heal {
			continue
		}
		until, t := time.Duration(never), r.Kinds[f.Kind]
		outage, gap := f.Outage, f.Gap
		beyond, lasted := f.Beyond, time.Duration(0)
		for _, after := range one.Faults[i+1:] {
			if !after.Heal {
				until = after.At + one.From
				break
			}
			outage, gap, beyond = max(outage, after.Outage), max(gap, after.Gap), beyond+after.Beyond
			t.Back = append(t.Back, after.Took)
			lasted = after.At + after.Took - f.At
		}
		for _, s := range stalls {
			if s.To > f.At+one.From && s.From < until {
				t.Stall = max(t.Stall, s.To-s.From)
			}
		}
		t.Outages, t.Gaps, t.Beyond = append(t.Outages, outage), append(t.Gaps, gap), t.Beyond+beyond
		r.Kinds[f.Kind] = t
		if r.Faults++; beyond > 0 {
			r.Missed = append(r.Missed, missed{r.Faults, f.Text, one.Began.Add(f.At + one.From), lasted, outage, gap, beyond})
		}
	}
	return r
}

// quantiles returns the median, the 99th percentile and the greatest of some times.
func quantiles(times []time.Duration) [3]time.Duration {
	if len(times) == 0 {
		return [3]time.Duration{}
	}
	sorted := slices.Sorted(slices.Values(times))
	return [3]time.Duration{sorted[(len(sorted)-1)/2], sorted[(len(sorted)-1)*99/100], sorted[len(sorted)-1]}
}

// chaosText is a chaos run for a terminal.
func chaosText(r chaosReport) string {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(table, "\nfault\tnumber\t| part of the users not answered well (ms): p50\tp99\tmax\t| no good answer at all: p50\tp99\tmax\t| beyond %v\town stall\t\n", r.Budget)
	for _, kind := range slices.Sorted(maps.Keys(r.Kinds)) {
		t := r.Kinds[kind]
		o, g := quantiles(t.Outages), quantiles(t.Gaps)
		fmt.Fprintf(table, "%s\t%d\t| %s\t%s\t%s\t| %s\t%s\t%s\t| %d\t%s\t\n", kind, len(t.Outages), ms(o[0]), ms(o[1]),
			ms(o[2]), ms(g[0]), ms(g[1]), ms(g[2]), t.Beyond, ms(t.Stall))
	}
	_ = table.Flush() // a strings.Builder never fails
	for _, m := range r.Missed {
		fmt.Fprintf(&b, "missed      fault %d, %s at %s for %v: %d beyond, a part of the users not answered well for %v, no good answer at all for %v\n", m.Number, m.Text, m.Began.Format("15:04:05.000"), short(m.Lasted), m.Beyond, short(m.Outage), short(m.Gap))
	}
	h := r.Histories
	fmt.Fprintf(&b, "\nrequests    %d; %d beyond %v (%d of them failed, longest %v), %d more explained by the harness's own stalls, the longest %v, and %d by those of the probed disk\n", r.Requests, r.Beyond, r.Budget, r.Failed, short(r.Max), r.Explained, short(r.Stall), r.Struck)
	fmt.Fprintf(&b, "histories   %d users, %d operations, %d writes without an answer: %d not linearizable, %d not decided; %d counts within bounds\n", h.Users, h.Operations, h.Open, h.Illegal, h.Unknown, r.Counts)
	there := "every acknowledged write is there"
	if len(r.Wrong) > 0 || r.Stopped {
		there = "not held against all that was acknowledged"
	}
	fmt.Fprintf(&b, "in the end  %d users, %s\n%s", r.Users, there, r.Digests)
	for _, why := range r.Wrong {
		fmt.Fprintf(&b, "  wrong: %s\n", why)
	}
	return b.String()
}
