package main

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	smallMost  = 256 << 10 // bytes of a list that counts as small
	writeStep  = 64 << 10  // bytes of a body that are written at a time
	firstGrace = time.Second
)

// unreadNote is how the bytes of a list's answer are taken and given back: first with over unset, which is answered by
// granted, of one place, when there is room; then with over set, when the answer was written, or when nobody waits for
// the room any more.
type unreadNote struct {
	bytes   int
	granted chan struct{}
	over    bool
}

// unreadPool is the room for the answers of one size, and those that wait for it, in the order in which they came.
type unreadPool struct {
	most, taken int
	waiting     []unreadNote
	gauge       prometheus.Gauge
}

// runUnread is the loop that owns how many bytes of lists are built and not yet taken by their clients. Small ones have
// room of their own, so that clients that read long lists slowly leave some to everybody else.
func runUnread(notes <-chan unreadNote, small, long unreadPool) {
	for n := range notes {
		if n.bytes <= smallMost {
			small = noteUnread(small, n)
		} else {
			long = noteUnread(long, n)
		}
	}
}

// noteUnread takes a note, and grants room to those that wait, first come, first served.
func noteUnread(p unreadPool, n unreadNote) unreadPool {
	at := slices.IndexFunc(p.waiting, func(w unreadNote) bool { return w.granted == n.granted })
	switch {
	case !n.over:
		p.waiting = append(p.waiting, n)
	case at >= 0:
		p.waiting = slices.Delete(p.waiting, at, at+1)
	default:
		p.taken -= n.bytes
	}
	for len(p.waiting) > 0 && p.taken+p.waiting[0].bytes <= p.most {
		p.taken += p.waiting[0].bytes
		p.waiting[0].granted <- struct{}{}
		p.waiting = slices.Delete(p.waiting, 0, 1)
	}
	p.gauge.Set(float64(p.taken))
	return p
}

// takeUnread takes room for a list of so many bytes, until a time on the boot-time clock. The note gives the room back.
// If there is none, refused is what the list is answered with.
func takeUnread(wiring *Wiring, bytes int, until int64) (n *unreadNote, refused *response) {
	if most := longMost(wiring.Config); bytes > most {
		detail := fmt.Sprintf("expected a smaller one: these users have %d bytes, at most %d are allowed", bytes, most)
		a := problem(http.StatusBadRequest, "the page is too long", []FieldError{{"limit", detail}})
		return nil, &a
	}
	n = &unreadNote{bytes: bytes, granted: make(chan struct{}, 1)}
	wiring.Unread <- *n
	n.over = true
	late := time.NewTimer(time.Duration(until - clock()))
	defer late.Stop()
	select {
	case <-n.granted:
		return n, nil
	case <-late.C:
		wiring.Unread <- *n
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
