package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"tandem/wire"
)

// maxTags is how many entity tags an If-Match may name: so many versions fit in a write.
const maxTags = 16

// ErrTag is the class of a condition that is not a list of entity tags (RFC 9110, section 8.8.3).
var ErrTag = errors.New("bad entity tag")

// appendTag appends the entity tag of a version: "epoch-lsn", quoted.
func appendTag(b []byte, epoch, lsn uint64) []byte {
	b = strconv.AppendUint(append(b, '"'), epoch, 10)
	b = strconv.AppendUint(append(b, '-'), lsn, 10)
	return append(b, '"')
}

// parseTags reads the value of If-Match, or of If-None-Match if weak is set: whether it is *, and the versions that it names. A tag that
// no version has becomes the version 0-0, which no user has; so does a weak tag where it does not count. Error: ErrTag.
func parseTags(text string, weak bool) (any bool, versions []wire.Place, err error) {
	if strings.Trim(text, " \t") == "*" {
		return true, nil, nil
	}
	for rest := strings.TrimLeft(text, " \t,"); rest != ""; rest = strings.TrimLeft(rest, " \t,") {
		bare, isWeak := strings.CutPrefix(rest, "W/")
		end := 0
		if strings.HasPrefix(bare, `"`) {
			end = 1 + strings.IndexByte(bare[1:], '"')
		}
		after := strings.TrimLeft(bare[min(end+1, len(bare)):], " \t")
		if end < 1 || strings.ContainsFunc(bare[:end], func(c rune) bool { return c <= ' ' || c == 0x7f }) || after != "" && after[0] != ',' {
			return false, nil, fmt.Errorf(`%w: expected * or a list of tags like "1-42", found %q`, ErrTag, text)
		}
		tag := bare[1:end]
		left, right, _ := strings.Cut(tag, "-")
		epoch, _ := strconv.ParseUint(left, 10, 64)
		lsn, _ := strconv.ParseUint(right, 10, 64)
		if strconv.FormatUint(epoch, 10)+"-"+strconv.FormatUint(lsn, 10) != tag || isWeak && !weak { // a version has one spelling only
			epoch, lsn = 0, 0
		}
		versions, rest = append(versions, wire.Place{Epoch: epoch, LSN: lsn}), after
	}
	if len(versions) == 0 || len(versions) > maxTags && !weak {
		return false, nil, fmt.Errorf(`%w: expected * or 1 to %d tags like "1-42", found %d`, ErrTag, maxTags, len(versions))
	}
	return false, versions, nil
}
