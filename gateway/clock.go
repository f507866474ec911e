package main

import "golang.org/x/sys/unix"

// clock returns ns on the boot-time clock.
func clock() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic("gateway: no boot-time clock: " + err.Error())
	}
	return t.Nano()
}
