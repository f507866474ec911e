package main

import (
	"errors"
	"testing"
	"time"

	"tandem/bench/cluster"
)

func TestSettingsThatCannotBe(t *testing.T) {
	good := runCommand{Rate: "500", Duration: time.Minute, Phases: "load,run", Cluster: true}
	if rate, err := checkRun(good); rate != 500 || err != nil {
		t.Error(rate, err)
	}
	for name, change := range map[string]func(*runCommand){
		"no number":          func(c *runCommand) { c.Rate = "fast" },
		"not a number":       func(c *runCommand) { c.Rate = "NaN" },
		"no end":             func(c *runCommand) { c.Rate = "Inf" },
		"nothing to do":      func(c *runCommand) { c.Rate, c.Duration = "1", 500*time.Millisecond },
		"no phase":           func(c *runCommand) { c.Phases = "rnu" },
		"unknown users":      func(c *runCommand) { c.Phases = "run" },
		"faults and max":     func(c *runCommand) { c.Rate, c.Fault = "max", "kill db-1 at 1s" },
		"nothing to compare": func(c *runCommand) { c.Compare = "pure_test.go" },
	} {
		c := good
		change(&c)
		if _, err := checkRun(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestEveryStepNeedsACommand(t *testing.T) {
	steps, err := parseFaults("kill db-1 at 1s; start db-1 at 2s", 1, nil, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	c := runCommand{FaultCommand: map[string]string{"kill": "x"}}
	if err = checkCommands(c, steps); !errors.Is(err, errSettings) {
		t.Errorf("a start without a command: %v", err)
	}
	c.FaultCommand["start"] = "x"
	if err = checkCommands(c, steps); err != nil {
		t.Error(err)
	}
}

// What spoils a run comes before its verdict, but for wrong answers, which stay.
func TestWhatSpoilsARun(t *testing.T) {
	load := func(outcome string, n, failed uint64) tally {
		return tally{Groups: map[groupKey]group{{phaseLoad, opCreate}: {Requests: 100, Failed: failed,
			Outcomes: map[string]uint64{outcome: n}}}}
	}
	for name, c := range map[string]struct {
		c    runCommand
		o    outcome
		was  int
		want int
	}{
		"nothing":          {runCommand{}, outcome{Tally: load("status 201", 100, 0)}, exitPass, exitPass},
		"a failed fault":   {runCommand{}, outcome{Err: cluster.ErrFault}, exitPass, exitUsage},
		"Ctrl-C":           {runCommand{}, outcome{Err: cluster.ErrInterrupted}, exitBudget, exitUsage},
		"wrong and failed": {runCommand{}, outcome{Err: cluster.ErrFault}, exitWrong, exitWrong},
		"a death":          {runCommand{}, outcome{Died: cluster.ErrProcess}, exitPass, exitWrong},
		"known users": {runCommand{LoadFlags: LoadFlags{UsersSeed: 7}}, outcome{Tally: load("status 409", 3, 0)},
			exitWrong, exitUsage},
		"unknown users": {runCommand{}, outcome{Tally: load("status 409", 3, 0)}, exitWrong, exitWrong},
		"second tries": {runCommand{LoadFlags: LoadFlags{UsersSeed: 7}}, outcome{Tally: load("status 409", 3, 3)},
			exitPass, exitPass},
		"no whole load": {runCommand{}, outcome{Missing: 1, Tally: load("status 503", 50, 50)}, exitPass, exitUsage},
	} {
		if v := amend(verdict{Code: c.was}, c.c, c.o); v.Code != c.want {
			t.Errorf("%s: %+v, expected code %d", name, v, c.want)
		}
	}
}
