package main

import (
	"slices"
	"time"
)

// beat is the time that a generator goes by; a test gives one that stalls.
type beat struct {
	Now   func() time.Time
	Sleep func(time.Duration)
}

// realBeat is the machine's time.
var realBeat = beat{time.Now, time.Sleep}

const (
	watchEvery = time.Millisecond
	watchFloor = 3 * time.Millisecond // a wake-up that is late by less is none to speak of
)

// stall is a time in which the generator itself did not run.
type stall struct{ From, To time.Duration }

// watch sleeps again and again and reports how late it wakes: so late is everything else that this process does.
func watch(b beat, begin time.Time, stalls chan<- stall, quit <-chan struct{}) {
	for {
		select {
		case <-quit:
			return
		default:
		}
		due := b.Now().Add(watchEvery)
		b.Sleep(watchEvery)
		if now := b.Now(); now.Sub(due) > watchFloor {
			select {
			case stalls <- stall{due.Sub(begin), now.Sub(begin)}:
			case <-quit:
				return
			}
		}
	}
}

// overlap returns how much of the time from one moment to another lies in stalls, which are in order and apart.
func overlap(stalls []stall, from, to time.Duration) time.Duration {
	sum := time.Duration(0)
	first, _ := slices.BinarySearchFunc(stalls, from, func(s stall, at time.Duration) int { return int(s.To - at) })
	for _, s := range stalls[first:] {
		if s.From >= to {
			break
		}
		sum += max(0, min(s.To, to)-max(s.From, from))
	}
	return sum
}
