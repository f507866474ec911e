package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"tandem/shard"
)

// result is an answer of the gateway.
type result struct {
	status int
	header http.Header
	body   string
}

// ask sends one request; headers are pairs of name and value.
func (r *rig) ask(method, path, body string, headers ...string) result {
	r.t.Helper()
	request, err := http.NewRequest(method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Add(headers[i], headers[i+1])
	}
	if r.url == "" {
		answer := httptest.NewRecorder()
		r.handler.ServeHTTP(answer, request)
		return result{answer.Code, answer.Header(), answer.Body.String()}
	}
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request) // follows no redirect
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return result{response.StatusCode, response.Header, string(text)}
}

// must is ask that wants a status, and for every refusal a problem.
func (r *rig) must(status int, method, path, body string, headers ...string) result {
	r.t.Helper()
	got := r.ask(method, path, body, headers...)
	if got.status != status {
		r.t.Fatalf("%s %s %.200s: status %d, expected %d: %.300s", method, path, body, got.status, status, got.body)
	}
	if got.header.Get("X-Request-Id") == "" || got.header.Get("Tandem-Nodes-Touched") == "" {
		r.t.Errorf("%s %s: headers %v", method, path, got.header)
	}
	if status >= 400 && method != http.MethodHead {
		isProblem(r.t, got)
	}
	return got
}

// isProblem holds that an answer is a problem as RFC 9457 has it, and returns the fields that it names.
func isProblem(t testing.TB, got result) []string {
	t.Helper()
	var p struct {
		Type, Title, Detail string
		Status              int
		Errors              []struct{ Field, Detail string }
	}
	if err := json.Unmarshal([]byte(got.body), &p); err != nil ||
		got.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("no problem: %v in %s %.200s", err, got.header.Get("Content-Type"), got.body)
	}
	if p.Type != "about:blank" || p.Title != http.StatusText(got.status) || p.Status != got.status || p.Detail == "" {
		t.Errorf("status %d: problem %+v", got.status, p)
	}
	if again := got.header.Get("Retry-After"); (again != "") != (got.status == http.StatusServiceUnavailable) {
		t.Errorf("status %d: Retry-After %q", got.status, again)
	}
	fields := []string{}
	for _, f := range p.Errors {
		if f.Detail == "" {
			t.Errorf("field %q without a detail", f.Field)
		}
		fields = append(fields, f.Field)
	}
	return fields
}

// idLedBy returns an id whose shard a node leads.
func (r *rig) idLedBy(node int, prefix string) string {
	for i := 0; ; i++ {
		id := prefix + strconv.Itoa(i)
		if s, _ := shard.ShardOf(r.wiring.Layout, id); shard.InitialView(r.wiring.Layout, s).Leader == node {
			return id
		}
	}
}
