package main

import "time"

// phase is a part of a run: operations on a schedule.
type phase struct {
	Name     string
	Count    uint64    // how many operations; 0 for no limit
	Rate     float64   // operations a second; 0 for as many as the connections carry
	Closed   int       // how many may be under way at once
	Start    time.Time // of the schedule
	Next     func(w workload, i, made uint64) (operation, uint64)
	Workload workload
}

// stopEvery is how often a schedule that waits looks whether it is to end.
const stopEvery = 250 * time.Millisecond

// drive starts the operations of a phase on schedule, whatever the answers do, until all are started or stop is closed,
// waits until all are answered, and sends how many users were created by them. Each answer goes to samples.
func drive(c client, b beat, p phase, samples chan<- sample, stop <-chan struct{}, done chan<- uint64) {
	places := make(chan struct{}, p.Closed)
	made, held := uint64(0), false
	for i := uint64(0); p.Count == 0 || i < p.Count; i++ {
		due := b.Now()
		if p.Rate > 0 {
			due = p.Start.Add(time.Duration(float64(i) / p.Rate * float64(time.Second)))
			for wait := due.Sub(b.Now()); wait > 0 && !isClosed(stop); wait = due.Sub(b.Now()) {
				held = false // on schedule again
				b.Sleep(min(wait, stopEvery))
			}
		}
		if isClosed(stop) {
			break
		}
		select {
		case places <- struct{}{}:
		default:
			held = true
			places <- struct{}{}
			if p.Rate == 0 {
				due = b.Now()
			}
		}
		op := operation{}
		op, made = p.Next(p.Workload, i, made)
		go shoot(c, op, p, due, held, samples, places)
	}
	for range p.Closed {
		places <- struct{}{}
	}
	done <- made
}

// shoot does one operation and frees its connection.
func shoot(c client, op operation, p phase, due time.Time, held bool, samples chan<- sample, places <-chan struct{}) {
	first, modify := op, op.Kind == opModify
	if modify {
		first.Kind = opGet
	}
	s := ask(c, first, "", p.Workload.Records)
	s.Phase, s.Intended = p.Name, due.Sub(c.begin)
	s.Held, s.Cell = held, cellOf(op)
	samples <- s
	if modify && s.Status == 200 {
		op.Kind = opUpdate
		second := ask(c, op, s.Tag, p.Workload.Records)
		// it could not start before the answer to the first
		second.Phase, second.Cell, second.Intended = p.Name, s.Cell, second.Sent
		samples <- second
	}
	<-places
}
