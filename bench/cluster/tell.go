package cluster

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// ErrInterrupted is the class of what was ended from outside before it was done.
var ErrInterrupted = errors.New("ended early")

// TellFor is how long a line may take until it is written.
const TellFor = time.Second

// Tell prints a line to standard error. It waits for whoever reads there for a moment only: a terminal that is stopped,
// or a pipe that is full, holds nothing up.
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
