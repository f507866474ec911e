package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestProbe: each write that takes longer than the limit is reported, in order, and nothing is left behind.
func TestProbe(t *testing.T) {
	dir, begin := t.TempDir(), time.Now()
	syncs, quit, ended := make(chan stall), make(chan struct{}), make(chan error, 1)
	go probeDisk(probe{dir, 0, begin}, syncs, quit, ended)
	last := stall{}
	for range 3 {
		s := <-syncs
		if s.From < last.To || s.To <= s.From {
			t.Errorf("%+v after %+v", s, last)
		}
		last = s
	}
	close(quit)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v, left: %v", err, left)
	}
	go probeDisk(probe{filepath.Join(dir, "none"), 0, begin}, syncs, quit, ended)
	if err := <-ended; err == nil {
		t.Error("no error where there is no folder")
	}
}

// TestWhatTheDiskIsBlamedFor: requests that were under way while it stood still, and soon after.
func TestWhatTheDiskIsBlamedFor(t *testing.T) {
	at := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	syncs := []stall{{at(1000), at(1300)}, {at(5000), at(5101)}}
	for name, c := range map[string]struct {
		from, to int
		want     bool
	}{
		"before": {500, 999, false}, "into it": {900, 1010, true}, "within": {1100, 1200, true},
		"out of it":  {1290, 1600, true},
		"soon after": {1540, 1800, true}, "later": {1551, 1900, false}, "around the second": {4900, 5300, true},
		"in the end": {6000, 6500, false},
	} {
		if got := struck(syncs, sample{Intended: at(c.from), Done: at(c.to)}); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	o := outcome{Tally: newTally(at(250), at(100)), Syncs: syncs}
	for _, s := range []sample{
		{Op: operation{Kind: opGet}, Phase: phaseRun, Intended: at(1100), Sent: at(1100), Done: at(1340), Failed: true,
			Status: 503},
		{Op: operation{Kind: opGet}, Phase: phaseRun, Intended: at(2000), Sent: at(2000), Done: at(2300)},
	} {
		o.Tally = count(o.Tally, s)
	}
	if k, p := judgeBudget(o); k.Beyond != 1 || k.Failed != 0 || p.Struck != 1 || p.Syncs != 2 || p.Sync != at(300) {
		t.Errorf("%+v, %+v", k, p)
	}
}
