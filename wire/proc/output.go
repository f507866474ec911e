package proc

import (
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"
)

// Output is where the lines of a log go. Who writes to it never waits for who reads the log: a line that cannot be kept
// or written is dropped, counted, and reported when writing works again. Its zero value drops all without counting.
type Output struct {
	program string
	lines   chan []byte
	dropped chan chan<- uint64
	idle    chan chan<- struct{}
}

// Start returns the way out for what a program has to say, which goes to standard error. What libraries write to Go's
// own logs goes there, too.
func Start(program string) Output {
	holdSignals()
	o := openOutput(program, os.Stderr)
	slog.SetDefault(slog.New(slog.NewTextHandler(o, nil)))
	return o
}

// openOutput sets an output going that writes to a file, one line a call.
func openOutput(program string, to io.Writer) Output {
	o := Output{program, make(chan []byte), make(chan chan<- uint64), make(chan chan<- struct{})}
	next, results := make(chan []byte), make(chan error)
	go writeLines(to, next, results)
	go keepLines(o, next, results)
	return o
}

// holdSignals keeps signals that come of writing from ending or stopping this process: SIGPIPE, when the reader of its
// standard error is gone (Go lets the process die of it otherwise, see os/signal), and SIGTTOU, when it runs in the
// background of a terminal that does not want that. The former is received and not ignored, since children inherit what
// is ignored.
func holdSignals() {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	signal.Ignore(syscall.SIGTTOU)
}

// Write gives away a copy of one line. It never fails.
func (o Output) Write(text []byte) (int, error) {
	if o.lines != nil {
		o.lines <- slices.Clone(text) // its loop waits for nobody
	}
	return len(text), nil
}

// Dropped returns how many lines were dropped since the start.
func (o Output) Dropped() uint64 {
	if o.dropped == nil {
		return 0
	}
	reply := make(chan uint64, 1)
	o.dropped <- reply
	return <-reply
}

// Flush waits until all lines are written, at most for a limit.
func (o Output) Flush(limit time.Duration) {
	if o.idle == nil {
		return
	}
	reply := make(chan struct{})
	o.idle <- reply
	select {
	case <-reply:
	case <-time.After(limit):
	}
}

// keepLines is the loop that owns the queue. It waits for no file: that does writeLines.
func keepLines(o Output, next chan<- []byte, results <-chan error) {
	q, waiting := queue{}, []chan<- struct{}(nil)
	for {
		if len(q.Lines) == 0 {
			for _, reply := range waiting {
				close(reply)
			}
			waiting = nil
		}
		out, first := chan<- []byte(nil), []byte(nil)
		if len(q.Lines) > 0 && !q.Busy {
			out, first = next, q.Lines[0].Text
		}
		select {
		case text := <-o.lines:
			q = admit(q, text)
		case out <- first:
			q.Busy = true
		case err := <-results:
			q = written(q, err)
		case reply := <-o.dropped:
			reply <- q.Dropped
		case reply := <-o.idle:
			waiting = append(waiting, reply)
		}
	}
}

// writeLines writes one line after the other, and may be stuck in that for ever.
func writeLines(to io.Writer, next <-chan []byte, results chan<- error) {
	for text := range next {
		_, err := to.Write(text)
		results <- err
	}
}
