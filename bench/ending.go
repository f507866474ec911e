package main

import (
	"errors"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"tandem/bench/cluster"
)

// ending tells a command to end before its time: Early is closed then, and the command stops its processes and makes
// its report. A command that runs a cluster puts the folder into Clusters, which holds one at most: if bench must end
// at once that cluster is killed.
type ending struct {
	Early    <-chan struct{}
	Clusters chan string
}

// isClosed tells whether a channel that carries nothing has been closed; nil never is.
func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// listen takes over the signals that end a process, and returns the channel that they come in. A hangup that was
// ignored at the start stays so, as nohup(1) wants it. A broken pipe and a file that is larger than allowed are the
// errors of their writes, as full disks are, and no reason to end without a report.
func listen() <-chan os.Signal {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
	}
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE, syscall.SIGXFSZ)
	return signals
}

// heed closes early at the first signal, or when nobody reads the output any more, and ends this process and its
// cluster at once when SIGINT or SIGTERM follows. A second hangup says nothing new: a shell whose terminal is gone
// passes on what its children have had already.
func heed(signals <-chan os.Signal, early chan<- struct{}, clusters <-chan string) {
	gone := make(chan string, 2)
	go awaitGone(1, "standard output", gone)
	go awaitGone(2, "standard error", gone)
	for ended := false; ; {
		var why string
		select {
		case s := <-signals:
			if why = s.String(); ended && s != syscall.SIGHUP {
				select {
				case dir := <-clusters:
					_ = cluster.Stop(dir, 0) // what can be stopped is
				default:
				}
				os.Exit(exitUsage)
			}
		case name := <-gone:
			why = "nobody reads " + name + " any more"
		}
		if !ended {
			ended = true
			close(early)
			cluster.Tell("bench: %s: it ends early; Ctrl-C once more ends it at once\n", why)
		}
	}
}

// awaitGone sends a name when nobody can read any more what is written to a file descriptor (poll(2): POLLERR of a pipe
// without readers). It does not wait for a write: one may be far away.
func awaitGone(fd int32, name string, gone chan<- string) {
	for {
		polled := []unix.PollFd{{Fd: fd}}
		_, err := unix.Poll(polled, -1)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err == nil && polled[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0:
			gone <- name
		}
		return
	}
}
