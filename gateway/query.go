package main

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"tandem/shard"
)

// query is what a list asks for: Limit users from Offset on, or, if Walk, behind the user After ("": from the start).
type query struct {
	Offset, Limit uint64
	Walk          bool
	After         string
}

const (
	maxLimit     = 1000
	defaultLimit = 100
	cursorMark   = 'c' // first byte of a cursor: the version of its format
)

// checkQuery reads a query of which these parameters are known, each at most once but for lists, name[], and names
// those that are not as they should be. A query that is malformed is refused.
func checkQuery(raw string, known []string) (values url.Values, bad []fieldError, refused *response) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		a := problem(http.StatusBadRequest, "the query is malformed: "+err.Error(), nil)
		return nil, nil, &a
	}
	for name, given := range values {
		switch {
		case len(known) == 0:
			bad = append(bad, fieldError{name, "unknown parameter; this resource takes none"})
		case !slices.Contains(known, name):
			bad = append(bad, fieldError{name, "unknown parameter; expected one of [" + strings.Join(known, " ") + "]"})
		case len(given) > 1 && !strings.HasSuffix(name, "[]"):
			bad = append(bad, fieldError{name, "repeated parameter"})
		}
	}
	slices.SortFunc(bad, func(a, b fieldError) int { return strings.Compare(a.Field, b.Field) })
	return values, bad, nil
}

// refuseParameters is the problem with parameters, nil if there is none.
func refuseParameters(bad []fieldError) *response {
	if len(bad) == 0 {
		return nil
	}
	a := problem(http.StatusBadRequest, "parameters that are wrong", bad)
	return &a
}

// parseQuery reads the parameters of a list, and every one that is wrong.
func parseQuery(values url.Values) (query, []fieldError) {
	q, bad := query{Limit: defaultLimit}, []fieldError(nil)
	if values.Has("offset") {
		n, err := strconv.ParseUint(values.Get("offset"), 10, 63)
		if err != nil {
			bad = append(bad, fieldError{"offset", "expected an integer from 0 on"})
		}
		q.Offset = n
	}
	if values.Has("limit") {
		n, err := strconv.ParseUint(values.Get("limit"), 10, 63)
		if err != nil || n < 1 || n > maxLimit {
			bad = append(bad, fieldError{"limit", "expected an integer from 1 to 1000"})
		}
		q.Limit = n
	}
	if !values.Has("after") {
		return q, bad
	}
	if values.Has("offset") {
		bad = append(bad, fieldError{"after", "offset and after exclude each other"})
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
		bad = append(bad, fieldError{"after", "expected a cursor from a Link header, or nothing to start a walk"})
	}
	return q, bad
}

// cursor makes the opaque cursor behind a user.
func cursor(id string) string {
	return base64.RawURLEncoding.EncodeToString(append([]byte{cursorMark}, id...))
}

// link makes the value of the Link header (RFC 8288) of a page with its number of users, last being the id of its last
// one. more tells that shards with users lie behind those that a walk has read, so that it goes on although the page is
// not full. A reference that is a query only keeps the path that the client asked, whatever it was (RFC 3986, section
// 5.2.2).
func link(q query, total, users uint64, last string, more bool) string {
	limit := strconv.FormatUint(q.Limit, 10)
	at := func(offset uint64, rel string) string {
		return "<?offset=" + strconv.FormatUint(offset, 10) + "&limit=" + limit + `>; rel="` + rel + `"`
	}
	if q.Walk {
		walk := "<?after=&limit=" + limit + `>; rel="first"`
		if users == q.Limit || users > 0 && more {
			walk += ", <?after=" + cursor(last) + "&limit=" + limit + `>; rel="next"`
		}
		return walk
	}
	final := uint64(0)
	if total > 0 {
		final = (total - 1) / q.Limit * q.Limit
	}
	text := at(0, "first")
	if q.Offset > 0 {
		// past the end, the last page is the one before
		text += ", " + at(min(q.Offset-min(q.Offset, q.Limit), final), "prev")
	}
	if q.Offset+users < total && users > 0 {
		text += ", " + at(q.Offset+users, "next")
	}
	return text + ", " + at(final, "last")
}
