package main

import (
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// response is an answer before it is written. Fields that are empty make no header.
type response struct {
	status   int
	problem  bool // the body is application/problem+json
	body     []byte
	etag     string
	location string
	link     string
	total    string
	allow    string
	touched  int
	unread   *unreadNote // of a list: gives its room back when it is written; nil for none
}

// problem makes an answer of application/problem+json (RFC 9457) with every field that is wrong. Its type is the default, about:blank: the
// status says what kind of problem it is.
func problem(status int, detail string, fields []FieldError) response {
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
)

// write sends an answer, but for a body for which room was taken: that one is left to writeBody.
func write(w http.ResponseWriter, id string, a *response) {
	h := w.Header()
	names := [...]string{"X-Request-Id", "Tandem-Nodes-Touched", "Etag", "Location", "Link", "X-Total-Count", "Allow"}
	values := &[...]string{id, strconv.Itoa(a.touched), a.etag, a.location, a.link, a.total, a.allow, ""}
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
