package proc

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// TestAReaderThatStandsStillHoldsNobodyUp: far more is written than can wait. When the reader goes on it gets what was
// kept, in order, and a line that says how many are missing.
func TestAReaderThatStandsStillHoldsNobodyUp(t *testing.T) {
	const lines = 3 * queueLines
	reader, writer := io.Pipe()
	o := openOutput("test", writer)
	for i := range lines {
		fmt.Fprintf(o, "line %d\n", i)
	}
	dropped := o.Dropped()
	if dropped == 0 {
		t.Error("no line is dropped")
	}
	o.Flush(time.Millisecond) // gives up
	in := bufio.NewScanner(reader)
	for i := range lines - int(dropped) {
		if want := fmt.Sprintf("line %d", i); !in.Scan() || in.Text() != want {
			t.Fatalf("found %q, expected %q", in.Text(), want)
		}
	}
	if want := fmt.Sprintf("lines=%d", dropped); !in.Scan() || !strings.HasSuffix(in.Text(), want) {
		t.Errorf("found %q, expected %s", in.Text(), want)
	}
	if again := o.Dropped(); again != dropped {
		t.Errorf("%d are dropped, %d were before", again, dropped)
	}
}

// TestAReaderThatIsGoneHoldsNobodyUp: every line is counted.
func TestAReaderThatIsGoneHoldsNobodyUp(t *testing.T) {
	reader, writer := io.Pipe()
	reader.Close()
	o := openOutput("test", writer)
	for range 5 {
		fmt.Fprintln(o, "a line")
	}
	o.Flush(time.Hour)
	if dropped := o.Dropped(); dropped != 5 {
		t.Errorf("%d are dropped", dropped)
	}
}

// TestAFlushWaitsForAllLines, not for the one under way only.
func TestAFlushWaitsForAllLines(t *testing.T) {
	text := &strings.Builder{}
	o := openOutput("test", text)
	for range 100 {
		fmt.Fprint(o, "x")
	}
	o.Flush(time.Hour)
	if text.Len() != 100 {
		t.Errorf("%d of 100 are written", text.Len())
	}
}
