package main

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"syscall"
)

// errOwn is the class of what this machine lacks to make a run: it says nothing about the target.
var errOwn = errors.New("this machine's own shortage")

// party is whose fault a request without an answer is.
type party int

const (
	// also of whatever stands for it: its host that does not answer, its port at which nobody listens
	ofTarget    party = iota
	ofGenerator       // this process and its machine
	ofNetwork         // what lies between: names, routes
)

// ownErrors are errors of the system by which a request fails before it leaves this machine: no more open files in the
// process or in the system, no more ports for outgoing connections, no memory for sockets, or a rule of this machine
// forbids it (connect(2), socket(2)). The table never changes.
var ownErrors = []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.EADDRINUSE,
	syscall.ENOBUFS, syscall.ENOMEM, syscall.EAGAIN, syscall.EACCES, syscall.EPERM, syscall.EAFNOSUPPORT,
	syscall.EPROTONOSUPPORT}

// wayErrors are errors of the system that say that there is no way from this machine. EHOSTUNREACH is not among them:
// it is what a connection meets when the target's host is down, or its container. The table never changes.
var wayErrors = []syscall.Errno{syscall.ENETUNREACH, syscall.ENETDOWN}

// blame returns whose fault an error of a request is. What nothing else explains is the target's: silence, resets,
// refusals, broken answers.
func blame(err error) party {
	is := func(code syscall.Errno) bool { return errors.Is(err, code) }
	var name *net.DNSError
	switch {
	case slices.ContainsFunc(ownErrors, is):
		return ofGenerator
	case slices.ContainsFunc(wayErrors, is), errors.As(err, &name):
		return ofNetwork
	}
	return ofTarget
}

// reasonOf is an error of a request without what differs from one to the next, so that equal failures are counted
// together: no URL, no port.
func reasonOf(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Op + ": " + op.Err.Error()
	}
	if inner := errors.Unwrap(err); inner != nil {
		return inner.Error()
	}
	return err.Error()
}

// shortagesOf says of which requests the failure is not the target's, by reason.
func shortagesOf(own map[string]uint64) []string {
	list := []string{}
	for why, n := range own {
		list = append(list, fmt.Sprintf("%d requests failed here and not at the target: %s", n, why))
	}
	slices.Sort(list)
	return list
}

// ownShare puts before a reason whose it is, if it is not the target's.
func ownShare(whose party, why string) string {
	switch whose {
	case ofGenerator:
		return "this machine's own: " + why
	case ofNetwork:
		return "on the way: " + why
	}
	return why
}
