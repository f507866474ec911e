package main

import (
	"cmp"
	"net/http"
	"strconv"
	"time"

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

// headerNames are those of the headers that write sets.
var headerNames = [...]string{"X-Request-Id", "Tandem-Nodes-Touched", "Etag", "Location", "Content-Location", "Link",
	"X-Total-Count", "Allow", "Content-Type", "Connection", "Retry-After", "Cache-Control", "Content-Length"}

// write sends an answer, but for a body whose bytes are reserved: that one is left to writeBody.
func write(w http.ResponseWriter, id string, a *response) {
	kind, connection, retry := "", "", ""
	switch {
	case a.problem:
		kind = "application/problem+json"
	case len(a.body) > 0:
		kind = "application/json"
	}
	if a.hangUp {
		connection = "close"
	}
	if a.status == http.StatusServiceUnavailable {
		retry = "1"
	}
	cache, length := "", ""
	if a.status == http.StatusOK || a.status == http.StatusNotModified {
		cache = "no-cache"
	}
	if a.status != http.StatusNoContent && a.status != http.StatusNotModified {
		length = strconv.Itoa(len(a.body))
	}
	values := [...]string{id, strconv.Itoa(a.touched), a.etag, a.location, a.about, a.link, a.total,
		cmp.Or(a.allow, w.Header().Get("Allow")), kind, connection, retry, cache, length}
	client, plain := w.(plainClient)
	if !plain {
		setHeaders(w.Header(), values)
		w.WriteHeader(a.status)
		if a.unread == nil {
			_, _ = w.Write(a.body) // a client that has gone cannot be told
		}
		return
	}
	now, b := time.Now(), strconv.AppendInt(append(client.space, "HTTP/1.1 "...), int64(a.status), 10)
	b = append(append(b, ' '), http.StatusText(a.status)...)
	b = now.UTC().AppendFormat(append(b, "\r\nDate: "...), http.TimeFormat)
	for i, v := range values {
		if v != "" {
			b = append(append(append(append(b, "\r\n"...), headerNames[i]...), ": "...), v...)
		}
	}
	if b = append(b, "\r\n\r\n"...); a.unread == nil {
		b = append(b, a.body...)
	}
	_ = client.SetWriteDeadline(now.Add(writeFor))
	if _, err := client.Conn.Write(b); err != nil || a.hangUp {
		client.Close()
	}
}

// setHeaders sets the headers that have a value.
func setHeaders(h http.Header, values [len(headerNames)]string) {
	for i, name := range headerNames {
		if values[i] != "" {
			h[name] = values[i : i+1 : i+1]
		}
	}
}
