package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"tandem/wire"
)

// maxTags is how many entity tags a condition may name.
const maxTags = 16

// ErrTag is the class of a condition that is not a list of entity tags (RFC 9110, section 8.8.3).
var ErrTag = errors.New("bad entity tag")

// appendTag appends the entity tag of a version: "epoch-lsn", quoted.
func appendTag(b []byte, epoch, lsn uint64) []byte {
	b = strconv.AppendUint(append(b, '"'), epoch, 10)
	b = strconv.AppendUint(append(b, '-'), lsn, 10)
	return append(b, '"')
}

// parseTags reads the value of If-Match or If-None-Match: whether it is *, and the versions that it names. A strong tag that no
// version has becomes the version 0-0; weak tags are left out unless weak is set. Error: ErrTag.
func parseTags(value string, weak bool) (any bool, versions []wire.Place, err error) {
	value = strings.TrimSpace(value)
	if value == "*" {
		return true, nil, nil
	}
	for tag := range strings.SplitSeq(value, ",") {
		tag = strings.TrimSpace(tag)
		bare := strings.TrimPrefix(tag, "W/")
		if len(bare) < 2 || bare[0] != '"' || bare[len(bare)-1] != '"' || len(versions) == maxTags {
			return false, nil, fmt.Errorf(`%w: expected * or up to %d tags like "1-42", found %q`, ErrTag, maxTags, value)
		}
		left, right, _ := strings.Cut(bare[1:len(bare)-1], "-")
		epoch, badEpoch := strconv.ParseUint(left, 10, 64)
		lsn, badLSN := strconv.ParseUint(right, 10, 64)
		if badEpoch != nil || badLSN != nil || (bare != tag && !weak) {
			epoch, lsn = 0, 0
		}
		versions = append(versions, wire.Place{Epoch: epoch, LSN: lsn})
	}
	return false, versions, nil
}
