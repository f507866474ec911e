package main

import (
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// timerSlack is how many ns late a timer of this process may ring: little beside the beats of 10 ms and more that it counts in.
const timerSlack = 1e6

// slackMark in the environment says that the slack has been set.
const slackMark = "TANDEM_TIMER_SLACK_SET"

// coarseTimers starts this program anew in place with timers that may ring a little late. Go's runtime has a thread that looks every 20 µs whether a
// system call holds a processor up, as long as it has found one lately; with system calls at any moment it never stops, and its wake-ups, some 4,000/s,
// then cost more than what they find. That thread takes the slack from the one that starts it, before main, so only what was set before the
// start holds for it (prctl(2), PR_SET_TIMERSLACK). Where that cannot be set all goes on as it is.
func coarseTimers() {
	if os.Getenv(slackMark) != "" {
		return
	}
	runtime.LockOSThread() // the slack is a thread's
	defer runtime.UnlockOSThread()
	path, err := os.Executable()
	if err == nil {
		err = unix.Prctl(unix.PR_SET_TIMERSLACK, timerSlack, 0, 0, 0)
	}
	if err == nil {
		_ = syscall.Exec(path, os.Args, append(os.Environ(), slackMark+"=1"))
	}
}
