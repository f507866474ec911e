package main

import (
	"fmt"
	"slices"
	"time"
)

// checkCounts holds every count and every total of a list between what was acknowledged before it and what may have
// happened by its end. base is how many users there were before. It returns what is wrong, at most ten of it, and how
// many counts were checked.
func checkCounts(samples []sample, base uint64) (wrong []string, checked int) {
	var madeFor, madeMaybe, gone, goneMaybe []time.Duration // ends of what is sure, begins of what may be
	for _, s := range samples {
		switch {
		case s.Op.Kind == opCreate && s.Status == 201:
			madeFor, madeMaybe = append(madeFor, s.Done), append(madeMaybe, s.Sent)
		case s.Op.Kind == opCreate && s.Failed:
			madeMaybe = append(madeMaybe, s.Sent)
		case s.Op.Kind == opDelete && s.Status == 204:
			gone, goneMaybe = append(gone, s.Done), append(goneMaybe, s.Sent)
		case s.Op.Kind == opDelete && s.Failed:
			goneMaybe = append(goneMaybe, s.Sent)
		}
	}
	for _, times := range [][]time.Duration{madeFor, madeMaybe, gone, goneMaybe} {
		slices.Sort(times)
	}
	for _, s := range samples {
		if s.Op.Kind != opCount && s.Op.Kind != opList || s.Status != 200 || s.Wrong != "" {
			continue
		}
		checked++
		low := int(base) + upTo(madeFor, s.Sent) - upTo(goneMaybe, s.Done)
		high := int(base) + upTo(madeMaybe, s.Done) - upTo(gone, s.Sent)
		if n := int(s.Count); (n < low || n > high) && len(wrong) < 10 {
			wrong = append(wrong, fmt.Sprintf("at %v a %s said %d users; %d to %d were there",
				s.Sent.Round(time.Millisecond), s.Op.Kind, n, low, high))
		}
	}
	return wrong, checked
}

// upTo returns how many of some times in order are not after a moment.
func upTo(times []time.Duration, at time.Duration) int {
	n, _ := slices.BinarySearch(times, at+1)
	return n
}
