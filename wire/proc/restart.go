package proc

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

// lastWords is how long a process that ends or starts anew waits for its log to be written.
const lastWords = 200 * time.Millisecond

// Exit ends this process with a code, when what its log has to say is written.
func Exit(o Output, code int) {
	o.Flush(lastWords)
	os.Exit(code)
}

// StopIf ends a process that cannot start, or stop as it should, with the reason.
func StopIf(o Output, err error) {
	if err != nil {
		fmt.Fprintf(o, "%s: %v\n", o.program, err)
		o.Flush(lastWords)
		os.Exit(1)
	}
}

// StopAs is StopIf with an exit code of its own.
func StopAs(o Output, err error, code int) {
	if err != nil {
		fmt.Fprintf(o, "%s: %v\n", o.program, err)
		o.Flush(lastWords)
		os.Exit(code)
	}
}

// StartAnew starts this program anew in place, with the same arguments, and returns only if it cannot.
func StartAnew(o Output) error {
	o.Flush(lastWords)
	if err := syscall.Exec("/proc/self/exe", os.Args, os.Environ()); err != nil {
		return fmt.Errorf("cannot start anew: %w", err)
	}
	return nil
}
