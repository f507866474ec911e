package main

import (
	"errors"
	"fmt"
	"net"
	"slices"

	"tandem/bench/cluster"
)

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
func ownShare(whose cluster.Party, why string) string {
	switch whose {
	case cluster.OfGenerator:
		return "this machine's own: " + why
	case cluster.OfNetwork:
		return "on the way: " + why
	}
	return why
}
