package main

import (
	"encoding/base64"
	"net/url"
	"strconv"

	"tandem/shard"
)

// Query is what a list asks for: Limit users from Offset on, or, if Walk, behind the user After ("": from the start).
type Query struct {
	Offset, Limit uint64
	Walk          bool
	After         string
}

const (
	limitMost    = 1000
	limitDefault = 100
	cursorMark   = 'c' // first byte of a cursor: the version of its format
)

// parseQuery reads the parameters of a list, and every one that is wrong. Others are passed over.
func parseQuery(values url.Values) (Query, []FieldError) {
	q, bad := Query{Limit: limitDefault}, []FieldError(nil)
	for _, name := range [...]string{"offset", "limit", "after"} {
		if len(values[name]) > 1 {
			bad = append(bad, FieldError{name, "repeated parameter"})
		}
	}
	if values.Has("offset") {
		n, err := strconv.ParseUint(values.Get("offset"), 10, 63)
		if err != nil {
			bad = append(bad, FieldError{"offset", "expected an integer from 0 on"})
		}
		q.Offset = n
	}
	if values.Has("limit") {
		n, err := strconv.ParseUint(values.Get("limit"), 10, 63)
		if err != nil || n < 1 || n > limitMost {
			bad = append(bad, FieldError{"limit", "expected an integer from 1 to 1000"})
		}
		q.Limit = n
	}
	if !values.Has("after") {
		return q, bad
	}
	if values.Has("offset") {
		bad = append(bad, FieldError{"after", "offset and after exclude each other"})
	}
	q.Walk = true
	text := values.Get("after")
	if text == "" {
		return q, bad
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil && len(b) > 0 {
		q.After = string(b[1:])
	}
	if shard.CheckID(q.After) != nil || cursor(q.After) != text { // the decoder passes over line breaks and odd bits
		bad = append(bad, FieldError{"after", "expected a cursor from a Link header, or nothing to start a walk"})
	}
	return q, bad
}

// cursor makes the opaque cursor behind a user.
func cursor(id string) string {
	return base64.RawURLEncoding.EncodeToString(append([]byte{cursorMark}, id...))
}

// link makes the value of the Link header (RFC 8288) of a page with its number of users, last being the id of its last one. more tells that
// shards with users lie behind those that a walk has read, so that it goes on although the page is not full.
func link(q Query, total, users uint64, last string, more bool) string {
	limit := strconv.FormatUint(q.Limit, 10)
	at := func(offset uint64, rel string) string {
		return "</api/user?offset=" + strconv.FormatUint(offset, 10) + "&limit=" + limit + `>; rel="` + rel + `"`
	}
	if q.Walk {
		walk := "</api/user?after=&limit=" + limit + `>; rel="first"`
		if users == q.Limit || users > 0 && more {
			walk += ", </api/user?after=" + cursor(last) + "&limit=" + limit + `>; rel="next"`
		}
		return walk
	}
	final := uint64(0)
	if total > 0 {
		final = (total - 1) / q.Limit * q.Limit
	}
	text := at(0, "first")
	if q.Offset > 0 {
		text += ", " + at(min(q.Offset-min(q.Offset, q.Limit), final), "prev") // past the end, the last page is the one before
	}
	if q.Offset+users < total && users > 0 {
		text += ", " + at(q.Offset+users, "next")
	}
	return text + ", " + at(final, "last")
}
