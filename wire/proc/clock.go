package proc

import "golang.org/x/sys/unix"

// Clock returns ns on the boot-time clock, which goes on while the machine sleeps and is never set.
func Clock() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic("proc: no boot-time clock: " + err.Error())
	}
	return t.Nano()
}
