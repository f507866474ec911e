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

// generator asks for operations: by a client, in a beat, and with a channel for the answers.
type generator struct {
	client  client
	beat    beat
	samples chan<- sample
}

// shot is an operation that is due at a time; held tells that it, or one before it, waited for a connection.
type shot struct {
	op   operation
	due  time.Time
	held bool
}

// stopEvery is how often a schedule that waits looks whether it is to end.
const stopEvery = 250 * time.Millisecond

// drive starts the operations of a phase on schedule, whatever the answers do, until all are started or stop is closed,
// waits until all are answered, and sends how many users were created by them.
func drive(g generator, p phase, stop <-chan struct{}, done chan<- uint64) {
	places := make(chan struct{}, p.Closed)
	made, held := uint64(0), false
	for i := uint64(0); p.Count == 0 || i < p.Count; i++ {
		due := g.beat.Now()
		if p.Rate > 0 {
			due = p.Start.Add(time.Duration(float64(i) / p.Rate * float64(time.Second)))
			for wait := due.Sub(g.beat.Now()); wait > 0 && !isClosed(stop); wait = due.Sub(g.beat.Now()) {
				held = false // on schedule again
				g.beat.Sleep(min(wait, stopEvery))
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
				due = g.beat.Now()
			}
		}
		op := operation{}
		op, made = p.Next(p.Workload, i, made)
		go shoot(g, p, shot{op, due, held}, places)
	}
	for range p.Closed {
		places <- struct{}{}
	}
	done <- made
}

// shoot does one operation and frees its connection.
func shoot(g generator, p phase, now shot, places <-chan struct{}) {
	op := now.op
	first, modify := op, op.Kind == opModify
	if modify {
		first.Kind = opGet
	}
	s := ask(g.client, first, "", p.Workload.Records)
	s.Phase, s.Intended = p.Name, now.due.Sub(g.client.begin)
	s.Held, s.Cell = now.held, cellOf(op)
	g.samples <- s
	if modify && s.Status == 200 {
		op.Kind = opUpdate
		second := ask(g.client, op, s.Tag, p.Workload.Records)
		// it could not start before the answer to the first
		second.Phase, second.Cell, second.Intended = p.Name, s.Cell, second.Sent
		g.samples <- second
	}
	<-places
}
