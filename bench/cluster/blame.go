package cluster

import (
	"errors"
	"net"
	"slices"
	"syscall"
)

// ErrOwn is the class of errors by which this machine itself cannot make a run. They say nothing about the target.
var ErrOwn = errors.New("this machine's own shortage")

// Party is who is to blame for a request without an answer.
type Party int

const (
	// also of whatever stands for it: its host that does not answer, its port at which nobody listens
	OfTarget    Party = iota
	OfGenerator       // this process and its machine
	OfNetwork         // what lies between: names, routes
)

// ownErrors are errors of the system by which a request fails before it leaves this machine: no more open files in the
// process or in the system, no more ports for outgoing connections, no memory for sockets, or a rule of this machine
// forbids it (connect(2), socket(2)). The table never changes.
var ownErrors = []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.EADDRINUSE,
	syscall.ENOBUFS, syscall.ENOMEM, syscall.EAGAIN, syscall.EACCES, syscall.EPERM, syscall.EAFNOSUPPORT,
	syscall.EPROTONOSUPPORT}

// wayErrors are errors of the system that say that there is no route from this machine. EHOSTUNREACH is not among them:
// it is what a connection meets when the target's host is down, or its container. The table never changes.
var wayErrors = []syscall.Errno{syscall.ENETUNREACH, syscall.ENETDOWN}

// Blame returns who is to blame for an error of a request. Timeouts, resets, refusals and broken answers count against
// the target.
func Blame(err error) Party {
	is := func(code syscall.Errno) bool { return errors.Is(err, code) }
	var name *net.DNSError
	switch {
	case slices.ContainsFunc(ownErrors, is):
		return OfGenerator
	case slices.ContainsFunc(wayErrors, is), errors.As(err, &name):
		return OfNetwork
	}
	return OfTarget
}
