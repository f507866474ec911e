package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"time"
)

// pageText is the page of a report; it refers to nothing outside of it.
//
//go:embed report.html.tmpl
var pageText string

// secondsOf is a time on the axis.
func secondsOf(d time.Duration) float64 { return d.Seconds() }

// timeTicks marks the axis of time every so many seconds.
func timeTicks(length float64) []tick {
	step := 1.0
	for i := 0; length/step > 12; i++ {
		step *= []float64{2, 2.5, 2}[i%3]
	}
	list := []tick{}
	for at := 0.0; at <= length; at += step {
		list = append(list, tick{at, fmt.Sprintf("%g s", at)})
	}
	return list
}

// chartsOf are the charts of latency and throughput over time, and the percentile curve.
func chartsOf(r report) []chart {
	if len(r.Timeline) == 0 {
		return nil
	}
	length := max(r.Seconds[phaseRun], secondsOf(r.Timeline[len(r.Timeline)-1].At))
	width := max(secondsOf(r.Width), 1e-3)
	latency := chart{Title: "Latency from the intended start, over time (log)", Unit: " ms", Log: true, To: length,
		Limit: float64(r.Budget.Budget) / 1e6, Ticks: timeTicks(length)}
	flow := chart{Title: "Requests a second, over time", To: length, Ticks: latency.Ticks}
	top, p99, p50 := series{Name: "longest", Class: "a"}, series{Name: "p99", Class: "b"},
		series{Name: "median", Class: "c"}
	good, failed := series{Name: "answered", Class: "c"}, series{Name: "failed", Class: "a"}
	for _, m := range r.Timeline {
		at := secondsOf(m.At)
		top.X, top.Y = append(top.X, at), append(top.Y, float64(m.Max)/1e6)
		p99.X, p99.Y = append(p99.X, at), append(p99.Y, float64(m.P99)/1e6)
		p50.X, p50.Y = append(p50.X, at), append(p50.Y, float64(m.P50)/1e6)
		good.X, good.Y = append(good.X, at), append(good.Y, float64(m.OK)/width)
		failed.X, failed.Y = append(failed.X, at), append(failed.Y, float64(m.Failed)/width)
	}
	for _, f := range r.Faults {
		latency.Marks = append(latency.Marks, tick{secondsOf(f.At), f.Text})
	}
	for _, s := range r.Stalls {
		latency.Bands = append(latency.Bands, [2]float64{secondsOf(s.From - r.From), secondsOf(s.To - r.From)})
	}
	latency.Series, flow.Series, flow.Marks = []series{p50, p99, top}, []series{good, failed}, latency.Marks
	curve := chart{Title: "Percentiles of the latency (log)", Unit: " ms", Log: true, To: 5.2, Limit: latency.Limit}
	intended, service := series{Name: "intended start", Class: "a"}, series{Name: "send", Class: "b"}
	for _, p := range r.Curve {
		at := min(5.2, -math.Log10(max(1e-9, 1-p.At/100))) // nines
		intended.X, intended.Y = append(intended.X, at), append(intended.Y, float64(p.Intended)/1e6)
		service.X, service.Y = append(service.X, at), append(service.Y, float64(p.Service)/1e6)
	}
	curve.Ticks = []tick{{0, "0 %"}, {0.30103, "50 %"}, {1, "90 %"}, {2, "99 %"}, {3, "99.9 %"}, {4, "99.99 %"},
		{5, "99.999 %"}}
	curve.Series = []series{intended, service}
	return []chart{latency, flow, curve}
}

// pageOf is a report as one page that needs nothing else.
func pageOf(r report) (string, error) {
	t, err := template.New("report").Funcs(template.FuncMap{"ms": ms, "short": short}).Parse(pageText)
	if err != nil {
		return "", err
	}
	drawn := []template.HTML{}
	for _, c := range chartsOf(r) {
		drawn = append(drawn, drawChart(c))
	}
	var b bytes.Buffer
	err = t.Execute(&b, struct {
		report
		Charts []template.HTML
		Pass   bool
	}{r, drawn, r.Verdict.Code == exitPass})
	return b.String(), err
}
