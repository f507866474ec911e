package proc

import (
	"bytes"
	"log/slog"
)

// The bounds of what waits to be written. A log says little: whatever goes beyond them waits for somebody who does not
// read.
const (
	queueLines = 4096
	queueBytes = 1 << 20
)

// line is some text to write, and, if it reports dropped lines, how many of them.
type line struct {
	Text    []byte
	Reports uint64
}

// queue is the lines that wait, the first of which may be under way, and what could not be kept or written.
type queue struct {
	Lines   []line
	Bytes   int
	Busy    bool   // the first line is being written
	Missing uint64 // lines dropped that no line reports yet
	Dropped uint64 // lines dropped since the start
}

// admit adds a line, behind a report of those that were dropped before it, or drops it when there is no room.
func admit(q queue, text []byte) queue {
	report := reportOf(q)
	if len(q.Lines)+2 > queueLines || q.Bytes+len(report.Text)+len(text) > queueBytes {
		q.Missing, q.Dropped = q.Missing+1, q.Dropped+1
		return q
	}
	if q.Missing > 0 {
		q.Lines, q.Bytes, q.Missing = append(q.Lines, report), q.Bytes+len(report.Text), 0
	}
	q.Lines, q.Bytes = append(q.Lines, line{Text: text}), q.Bytes+len(text)
	return q
}

// written takes out the first line, which was written, or was not. What was dropped is reported once writing works and
// nothing else waits.
func written(q queue, err error) queue {
	first := q.Lines[0]
	q.Lines[0] = line{} // the slice keeps its place for a while
	q.Lines, q.Bytes, q.Busy = q.Lines[1:], q.Bytes-len(first.Text), false
	switch {
	case err != nil && first.Reports > 0:
		q.Missing += first.Reports
	case err != nil:
		q.Missing, q.Dropped = q.Missing+1, q.Dropped+1
	case q.Missing > 0 && len(q.Lines) == 0:
		report := reportOf(q)
		q.Lines, q.Bytes, q.Missing = []line{report}, len(report.Text), 0
	}
	return q
}

// reportOf makes the line that says how many lines are missing before it; it is empty when none is.
func reportOf(q queue) line {
	if q.Missing == 0 {
		return line{}
	}
	text := bytes.Buffer{}
	log := slog.New(slog.NewTextHandler(&text, nil))
	log.Warn("lines of this log were dropped, since they could not be written", "lines", q.Missing)
	return line{text.Bytes(), q.Missing}
}
