package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"tandem/shard"
)

// TestRESTRules holds the rules of docs/rest.md against the real processes.
func TestRESTRules(t *testing.T) {
	t.Parallel()
	c := startPatient(t, 3)
	upload := make(chan string, 1)
	go slowUpload(c.plan.HTTP, upload)
	t.Run("preconditions", c.preconditions)
	t.Run("stored and put back", c.putBack)
	t.Run("canned", c.cannedAnswers)
	t.Run("prefix", c.behindAPrefix)
	answer := <-upload
	isProblem, closes := strings.Contains(answer, "problem+json"), strings.Contains(answer, "\r\nConnection: close\r\n")
	if !strings.HasPrefix(answer, "HTTP/1.1 408 ") || !isProblem || !closes {
		t.Errorf("a slow upload is answered %q", answer)
	}
}

// slowUpload begins a create and never ends it, and sends all that the gateway says.
func slowUpload(address string, out chan<- string) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		out <- err.Error()
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn, "POST /api/user/ HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
	answer, _ := io.ReadAll(conn)
	out <- string(answer)
}

// preconditions are decided by the leader: what a stale client asks for is not done.
func (c *testCluster) preconditions(t *testing.T) {
	body := func(id string) string { return `{"id":"` + id + `","name":"n","email":"e","group":1}` }
	old := c.must(201, "POST", "/api/user/", body("p1"), "If-None-Match", "*").header.Get("ETag")
	now := c.must(200, "PUT", "/api/user/", `{"id":"p1","group":2}`, "If-Match", `"9-9", `+old).header.Get("ETag")
	for _, k := range []struct {
		status             int
		method, path, body string
		headers            []string
	}{
		{412, "POST", "/api/user/", body("p1"), []string{"If-None-Match", "*"}},
		{412, "POST", "/api/user/", body("p2"), []string{"If-Match", "*"}},
		{409, "POST", "/api/user/", body("p1"), []string{"If-Match", now}},
		{409, "POST", "/api/user/", body("p1"), []string{"If-None-Match", old}},
		{412, "PUT", "/api/user/", `{"id":"p1","group":3}`, []string{"If-None-Match", now}},
		{412, "PUT", "/api/user/", `{"id":"p1","group":3}`, []string{"If-Match", "W/" + now}},
		{412, "PUT", "/api/user/", `{"id":"p2","group":3}`, []string{"If-Match", "*"}},
		{404, "PUT", "/api/user/", `{"id":"p2","group":3}`, []string{"If-None-Match", "*"}},
		{412, "DELETE", "/api/user/p1", "", []string{"If-None-Match", "W/" + now}},
		{412, "DELETE", "/api/user/p1", "", []string{"If-Match", `"foreign"`}},
		{412, "DELETE", "/api/user/p1", "", []string{"If-Match", now, "If-None-Match", "*"}},
		{412, "DELETE", "/api/user/p2", "", []string{"If-Match", old}},
		{412, "GET", "/api/user/p1", "", []string{"If-Match", old, "If-None-Match", now}},
		{412, "GET", "/api/user/p2", "", []string{"If-Match", "*"}},
		{304, "GET", "/api/user/p1", "", []string{"If-Match", now, "If-None-Match", "*"}},
		{304, "GET", "/api/user/count", "", []string{"If-None-Match", "*"}},
		{412, "GET", "/api/user", "", []string{"If-Match", now}},
		{200, "GET", "/api/user/p1", "", []string{"If-Match", "*"}},
		{200, "PUT", "/api/user/", `{"id":"p1","group":2}`, []string{"If-None-Match", old, "If-Match", now}},
		{204, "DELETE", "/api/user/p1", "", []string{"If-Match", "*", "If-None-Match", `"a,b", ` + now}},
	} {
		if got := c.must(k.status, k.method, k.path, k.body, k.headers...); k.status >= 400 {
			checkProblem(t, got)
		}
	}
	checkProblem(t, c.must(404, "GET", "/api/user/p2", ""))
}

