package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// report is what a run has shown, as it is kept in JSON. Times are in nanoseconds, moments are since the begin of the
// run phase.
type report struct {
	Title      string             `json:"title"`
	Began      time.Time          `json:"began"`
	Settings   map[string]string  `json:"settings"`
	Verdict    verdict            `json:"verdict"`
	Budget     keeping            `json:"budget"`
	Generator  pace               `json:"generator"`
	Rate       float64            `json:"rate"` // requests a second in the run phase
	Seconds    map[string]float64 `json:"seconds"`
	Operations []operationReport  `json:"operations"`
	Width      time.Duration      `json:"width"` // of a piece of the timeline
	Timeline   []moment           `json:"timeline"`
	Curve      []percentile       `json:"curve"`
	Faults     []faultReport      `json:"faults,omitempty"`
	Stalls     []stall            `json:"stalls,omitempty"`
	Histories  checked            `json:"histories"`
	Counts     int                `json:"countsChecked"`
	ReadBack   string             `json:"readBack,omitempty"`
	// operation → requests by how many nodes they needed
	Touched map[string][]uint64    `json:"nodesTouched,omitempty"`
	Knee    []knee                 `json:"knee,omitempty"`
	From    time.Duration          `json:"from"` // when the run phase began, since the begin of all
	Whole   *hdrhistogram.Snapshot `json:"-"`    // of the run phase, from the intended start
}

// spread is a distribution of latencies.
type spread struct {
	Mean time.Duration `json:"mean"`
	P50  time.Duration `json:"p50"`
	P90  time.Duration `json:"p90"`
	P99  time.Duration `json:"p99"`
	P999 time.Duration `json:"p999"`
	Max  time.Duration `json:"max"`
}

// operationReport is one kind of operation in one phase.
type operationReport struct {
	Phase    string            `json:"phase"`
	Kind     string            `json:"operation"`
	Requests uint64            `json:"requests"`
	Failed   uint64            `json:"failed"`
	Intended spread            `json:"fromIntendedStart"`
	Service  spread            `json:"fromSend"`
	Outcomes map[string]uint64 `json:"outcomes"`
}

// moment is a piece of the timeline.
type moment struct {
	At     time.Duration `json:"at"`
	OK     uint64        `json:"ok"`
	Failed uint64        `json:"failed"`
	Beyond uint64        `json:"beyond"`
	P50    time.Duration `json:"p50"`
	P99    time.Duration `json:"p99"`
	Max    time.Duration `json:"max"`
}

// percentile is a point of the percentile curve.
type percentile struct {
	At       float64       `json:"percentile"`
	Intended time.Duration `json:"fromIntendedStart"`
	Service  time.Duration `json:"fromSend"`
}

// faultReport is a fault and what it did to the answers until the next one.
type faultReport struct {
	event
	Gap    time.Duration `json:"gap"`    // longest time without any good answer
	Outage time.Duration `json:"outage"` // longest time that a part of the users was not answered well
	Max    time.Duration `json:"max"`    // longest latency of a request
	Beyond int           `json:"beyond"`
	Failed int           `json:"failed"`
}

// spreadOf reads a histogram.
func spreadOf(h *hdrhistogram.Histogram) spread {
	at := h.ValueAtPercentilesSlice([]float64{50, 90, 99, 99.9})
	const us = time.Microsecond
	return spread{time.Duration(h.Mean() * 1e3), time.Duration(at[0]) * us, time.Duration(at[1]) * us,
		time.Duration(at[2]) * us, time.Duration(at[3]) * us, time.Duration(h.Max()) * us}
}

// operationsOf makes a line of each group, in the order of phases and kinds.
func operationsOf(groups map[groupKey]group) []operationReport {
	list := []operationReport{}
	for key, g := range groups {
		list = append(list, operationReport{key.Phase, key.Kind, g.Requests, g.Failed, spreadOf(g.Intended),
			spreadOf(g.Service), g.Outcomes})
	}
	phases := []string{phaseLoad, phaseRun, phaseCheck}
	slices.SortFunc(list, func(a, b operationReport) int {
		return cmp.Or(cmp.Compare(slices.Index(phases, a.Phase), slices.Index(phases, b.Phase)),
			strings.Compare(a.Kind, b.Kind))
	})
	return list
}

// timelineOf makes the pieces of the timeline from when the run phase began.
func timelineOf(t tally, from time.Duration) []moment {
	list := []moment{}
	for _, at := range slices.Sorted(maps.Keys(t.Slots)) {
		s := t.Slots[at]
		v := s.Latency.ValueAtPercentilesSlice([]float64{50, 99})
		list = append(list, moment{max(0, time.Duration(at)*t.Width-from), s.OK, s.Failed, s.Beyond, microseconds(v[0]),
			microseconds(v[1]), microseconds(s.Latency.Max())})
	}
	return list
}

