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
	etag     []byte
	location string
	link     string
	total    string
	allow    string
	touched  int
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

// write sends an answer.
func write(w http.ResponseWriter, id string, a *response) {
	h := w.Header()
	h["X-Request-Id"] = []string{id}
	h["Tandem-Nodes-Touched"] = []string{strconv.Itoa(a.touched)}
	optional := [...]struct{ name, value string }{{"Etag", string(a.etag)}, {"Location", a.location}, {"Link", a.link}, {"X-Total-Count", a.total}, {"Allow", a.allow}}
	for _, o := range optional {
		if o.value != "" {
			h[o.name] = []string{o.value}
		}
	}
	switch {
	case a.problem:
		h["Content-Type"] = []string{"application/problem+json"}
	case len(a.body) > 0:
		h["Content-Type"] = []string{"application/json"}
	}
	if a.status == http.StatusServiceUnavailable {
		h["Retry-After"] = []string{"1"}
	}
	if a.status == http.StatusOK || a.status == http.StatusNotModified {
		h["Cache-Control"] = []string{"no-cache"}
	}
	if a.status != http.StatusNoContent && a.status != http.StatusNotModified {
		h["Content-Length"] = []string{strconv.Itoa(len(a.body))}
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // a client that has gone cannot be told
}
