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

// assessment is what the stages of judging a run know so far.
type assessment struct {
	ran       outcome
	job       job
	flags     LoadFlags
	began     time.Time
	histories checked
	counts    int      // how many were checked
	badCounts []string // what is wrong with them
	wrong     []string
	unproven  []string // what could not be judged
	report    report
}

// assessStages judge a run. The list never changes.
var assessStages = []func(assessment) assessment{checkAnswers, findWrong, makeReport}

// assess checks what a run was answered, of which an assessment has the outcome, the job, its settings and when it
// began, and returns the report.
func assess(a assessment) report {
	for _, stage := range assessStages {
		a = stage(a)
	}
	return a.report
}

// checkAnswers checks the histories and, beside that, the counts.
func checkAnswers(a assessment) assessment {
	j, f := a.job, a.flags
	if !j.Check {
		return a
	}
	done, initial := make(chan checked, 1), believed{Known: j.Load}
	go func() {
		done <- checkHistories(a.ran.Samples, initial, f.CheckTimeout, filepath.Join(f.Out, violationPage), j.Early)
	}()
	if !j.Shared {
		a.badCounts, a.counts = checkCounts(a.ran.Samples, a.ran.Base)
	}
	a.histories = <-done
	return a
}

// findWrong lists what a run shows to be wrong, and what could not be judged.
func findWrong(a assessment) assessment {
	o, j, h := a.ran, a.job, a.histories
	wrong, unproven := []string(nil), []string(nil)
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
	wrong = append(wrong, a.badCounts...)
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
	if isClosed(j.Early) {
		unproven = nil // there was no time for it, and nothing passes
	}
	a.wrong, a.unproven = wrong, unproven
	return a
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
