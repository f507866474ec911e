package cluster

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// ErrInterrupted is the class of what was ended early, by a signal or because nobody reads the output any more.
var ErrInterrupted = errors.New("ended early")

// TellFor is how long a line may take until it is written.
const TellFor = time.Second

// Tell prints a line to standard error. It waits for its reader for TellFor at most: a stopped terminal or a full pipe
// does not block bench.
func Tell(format string, a ...any) {
	written := make(chan struct{})
	go func() {
		fmt.Fprintf(os.Stderr, format, a...)
		close(written)
	}()
	select {
	case <-written:
	case <-time.After(TellFor):
	}
}
