package main

import (
	"fmt"
	"net/http"
	"strings"

	"tandem/shard"
	"tandem/wire"
)

// preconditions are those of a request: If-Match and If-None-Match.
type preconditions struct{ match, unless shard.Condition }

// readConditions reads the preconditions of a request, each of which names at most so many versions, or says what is
// wrong with them. Nothing here has a modification date, so If-Modified-Since and If-Unmodified-Since are passed over
// (RFC 9110, sections 13.1.3 and 13.1.4).
func readConditions(h http.Header, most int) (p preconditions, refused *response) {
	for _, name := range [...]string{"If-Match", "If-None-Match"} {
		lines := h[name]
		if len(lines) == 0 {
			continue
		}
		c, err := parseTags(strings.Join(lines, ","), name == "If-None-Match")
		if err == nil && len(c.Versions) > most {
			err = fmt.Errorf("%w: expected at most %d versions for a write, found %d", errTag, most, len(c.Versions))
		}
		if err != nil {
			a := problem(http.StatusBadRequest, name+": "+err.Error(), nil)
			return p, &a
		}
		if name == "If-Match" {
			p.match = c
		} else {
			p.unless = c
		}
	}
	return p, nil
}

// wireCondition makes the wire's precondition of the core's.
func wireCondition(c shard.Condition) wire.Condition {
	w := wire.Condition{Kind: uint8(c.Kind)}
	for _, p := range c.Versions {
		w.Versions = append(w.Versions, wire.LogPosition(p))
	}
	return w
}

// unmetDetail says which precondition is not met by a user, by none (an empty id), or by what has no version. unless is
// If-None-Match.
func unmetDetail(unmet shard.Unmet, unless shard.Condition, current shard.Record) string {
	switch {
	case unmet == shard.UnlessUnmet && current.LSN == 0:
		return "If-None-Match: something is there"
	case unmet == shard.UnlessUnmet && unless.Kind == shard.AnyVersion:
		return "If-None-Match: * wants no such user, but there is one; the ETag header has its version"
	case unmet == shard.UnlessUnmet:
		return "If-None-Match names the version of the user, which the ETag header has"
	case current.ID == "":
		return "If-Match: there is no such user"
	case current.LSN == 0:
		return "If-Match names a version, and what is there has none"
	}
	return "If-Match does not name the version of the user, which the ETag header has"
}

// conditional makes of a resource's answer to a GET or a HEAD what its preconditions want: 412 or 304. They count for
// what is there, and for a user that is not; any other failure comes before them (RFC 9110, section 13.2.1).
func conditional(p preconditions, a response) response {
	current := shard.Record{ID: "there", Epoch: a.version.Epoch, LSN: a.version.LSN}
	if a.status == http.StatusNotFound {
		current.ID = ""
	} else if a.status != http.StatusOK {
		return a
	}
	unmet := shard.Weigh(p.match, p.unless, current)
	if unmet == shard.MatchUnmet {
		b := problem(http.StatusPreconditionFailed, unmetDetail(unmet, p.unless, current), nil)
		b.etag, b.touched = a.etag, a.touched
		return b
	}
	if unmet == shard.UnlessUnmet {
		a.status, a.body = http.StatusNotModified, nil
	}
	return a
}
