package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"tandem/bench/cluster"
)

// maxAnswer is how much of an answer is read: more than a page of the largest size.
const maxAnswer = 64 << 20

// maxItems is how many users of a page are checked as reads of theirs.
const maxItems = 8

// allowed are the statuses that an operation may be answered with when nothing has failed. The table never changes.
var allowed = map[string][]int{
	opCreate: {201, 409},
	opGet:    {200, 404},
	opUpdate: {200, 404, 412},
	opDelete: {204, 404},
	opCount:  {200},
	opList:   {200},
}

// maxTouched is the largest number of nodes that an answer may name; more is no number of nodes.
const maxTouched = 1 << 10

// client is the way to a target. It is never changed. Close gives it back; when Early is closed no more pages are
// fetched.
type client struct {
	http    *http.Client
	target  string
	timeout time.Duration
	begin   time.Time
	Early   <-chan struct{}
	Close   func()
}

// newClient makes the way to a target with so many connections; without keepAlive each request has a connection of its
// own. No proxy that the environment names is between: its time would be taken for the target's. A connection that is
// not used is closed before a gateway would (after 2 minutes), so that no request meets its end.
func newClient(target string, connections int, keepAlive bool, timeout time.Duration, begin time.Time) client {
	quit := make(chan struct{})
	host, port := hostPort(target)
	dial := dialTo(host, port, timeout, net.DefaultResolver.LookupHost, quit)
	transport := &http.Transport{DialContext: dial, MaxIdleConns: connections, MaxIdleConnsPerHost: connections,
		MaxConnsPerHost: connections, DisableKeepAlives: !keepAlive, DisableCompression: true, IdleConnTimeout: time.Minute}
	noRedirect := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	closing := func() {
		close(quit)
		transport.CloseIdleConnections()
	}
	way := &http.Client{Transport: transport, CheckRedirect: noRedirect}
	return client{way, strings.TrimSuffix(target, "/"), timeout, begin, nil, closing}
}

// partial is a user of which only some fields are sent.
type partial struct {
	ID    string `json:"id"`
	Name  string `json:"name,omitempty"`
	Email string `json:"email,omitempty"`
	Group int64  `json:"group,omitempty"`
}

// request makes the HTTP request of an operation; users is how many a list has to do with.
func request(c client, op operation, match string, users uint64) (*http.Request, error) {
	method, path, body := http.MethodGet, "/api/user/"+op.User.ID, ""
	var content any
	switch op.Kind {
	case opCreate:
		method, path, content = http.MethodPost, "/api/user/", op.User
	case opUpdate:
		method, path, content = http.MethodPut, "/api/user/", partial(op.User)
	case opDelete:
		method = http.MethodDelete
	case opCount:
		path = "/api/user/count"
	case opList:
		offset, _ := bits.Mul64(op.Offset, users)
		path = fmt.Sprintf("/api/user?offset=%d&limit=%d", offset, op.Limit)
	}
	if content != nil {
		text, err := json.Marshal(content)
		if err != nil {
			return nil, err
		}
		body = string(text)
	}
	r, err := http.NewRequest(method, c.target+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if content != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if match != "" {
		r.Header.Set("If-Match", match)
	}
	return r, nil
}

// ask sends the request of an operation and returns what became of it; phase and intended start are the caller's.
func ask(c client, op operation, match string, users uint64) sample {
	s := sample{Op: op, Match: match}
	ctx, cancel := context.WithTimeout(context.Background(), c.timeout)
	defer cancel()
	s.Sent = time.Since(c.begin)
	r, err := request(c, op, match, users)
	var answer *http.Response
	if err == nil {
		answer, err = c.http.Do(r.WithContext(ctx))
	}
	var body []byte
	if err == nil {
		body, err = io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
		answer.Body.Close()
	}
	s.Done = time.Since(c.begin)
	if err != nil {
		s.Failed, s.Whose = true, cluster.Blame(err)
		s.Timeout = s.Whose == cluster.OfTarget && errors.Is(err, context.DeadlineExceeded)
		if s.Err = "timeout"; !s.Timeout {
			s.Err = reasonOf(err)
		}
		return s
	}
	return understand(s, answer, body)
}

// understand reads an answer into a sample.
func understand(s sample, answer *http.Response, body []byte) sample {
	s.Status, s.Tag = answer.StatusCode, answer.Header.Get("ETag")
	if s.Touched, _ = strconv.Atoi(answer.Header.Get("Tandem-Nodes-Touched")); s.Touched > maxTouched {
		s.Touched = 0
	}
	if s.Failed = s.Status >= 500 || s.Status == http.StatusTooManyRequests; s.Failed {
		s.Err, s.Why = "status "+answer.Status, fmt.Sprintf(": %.300s", bytes.TrimSpace(body))
		return s
	}
	known := false
	for _, status := range allowed[s.Op.Kind] {
		known = known || status == s.Status
	}
	var err error
	switch kind := s.Op.Kind; {
	case !known:
		s.Wrong = fmt.Sprintf("status %s, expected one of %v: %.200s", answer.Status, allowed[kind], body)
	case s.Status >= 300 || s.Status == http.StatusNoContent:
	case kind == opCount:
		var got struct{ Count *uint64 }
		if err = json.Unmarshal(body, &got); err == nil && got.Count == nil {
			err = errors.New("no count in it")
		}
		if err == nil {
			s.Count = *got.Count
		}
	case kind == opList:
		if s.Count, err = strconv.ParseUint(answer.Header.Get("X-Total-Count"), 10, 64); err == nil {
			err = json.Unmarshal(body, &s.Items)
		}
		ids := map[string]bool{}
		for _, u := range s.Items {
			ids[u.ID] = true
		}
		if err == nil && (len(ids) != len(s.Items) || uint64(len(ids)) > s.Op.Limit) {
			s.Wrong = fmt.Sprintf("a page of %d users, %d different ones, at most %d were asked for", len(s.Items),
				len(ids), s.Op.Limit)
		}
		s.Items = slices.Clone(s.Items[:min(len(s.Items), maxItems)])
	default:
		if err = json.Unmarshal(body, &s.Read); err == nil && s.Read.ID != s.Op.User.ID {
			s.Wrong = fmt.Sprintf("the answer is about user %q", s.Read.ID)
		}
	}
	if err != nil {
		s.Wrong = fmt.Sprintf("status %d with a body that cannot be read: %v: %.200q", s.Status, err, body)
	}
	return s
}
