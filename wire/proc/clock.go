package proc

import (
	"time"

	"golang.org/x/sys/unix"
)

// Clock returns ns on the boot-time clock, which goes on while the machine sleeps and is never set.
func Clock() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic("proc: no boot-time clock: " + err.Error())
	}
	return t.Nano()
}

// UntilBeat returns how long after now on the clock that is next a multiple of every. Loops that beat by it ring
// together, so that an idle process wakes once for all of them.
func UntilBeat(now int64, every time.Duration) time.Duration {
	return every - time.Duration(now)%every
}
