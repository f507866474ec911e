package main

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"tandem/node/store"
)

// A wrong setting ends a start with its reason; what the disk does not do lets it wait, and it can be stopped
// meanwhile.
func TestAStartThatIsNotTheDisksEndsAtOnce(t *testing.T) {
	waited, stop := make(chan error, 1), make(chan os.Signal)
	for _, cause := range []error{nil, store.ErrFolder, fmt.Errorf("%w: opening: Corruption: no CURRENT",
		store.ErrUnreadable)} {
		wiring := &wiring{Node: Node{Config: config{Data: t.TempDir()}}}
		go func() {
			waited <- runFailureStages(starting{wiring: wiring, stop: stop, err: cause}, failureStages[:]).err
		}()
		select {
		case err := <-waited:
			if !errors.Is(err, cause) {
				t.Errorf("%v, not %v", err, cause)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%v: it waits", cause)
		}
	}
}

// A start that is told to stop does the stage that it is in, and none after that; that it ends is no failure.
func TestAStartIsToldToStop(t *testing.T) {
	stop, done := make(chan os.Signal, 1), 0
	count := func(s starting) starting {
		if done++; done == 2 {
			stop <- os.Interrupt
		}
		return s
	}
	s := runStages(starting{stop: stop}, []func(starting) starting{count, count, count})
	if done != 2 || !errors.Is(s.err, errStopped) || exitCode(s.err) != 0 {
		t.Errorf("%d stages, %v, exit code %d", done, s.err, exitCode(s.err))
	}
	s = runFailureStages(s, append(unusableStages[:], failureStages[:]...))
	if !errors.Is(s.err, errStopped) {
		t.Errorf("in the end %v", s.err)
	}
}
