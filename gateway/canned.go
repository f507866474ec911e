package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// What net/http writes, in one piece, behind the status line of an answer that it gives without asking a handler; no
// handler writes these headers. Only the answer to an unknown Expect looks otherwise.
const libraryHeaders = "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"

// libraryAnswer tells whether bytes that are written to a client are such an answer, and what it says.
func libraryAnswer(b []byte) (status int, detail string, is bool) {
	line, found := bytes.CutPrefix(b, []byte("HTTP/1.1 "))
	if !found || len(line) < 3 || line[0] != '4' && line[0] != '5' {
		return 0, "", false
	}
	status, err := strconv.Atoi(string(line[:3]))
	if err != nil {
		return 0, "", false
	}
	if status == http.StatusExpectationFailed {
		return status, "expected no Expect, or 100-continue", true
	}
	end := max(bytes.IndexByte(line, '\r'), 0)
	rest, is := bytes.CutPrefix(line[end:], []byte(libraryHeaders))
	text := strings.TrimPrefix(string(rest), fmt.Sprintf("%d %s", status, http.StatusText(status)))
	switch text = strings.TrimPrefix(text, ": "); {
	case status == http.StatusRequestHeaderFieldsTooLarge:
		text = fmt.Sprintf("expected at most %d bytes of request line and headers", maxHeaders)
	case text == "":
		text = "the request line, a header or the framing of the body is malformed"
	}
	return status, text, is
}

// problemConn is a connection of a client on which what net/http answers by itself is said as everything else is: as a
// problem, with a request id.
type problemConn struct {
	net.Conn
	metrics metrics
}

func (c problemConn) Write(b []byte) (int, error) {
	status, detail, is := libraryAnswer(b)
	if !is {
		return c.Conn.Write(b)
	}
	c.metrics.Requests.WithLabelValues("unparsed", strconv.Itoa(status)).Inc()
	p := problem(status, detail, nil)
	answer := http.Response{StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Close: true,
		ContentLength: int64(len(p.body)), Body: io.NopCloser(bytes.NewReader(p.body)),
		Header: http.Header{"Content-Type": {"application/problem+json"}, "X-Request-Id": {uuid.NewString()},
			"Tandem-Nodes-Touched": {"0"}, "Date": {time.Now().UTC().Format(http.TimeFormat)}}}
	out := bytes.Buffer{}
	if err := answer.Write(&out); err != nil {
		return 0, err
	}
	if _, err := c.Conn.Write(out.Bytes()); err != nil {
		return 0, err
	}
	return len(b), nil // net/http counts what it wrote
}

// problemListener makes every connection a problemConn.
type problemListener struct {
	net.Listener
	metrics metrics
}

func (l problemListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return problemConn{conn, l.metrics}, nil
}

// problemsOf has the connections of a listener say as problems what net/http answers by itself.
func problemsOf(l net.Listener, m metrics) net.Listener { return problemListener{l, m} }
