package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// violationPage is the file that shows the first history that is not linearizable.
const violationPage = "violation.html"

// wrongOf lists what a run shows to be wrong, and what could not be judged.
func wrongOf(o outcome, j job, h checked, counts []string) (wrong, unproven []string) {
	for i, s := range o.Tally.Wrong {
		if i < 5 {
			wrong = append(wrong, fmt.Sprintf("%s %s of %s at %v: %s", s.Phase, s.Op.Kind, s.Op.User.ID,
				short(s.Sent-o.From), s.Wrong))
		}
	}
	if n := len(o.Tally.Wrong); n > 5 {
		wrong = append(wrong, fmt.Sprintf("%d more answers that cannot be", n-5))
	}
	if h.Illegal > 0 {
		wrong = append(wrong,
			fmt.Sprintf("the histories of %d users are not linearizable; the first is %s, drawn in %s", h.Illegal,
				h.First, h.Page))
	}
	wrong = append(wrong, counts...)
	if h.Unknown > 0 {
		unproven = append(unproven,
			fmt.Sprintf("the histories of %d users could not be decided in time (--check-timeout)", h.Unknown))
	}
	b := o.Back
	if b.Read && b.Unread > 0 && !j.Partial {
		unproven = append(unproven, fmt.Sprintf("%d users could not be read back within %v", b.Unread, j.Settle))
	}
	if b.Read && b.Unread == 0 && b.Uncounted != nil {
		unproven = append(unproven, "in the end COUNT was not answered: "+b.Uncounted.Error())
	}
	if b.Counted && j.Load {
		if b.Count != o.Base+b.Present {
			wrong = append(wrong, fmt.Sprintf("in the end COUNT says %d; %d users of this run are there and %d others",
				b.Count, b.Present, o.Base))
		}
		if b.Listed != "" {
			wrong = append(wrong, b.Listed)
		}
	}
	return wrong, unproven
}

// assess checks what a run was answered and sends the report.
func assess(o outcome, j job, f LoadFlags, began time.Time, out chan<- report) {
	h, counts, n := checked{}, []string(nil), 0
	if j.Check {
		done, initial := make(chan checked, 1), believed{Known: j.Load}
		go checkHistories(o.Samples, initial, f.CheckTimeout, filepath.Join(f.Out, violationPage), j.Early, done)
		if !j.Shared {
			counts, n = checkCounts(o.Samples, o.Base)
		}
		h = <-done
	}
	wrong, unproven := wrongOf(o, j, h, counts)
	if isClosed(j.Early) {
		unproven = nil // there was no time for it, and nothing passes
	}
	go makeReport(o, began, h, wrong, unproven, n, f.MostStall, out)
}

// writeJSON writes a report for other programs and returns its verdict.
func writeJSON(r report, path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		err = os.WriteFile(path, append(text, '\n'), 0o644)
	}
	if err == nil && r.Verdict.Code != exitPass {
		return r.Verdict
	}
	return err
}
