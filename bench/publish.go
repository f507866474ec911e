package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"

	"tandem/bench/cluster"
)

// publish writes a report as JSON, as a page and as percentile curves, prints its text, and returns its verdict. The
// files come first: whoever is to read what is printed may be gone. What fails, or has failed before, is an error, but
// wrong answers remain wrong answers.
func publish(r report, dir, text string, failed error) error {
	for name, write := range map[string]func(report) (string, error){"report.html": pageOf, "latency.hgrm": curveText} {
		content, err := write(r)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644)
		}
		failed = errors.Join(failed, err)
	}
	err := writeJSON(r, filepath.Join(dir, "report.json"))
	var bad verdict
	if err != nil && !errors.As(err, &bad) {
		failed = errors.Join(failed, err)
	}
	fmt.Printf("%s\nreports: %s, report.json, latency.hgrm\n", text, filepath.Join(dir, "report.html"))
	if failed != nil {
		cluster.Tell("bench: the reports: %v\n", failed)
		if err = failed; r.Verdict.Code == exitWrong {
			err = r.Verdict
		}
	}
	return err
}

// curveText is the percentile curve of a run in the format of HdrHistogram, in milliseconds.
func curveText(r report) (string, error) {
	if r.Whole == nil {
		return "", nil
	}
	var b strings.Builder
	_, err := hdrhistogram.Import(r.Whole).PercentilesPrint(&b, 5, 1000)
	return b.String(), err
}

// oldReport reads the report of an earlier run.
func oldReport(path string) (report, error) {
	var old report
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &old)
	}
	if err == nil && len(old.Operations) == 0 {
		err = fmt.Errorf("%w: there are no operations in it", errSettings)
	}
	if err != nil {
		return old, fmt.Errorf("the report to compare with, %s: %w", path, err)
	}
	return old, nil
}

// compareWith prints how a run stands to an earlier one: latencies, rates and late requests as ratios of new to old.
func compareWith(r report, path string) (string, error) {
	old, err := oldReport(path)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\ncompared with %s of %s (new : old)\n", path, old.Began.Format("2006-01-02 15:04"))
	fmt.Fprintf(&b, "  %-12s rate %s  beyond the budget %d : %d\n", "all", ratio(r.Rate, old.Rate), r.Budget.Beyond,
		old.Budget.Beyond)
	for _, o := range r.Operations {
		for _, was := range old.Operations {
			if o.Phase == was.Phase && o.Kind == was.Kind {
				n, w := o.Intended, was.Intended
				fmt.Fprintf(&b, "  %-12s p50 %s  p99 %s  max %s\n", o.Phase+" "+o.Kind,
					ratio(float64(n.P50), float64(w.P50)), ratio(float64(n.P99), float64(w.P99)),
					ratio(float64(n.Max), float64(w.Max)))
			}
		}
	}
	return b.String(), nil
}

// ratio is one number over another.
func ratio(a, b float64) string {
	if b == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", a/b)
}
