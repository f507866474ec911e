package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"tandem/shard"
)

// maxTags is how many versions each precondition of a write may name: so many fit in its frame.
const maxTags = 16

// errTag is the class of a condition that is not a list of entity tags (RFC 9110, section 8.8.3).
var errTag = errors.New("bad entity tag")

// appendTag appends the entity tag of a version: "epoch-lsn", quoted.
func appendTag(b []byte, epoch, lsn uint64) []byte {
	b = strconv.AppendUint(append(b, '"'), epoch, 10)
	b = strconv.AppendUint(append(b, '-'), lsn, 10)
	return append(b, '"')
}

// parseTags reads the value of If-Match, or of If-None-Match if weak is set: a user of any version for *, else of one
// of the versions that it names. A tag that no version has names none, nor does a weak one where it does not count (RFC
// 9110, section 8.8.3.2). Error: errTag.
func parseTags(text string, weak bool) (shard.Condition, error) {
	if strings.Trim(text, " \t") == "*" {
		return shard.Condition{Kind: shard.AnyVersion}, nil
	}
	c, tags := shard.Condition{Kind: shard.OneOf}, 0
	for rest := strings.TrimLeft(text, " \t,"); rest != ""; rest = strings.TrimLeft(rest, " \t,") {
		bare, isWeak := strings.CutPrefix(rest, "W/")
		end := 0
		if strings.HasPrefix(bare, `"`) {
			end = 1 + strings.IndexByte(bare[1:], '"')
		}
		after := strings.TrimLeft(bare[min(end+1, len(bare)):], " \t")
		if end < 1 || strings.ContainsFunc(bare[:end], func(c rune) bool { return c <= ' ' || c == 0x7f }) ||
			after != "" && after[0] != ',' {
			return shard.Condition{}, fmt.Errorf(`%w: expected * or a list of tags like "1-42", found %q`, errTag, text)
		}
		tag := bare[1:end]
		left, right, _ := strings.Cut(tag, "-")
		epoch, _ := strconv.ParseUint(left, 10, 64)
		lsn, _ := strconv.ParseUint(right, 10, 64)
		// a version has one spelling only, and none is 0
		spelt := strconv.FormatUint(epoch, 10) + "-" + strconv.FormatUint(lsn, 10)
		at := shard.Position{Epoch: epoch, LSN: lsn}
		if spelt == tag && lsn > 0 && (weak || !isWeak) && !slices.Contains(c.Versions, at) {
			c.Versions = append(c.Versions, at)
		}
		tags, rest = tags+1, after
	}
	if tags == 0 {
		return shard.Condition{}, fmt.Errorf(`%w: expected * or a list of tags like "1-42", found none`, errTag)
	}
	return c, nil
}
