package proc

import (
	"errors"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// timerSlack is how many ns late a timer of this process may ring: little beside the beats of 10 ms and more that it
// counts in.
const timerSlack = 1e6

// slackMark in the environment says that the slack has been set.
const slackMark = "TANDEM_TIMER_SLACK_SET"

// CoarseTimers starts this program anew in place with timers that may ring a little late. Go's runtime has a thread
// that looks every 20 µs whether a system call holds a processor up, as long as it has found one lately; with system
// calls at any moment it never stops, and its wake-ups, some 4,000/s, then cost more than what they find. That thread
// takes the slack from the one that starts it, before main, so only what was set before the start holds for it
// (prctl(2), PR_SET_TIMERSLACK). Where that cannot be set all goes on as it is.
func CoarseTimers() {
	if _, set := os.LookupEnv(slackMark); set {
		return
	}
	runtime.LockOSThread() // the slack is a thread's
	defer runtime.UnlockOSThread()
	files := unix.Rlimit{}
	err := errors.Join(unix.Getrlimit(unix.RLIMIT_NOFILE, &files),
		unix.Prctl(unix.PR_SET_TIMERSLACK, timerSlack, 0, 0, 0), os.Setenv(slackMark, "1"))
	if err != nil {
		return
	}
	path, _ := os.Executable()
	for _, program := range [...]string{path, "/proc/self/exe"} { // the latter is there when the file is not any more
		_ = syscall.Exec(program, os.Args, os.Environ())
	}
	_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &files) // which Exec lowers to what it was before Go raised it
}
