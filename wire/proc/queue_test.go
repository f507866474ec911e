package proc

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// texts returns what waits, in order.
func texts(q queue) string {
	list := []string{}
	for _, l := range q.Lines {
		text := string(l.Text)
		if l.Reports > 0 {
			text = fmt.Sprintf("%d missing", l.Reports)
		}
		list = append(list, text)
	}
	return strings.Join(list, ", ")
}

// TestTheQueueIsBoundedInLines: what does not fit is counted, and reported where it is missing.
func TestTheQueueIsBoundedInLines(t *testing.T) {
	q := queue{}
	for range queueLines + 10 {
		q = admit(q, []byte("a"))
	}
	dropped := q.Dropped
	if len(q.Lines) > queueLines || dropped != uint64(queueLines+10-len(q.Lines)) || q.Missing != dropped {
		t.Fatalf("%d lines wait, %d are dropped, %d missing", len(q.Lines), dropped, q.Missing)
	}
	for range queueLines - 2 {
		q = written(q, nil)
	}
	q = admit(q, []byte("b"))
	if want := fmt.Sprintf("a, %d missing, b", dropped); texts(q) != want || q.Missing != 0 || q.Dropped != dropped {
		t.Errorf("%s waits, expected %s; %d dropped, %d missing", texts(q), want, q.Dropped, q.Missing)
	}
}

// TestTheQueueIsBoundedInBytes, which are free again when their line is written.
func TestTheQueueIsBoundedInBytes(t *testing.T) {
	q := admit(queue{}, make([]byte, queueBytes-1))
	if q = admit(q, []byte("ab")); len(q.Lines) != 1 || q.Dropped != 1 {
		t.Errorf("%d lines wait, %d are dropped", len(q.Lines), q.Dropped)
	}
	q = written(q, nil)
	if texts(q) != "1 missing" {
		t.Errorf("%s waits", texts(q))
	}
	if q = written(q, nil); len(q.Lines) != 0 || q.Bytes != 0 || q.Missing != 0 {
		t.Errorf("%s waits, %d bytes, %d missing", texts(q), q.Bytes, q.Missing)
	}
	if q = admit(q, make([]byte, queueBytes+1)); q.Dropped != 2 {
		t.Errorf("a line larger than all that may wait: %d are dropped", q.Dropped)
	}
}

// TestLinesThatCannotBeWrittenAreCounted once, whatever becomes of the reports about them; without success nothing is
// written that was not asked for.
func TestLinesThatCannotBeWrittenAreCounted(t *testing.T) {
	broken, q := errors.New("broken pipe"), queue{}
	for range 3 {
		q = admit(q, []byte("a"))
		for len(q.Lines) > 0 {
			q = written(q, broken)
		}
	}
	if q.Dropped != 3 || q.Missing != 3 {
		t.Fatalf("%d dropped, %d missing", q.Dropped, q.Missing)
	}
	if q = admit(q, []byte("b")); texts(q) != "3 missing, b" {
		t.Errorf("%s waits", texts(q))
	}
	q = written(q, nil)
	q = written(q, nil)
	if len(q.Lines) != 0 || q.Dropped != 3 || q.Missing != 0 {
		t.Errorf("%s waits, %d dropped, %d missing", texts(q), q.Dropped, q.Missing)
	}
}
