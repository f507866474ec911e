package main

import (
	"errors"
	"testing"
	"time"

	"tandem/bench/cluster"
)

func TestSettingsThatCannotBe(t *testing.T) {
	good := RunCommand{Rate: "500", Duration: time.Minute, Phases: "load,run", Cluster: true}
	if rate, err := checkRun(good); rate != 500 || err != nil {
		t.Error(rate, err)
	}
	for name, change := range map[string]func(*RunCommand){
		"no number":          func(c *RunCommand) { c.Rate = "fast" },
		"not a number":       func(c *RunCommand) { c.Rate = "NaN" },
		"no end":             func(c *RunCommand) { c.Rate = "Inf" },
		"nothing to do":      func(c *RunCommand) { c.Rate, c.Duration = "1", 500*time.Millisecond },
		"no phase":           func(c *RunCommand) { c.Phases = "rnu" },
		"unknown users":      func(c *RunCommand) { c.Phases = "run" },
		"faults and max":     func(c *RunCommand) { c.Rate, c.Fault = "max", "kill db-1 at 1s" },
		"nothing to compare": func(c *RunCommand) { c.Compare = "pure_test.go" },
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
	c := RunCommand{FaultCommand: map[string]string{"kill": "x"}}
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
		c    RunCommand
		o    outcome
		was  int
		want int
	}{
		"nothing":          {RunCommand{}, outcome{Tally: load("status 201", 100, 0)}, exitPass, exitPass},
		"a failed fault":   {RunCommand{}, outcome{Err: cluster.ErrFault}, exitPass, exitUsage},
		"Ctrl-C":           {RunCommand{}, outcome{Err: cluster.ErrInterrupted}, exitBudget, exitUsage},
		"wrong and failed": {RunCommand{}, outcome{Err: cluster.ErrFault}, exitWrong, exitWrong},
		"a death":          {RunCommand{}, outcome{Died: cluster.ErrProcess}, exitPass, exitWrong},
		"known users": {RunCommand{LoadFlags: LoadFlags{UsersSeed: 7}}, outcome{Tally: load("status 409", 3, 0)},
			exitWrong, exitUsage},
		"unknown users": {RunCommand{}, outcome{Tally: load("status 409", 3, 0)}, exitWrong, exitWrong},
		"second tries": {RunCommand{LoadFlags: LoadFlags{UsersSeed: 7}}, outcome{Tally: load("status 409", 3, 3)},
			exitPass, exitPass},
		"no whole load": {RunCommand{}, outcome{Missing: 1, Tally: load("status 503", 50, 50)}, exitPass, exitUsage},
	} {
		if v := amend(verdict{Code: c.was}, c.c, c.o); v.Code != c.want {
			t.Errorf("%s: %+v, expected code %d", name, v, c.want)
		}
	}
}