// wholeOf adds up the histograms of the run phase: from the intended start, and from the send.
func wholeOf(groups map[groupKey]group) (intended, service *hdrhistogram.Histogram) {
	intended, service = hdrhistogram.New(leastLatency, mostLatency, 3), hdrhistogram.New(leastLatency, mostLatency, 3)
	for key, g := range groups {
		if key.Phase == phaseRun {
			intended.Merge(g.Intended)
			service.Merge(g.Service)
		}
	}
	return intended, service
}

// curveOf makes the percentile curve of the run phase.
func curveOf(groups map[groupKey]group) []percentile {
	intended, service := wholeOf(groups)
	list := []percentile{}
	for _, p := range []float64{0, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99, 99.995, 99.999, 100} {
		list = append(list, percentile{p, microseconds(intended.ValueAtPercentile(p)),
			microseconds(service.ValueAtPercentile(p))})
	}
	return list
}

// faultsOf judges each fault by what was answered from then until the next fault. An outage that no good answer has
// ended goes on to the last request. A fault does not count an outage whose last failed request came before the fault:
// that cell was only not asked again sooner.
func faultsOf(o outcome) []faultReport {
	list := []faultReport{}
	outages, gaps := slices.Clone(o.Tally.Outages), slices.Clone(o.Tally.Gaps)
	outages = slices.AppendSeq(outages, maps.Values(o.Tally.NotOK))
	if last := (stall{o.Tally.LastGood, o.Tally.LastDone}); last.To-last.From > leastGap {
		gaps = append(gaps, last)
	}
	slices.SortStableFunc(o.Events, func(a, b event) int { return cmp.Compare(a.At, b.At) })
	for i, e := range o.Events {
		f, until := faultReport{event: e}, time.Duration(never)
		if i+1 < len(o.Events) {
			until = o.Events[i+1].At
		}
		for _, g := range gaps {
			f.Gap = max(f.Gap, min(g.To, until)-max(g.From, e.At))
		}
		for _, s := range outages {
			if s.Last > e.At {
				f.Outage = max(f.Outage, min(s.To, until)-max(s.From, e.At))
			}
		}
		for _, s := range o.Tally.Late {
			if s.Done <= e.At || s.Done > until {
				continue
			}
			f.Beyond, f.Max = f.Beyond+1, max(f.Max, s.Done-s.Intended)
			if s.Failed {
				f.Failed++
			} else {
				f.Outage = max(f.Outage, s.Done-s.Intended)
			}
		}
		f.At -= o.From
		list = append(list, f)
	}
	return list
}

// touchedOf makes a table of how many nodes the requests of each operation needed.
func touchedOf(touched map[string]map[int]uint64) map[string][]uint64 {
	table := map[string][]uint64{}
	for kind, by := range touched {
		row := make([]uint64, 1+slices.Max(slices.Collect(maps.Keys(by))))
		for n, requests := range by {
			row[n] = requests
		}
		table[kind] = row
	}
	return table
}

// makeReport makes the report of a run from what it has seen and what the checks have shown.
func makeReport(a assessment) assessment {
	o := a.ran
	k, p := judgeBudget(o)
	r := report{Began: a.began, Budget: k, Generator: p, Seconds: o.Seconds, Histories: a.histories, Counts: a.counts,
		Stalls: o.Stalls}
	r.Verdict = conclude(k, p, a.wrong, a.unproven, a.flags.MostStall)
	r.Operations, r.Timeline, r.Curve = operationsOf(o.Tally.Groups), timelineOf(o.Tally, o.From), curveOf(o.Tally.Groups)
	r.Faults, r.Touched = faultsOf(o), touchedOf(o.Tally.Touched)
	intended, _ := wholeOf(o.Tally.Groups)
	r.Whole, r.From, r.Width = intended.Export(), o.From, o.Tally.Width
	if o.Seconds[phaseRun] > 0 {
		r.Rate = float64(k.Requests) / o.Seconds[phaseRun]
	}
	r.ReadBack = inTheEnd(o.Back)
	a.report = r
	return a
}

// inTheEnd says what reading everything back has shown; nothing of what was not asked, as COUNT is not where others
// write too.
func inTheEnd(b returned) string {
	switch {
	case !b.Read:
		return ""
	case b.Listed != "" || b.Unread > 0:
		return fmt.Sprintf("%d users could not be read back; %s", b.Unread, b.Listed)
	}
	text := fmt.Sprintf("%d users of this run are there", b.Present)
	if b.Counted {
		text += fmt.Sprintf(", COUNT says %d", b.Count)
	}
	if b.Walked {
		text += ", each is listed once"
	}
	return text
}
