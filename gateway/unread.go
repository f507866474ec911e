package main

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tandem/wire/proc"
)

const (
	maxSmall   = 256 << 10 // bytes of a list that counts as small
	writeStep  = 64 << 10  // bytes of a body that are written at a time
	firstGrace = time.Second
)

// reservation asks for the bytes of a list's answer, and gives them back. It is sent first with release unset, which is
// answered by granted, a channel of one element, when the budget allows it; then with release set, when the answer was
// written, or when nobody waits for it any more.
type reservation struct {
	bytes   int
	granted chan struct{}
	release bool
}

// unreadBudget is how many bytes the answers of one size may have, and the reservations that wait, in the order in
// which they came.
type unreadBudget struct {
	limit, used int
	queue       []reservation
	gauge       prometheus.Gauge
}

// runBudgets is the loop that owns how many bytes of lists are built and not yet taken by their clients. Small ones
// have a budget of their own, so that clients that read long lists slowly leave some to everybody else.
func runBudgets(reservations <-chan reservation, small, long unreadBudget) {
	for r := range reservations {
		if r.bytes <= maxSmall {
			small = applyReservation(small, r)
		} else {
			long = applyReservation(long, r)
		}
	}
}

// applyReservation takes a reservation in, or releases it, and grants those that wait, first come, first served.
func applyReservation(budget unreadBudget, r reservation) unreadBudget {
	at := slices.IndexFunc(budget.queue, func(w reservation) bool { return w.granted == r.granted })
	switch {
	case !r.release:
		budget.queue = append(budget.queue, r)
	case at >= 0:
		budget.queue = slices.Delete(budget.queue, at, at+1)
	default:
		budget.used -= r.bytes
	}
	for len(budget.queue) > 0 && budget.used+budget.queue[0].bytes <= budget.limit {
		budget.used += budget.queue[0].bytes
		budget.queue[0].granted <- struct{}{}
		budget.queue = slices.Delete(budget.queue, 0, 1)
	}
	budget.gauge.Set(float64(budget.used))
	return budget
}

// reserve reserves so many bytes for a list, and waits for them until a time on the boot-time clock. To send what it
// returns releases them. If none are free, refused is what the list is answered with.
func reserve(wiring *wiring, bytes int, until int64) (r *reservation, refused *response) {
	if most := maxLong(wiring.Config); bytes > most {
		detail := fmt.Sprintf("expected a smaller one: these users have %d bytes, at most %d are allowed", bytes, most)
		a := problem(http.StatusBadRequest, "the page is too long", []fieldError{{"limit", detail}})
		return nil, &a
	}
	r = &reservation{bytes: bytes, granted: make(chan struct{}, 1)}
	wiring.Reservations <- *r
	r.release = true
	late := time.NewTimer(time.Duration(until - proc.Clock()))
	defer late.Stop()
	select {
	case <-r.granted:
		return r, nil
	case <-late.C:
		wiring.Reservations <- *r
		wiring.Metrics.Crowded.Inc()
		detail := "lists that wait for slow clients to read them leave no room for this one (--unread-mb)"
		a := problem(http.StatusServiceUnavailable, detail, nil)
		return nil, &a
	}
}

// writeBody writes a body step by step. A client has a second, and for each byte what --slow-kb gives it, but no longer
// than for any answer; else it is cut off, and the answer is false.
func writeBody(w http.ResponseWriter, body []byte, slowKB int) bool {
	control, began := http.NewResponseController(w), time.Now()
	for sent := 0; sent < len(body); {
		step := body[sent:min(sent+writeStep, len(body))]
		if len(body) > writeStep {
			allowed := firstGrace + time.Duration(sent)*time.Second/time.Duration(slowKB<<10)
			_ = control.SetWriteDeadline(began.Add(min(allowed, writeFor))) // of a recorder in tests there is none
		}
		n, err := w.Write(step)
		if sent += n; err != nil {
			return false
		}
	}
	return true
}