// putBack stores the largest users that there can be, in the longest spelling, and puts back what is read.
func (c *testCluster) putBack(t *testing.T) {
	spelling := `"` + strings.Repeat(`\u0000`, shard.MaxText/2) + `"`
	large := `{"id":"large","name":` + spelling + `,"email":` + spelling + `,"group":-9223372036854775808}`
	c.must(201, "POST", "/api/user/", large)
	got := c.must(200, "GET", "/api/user/large", "")
	if put := c.must(200, "PUT", "/api/user/", got.body); put.body != got.body || len(got.body) < 6*shard.MaxText {
		t.Errorf("put back, %d bytes are %d", len(got.body), len(put.body))
	}
	larger := `{"id":"large","name":"` + strings.Repeat("x", shard.MaxText/2+1) + `"}`
	checkProblem(t, c.must(422, "PUT", "/api/user/", larger))
	if list := c.must(200, "GET", "/api/user?limit=10", ""); !strings.Contains(list.body, strings.TrimSpace(got.body)) {
		t.Errorf("a list of %d bytes shows another user", len(list.body))
	}
	for _, id := range []string{".", "..", "changes", "count"} {
		checkProblem(t, c.must(422, "POST", "/api/user/", `{"id":"`+id+`","name":"n","email":"e","group":1}`))
	}
	c.must(204, "DELETE", "/api/user/large", "")
}

// cannedAnswers are those of net/http, which look like all others.
func (c *testCluster) cannedAnswers(t *testing.T) {
	for request, status := range map[string]int{
		"GET /api/user HTTP/1.1\r\n\r\n":    400,
		"nonsense\r\n\r\n":                  400,
		"GET / HTTP/9.9\r\nHost: x\r\n\r\n": 505,
		"GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n": 431,
		"PUT /api/user HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\n\r\n":               417,
		"PUT /api/user HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: x\r\n\r\n":           501,
	} {
		said := bytes.NewReader(throw(t, c.plan.HTTP, []byte(request), false))
		answer, err := http.ReadResponse(bufio.NewReader(said), nil)
		if err != nil {
			t.Errorf("%.50q: %v", request, err)
			continue
		}
		text, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != status || !answer.Close {
			t.Errorf("%.50q: %v, %s", request, err, answer.Status)
		}
		checkProblem(t, reply{answer.StatusCode, answer.Header, string(text), nil})
	}
}

// behindAPrefix has the load generator's own clients follow the links of a gateway behind a reverse proxy that takes a
// prefix off.
func (c *testCluster) behindAPrefix(t *testing.T) {
	to, err := url.Parse("http://" + c.plan.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	pass := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(to) }}
	proxy := httptest.NewServer(http.StripPrefix("/storage/v1", pass))
	defer proxy.Close()
	target, users := proxy.URL+"/storage/v1", map[string]user{}
	list := make([]user, 2500)
	for i := range list {
		list[i] = user{ID: fmt.Sprint("prefix-", i), Name: "n", Email: "e", Group: int64(i + 1)}
		users[list[i].ID] = list[i]
	}
	c.createAll(t, list)
	there := newClient(target, 1, true, patience, time.Now())
	if why := walkUsers(there, users, c.count()-uint64(len(users))); why != "" {
		t.Error("behind a prefix:", why)
	}
	if err := (pagesCommand{Target: target, Samples: 60, Limit: 10}).Run(ending{}); err != nil {
		t.Error(err)
	}
	for _, path := range []string{"/api/user", "/api/user/"} {
		nameless := strings.NewReader(`{"name":"n","email":"e","group":1}`)
		answer, err := http.Post(target+path, "application/json", nameless)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		at, err := answer.Location() // resolved against what was asked, as the library does it for every client
		if err != nil {
			t.Fatal(err)
		}
		got, err := http.Get(at.String())
		if err != nil {
			t.Fatal(err)
		}
		got.Body.Close()
		if got.StatusCode != 200 || got.Header.Get("ETag") != answer.Header.Get("ETag") {
			t.Errorf("POST %s: %s is %s", path, at, got.Status)
		}
	}
}
