package main

import (
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"tandem/shard"
)

// response is an answer before it is written. Fields that are empty make no header.
type response struct {
	status   int
	problem  bool // the body is application/problem+json
	body     []byte
	version  shard.Position // of the user, 0-0 for none; etag says it
	etag     string
	location string // of what was created
	about    string // the resource that the body shows, if it is not the one that was asked
	link     string
	total    string
	allow    string
	touched  int
	unread   *reservation // of a list: released when it is written; nil for none
	hangUp   bool         // the connection is closed after it: the request has not been read whole
}

// problem makes an answer of application/problem+json (RFC 9457) with every field that is wrong. Its type is the
// default, about:blank: the status says what kind of problem it is.
func problem(status int, detail string, fields []fieldError) response {
	b := append([]byte(nil), `{"type":"about:blank","title":`...)
	b, _ = jsontext.AppendQuote(b, http.StatusText(status))
	b = strconv.AppendInt(append(b, `,"status":`...), int64(status), 10)
	b, _ = jsontext.AppendQuote(append(b, `,"detail":`...), detail)
	for i, f := range fields {
		if i == 0 {
			b = append(b, `,"errors":[`...)
		} else {
			b = append(b, ',')
		}
		b, _ = jsontext.AppendQuote(append(b, `{"field":`...), f.Field)
		b, _ = jsontext.AppendQuote(append(b, `,"detail":`...), f.Detail)
		b = append(b, '}')
	}
	if len(fields) > 0 {
		b = append(b, ']')
	}
	return response{status: status, problem: true, body: append(b, "}\n"...)}
}

// Values of headers that never change.
var (
	problemType = []string{"application/problem+json"}
	jsonType    = []string{"application/json"}
	retryAfter  = []string{"1"}
	noCache     = []string{"no-cache"}
	closing     = []string{"close"}
)

// write sends an answer, but for a body whose bytes are reserved: that one is left to writeBody.
func write(w http.ResponseWriter, id string, a *response) {
	h := w.Header()
	names := [...]string{"X-Request-Id", "Tandem-Nodes-Touched", "Etag", "Location", "Content-Location", "Link",
		"X-Total-Count", "Allow"}
	values := &[...]string{id, strconv.Itoa(a.touched), a.etag, a.location, a.about, a.link, a.total, a.allow, ""}
	for i, name := range names {
		if values[i] != "" {
			h[name] = values[i : i+1 : i+1]
		}
	}
	switch {
	case a.problem:
		h["Content-Type"] = problemType
	case len(a.body) > 0:
		h["Content-Type"] = jsonType
	}
	if a.hangUp {
		h["Connection"] = closing
	}
	if a.status == http.StatusServiceUnavailable {
		h["Retry-After"] = retryAfter
	}
	if a.status == http.StatusOK || a.status == http.StatusNotModified {
		h["Cache-Control"] = noCache
	}
	if a.status != http.StatusNoContent && a.status != http.StatusNotModified {
		i := len(values) - 1
		values[i] = strconv.Itoa(len(a.body))
		h["Content-Length"] = values[i:]
	}
	w.WriteHeader(a.status)
	if a.unread == nil {
		_, _ = w.Write(a.body) // a client that has gone cannot be told
	}
}
