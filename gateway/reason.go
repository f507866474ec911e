package main

import (
	"errors"
	"fmt"
	"net"
	"slices"
)

// errLink is the class of a request that got no answer because of its connection.
var errLink = errors.New("no answer of a connection")

// The classes of a try whose frame certainly did not leave, and of one at a node that has been unreachable or stuck for
// long.
var (
	errNotSent    = errors.New("not sent")
	errPersistent = errors.New("for long")
)

// unreachableText says that a node has been unreachable for unreachableAfter.
var unreachableText = fmt.Sprintf("has not been reached for more than %v", unreachableAfter)

// classified is why a try brought no answer, as people read it, and the classes that it belongs to, which the text
// leaves out.
type classified struct {
	error
	classes []error
}

// Is tells whether an error is of a class.
func (m classified) Is(class error) bool { return slices.Contains(m.classes, class) }

// Unwrap returns what was classified.
func (m classified) Unwrap() error { return m.error }

// notReached says what there is of a connection to a node, and why. The address is said once.
func notReached(member member, what string, why error, as ...error) error {
	dial := &net.OpError{}
	if errors.As(why, &dial) && dial.Addr != nil && dial.Addr.String() == member.Address {
		why = dial.Err
	}
	return classified{fmt.Errorf("%s (%s) %s: %w", member.Name, member.Address, what, why), as}
}

// queueFull says that a queue on the way to a node had no place for a request.
func queueFull(node string) error {
	return classified{errors.New("too many requests wait for " + node), []error{errLink, errNotSent}}
}

// isSilent says that a node has not answered a try in its time.
func isSilent(node string) error {
	return classified{errors.New(node + " is silent"), []error{errLink}}
}
