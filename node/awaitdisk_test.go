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
