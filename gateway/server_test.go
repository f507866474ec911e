package main

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tandem/wire"
)

// serveAsMain starts the gateway's own server with its listener, and returns its address. A request has readIn to
// arrive whole.
func (r *rig) serveAsMain(readIn time.Duration) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	handler, stopping := routes(r.wiring), make(chan struct{})
	server := newServer(handler, slog.New(slog.DiscardHandler))
	server.ReadTimeout, server.ReadHeaderTimeout = readIn, readIn
	go server.Serve(problemsOf(r.front(handler, listener, stopping), r.wiring.Metrics))
	r.t.Cleanup(func() { close(stopping); server.Close() })
	return listener.Addr().String()
}

// talk sends bytes and reads all answers until the server closes or there is one for each of the methods.
func talk(t *testing.T, address, text string, methods ...string) []result {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return converse(t, conn, text, methods...)
}

// converse is talk by a connection that stands, which it closes.
func converse(t *testing.T, conn net.Conn, text string, methods ...string) []result {
	t.Helper()
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	in, all := bufio.NewReader(conn), []result{}
	for {
		method := "GET"
		if len(all) < len(methods) {
			method = methods[len(all)]
		}
		answer, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				t.Errorf("%.60q: the connection stays open", text)
			}
			return all
		}
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Errorf("%.60q: %v", text, err)
		}
		header := answer.Header
		if answer.Close {
			header.Set("Connection", "close") // the library takes it out
		}
		all = append(all, result{answer.StatusCode, header, string(body)})
		if len(all) == len(methods) {
			return all
		}
	}
}

// TestWhatTheLibraryAnswersLooksLikeTheRest: what net/http says without asking a handler is a problem with a request
// id, and closes the connection.
func TestWhatTheLibraryAnswersLooksLikeTheRest(t *testing.T) {
	r := newRig(t, ample, ample/2)
	address := r.serveAsMain(ample)
	const host = "Host: x\r\n"
	const get, post = "GET /api/user HTTP/1.1\r\n" + host, "POST /api/user HTTP/1.1\r\n" + host
	for name, k := range map[string]struct {
		text   string
		status int
		says   string
	}{
		"no host":              {"GET /api/user HTTP/1.1\r\n\r\n", 400, "Host"},
		"two hosts":            {"GET /api/user HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "malformed"},
		"bad host":             {"GET /api/user HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "Host"},
		"no request line":      {"nonsense\r\n\r\n", 400, "malformed"},
		"bad method":           {"G T /api/user HTTP/1.1\r\n" + host + "\r\n", 400, ""},
		"bad URL":              {"GET /api/user/%zz HTTP/1.1\r\n" + host + "\r\n", 400, "malformed"},
		"bad version":          {"GET /api/user HTTP/x\r\n" + host + "\r\n", 400, ""},
		"HTTP/3.0":             {"GET /api/user HTTP/3.0\r\n" + host + "\r\n", 505, "version"},
		"TLS":                  {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, ""},
		"space before colon":   {get + "If-Match : *\r\n\r\n", 400, ""},
		"NUL in a header":      {get + "If-Match: \x00\r\n\r\n", 400, "malformed"},
		"header without colon": {get + "If-Match\r\n\r\n", 400, "malformed"},
		"long header":          {get + "X: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", 431, "16384"},
		"long request line":    {"GET /" + strings.Repeat("x", 64<<10) + " HTTP/1.1\r\n" + host + "\r\n", 431, "16384"},
		"unknown Expect": {"PUT /api/user/ HTTP/1.1\r\n" + host + "Expect: miracles\r\nContent-Length: 2\r\n\r\n{}",
			417, "Expect"},
		"length below zero":   {post + "Content-Length: -1\r\n\r\n", 400, ""},
		"length of text":      {post + "Content-Length: 0x2\r\n\r\n{}", 400, ""},
		"length with sign":    {post + "Content-Length: +2\r\n\r\n{}", 400, ""},
		"two lengths":         {post + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400, ""},
		"length of 20 digits": {post + "Content-Length: 99999999999999999999\r\n\r\n{}", 400, ""},
		"gzip and chunked":    {post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, "transfer encoding"},
		"chunked twice": {post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
			501, "transfer encoding"},
		"identity": {post + "Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}", 501, "transfer encoding"},
	} {
		all := talk(t, address, k.text)
		if len(all) != 1 || all[0].status != k.status {
			t.Errorf("%s: %d answers, %+v, expected %d", name, len(all), all, k.status)
			continue
		}
		got := all[0]
		isProblem(t, got)
		h := got.header
		if len(h.Get("X-Request-Id")) != 36 || h.Get("Tandem-Nodes-Touched") != "0" || h.Get("Connection") != "close" ||
			h.Get("Date") == "" || !strings.Contains(got.body, k.says) {
			t.Errorf("%s: %v %s, expected %q", name, h, got.body, k.says)
		}
	}
	text := r.must(200, "GET", "/metrics", "").body
	for _, want := range []string{`{operation="unparsed",status="431"} 2`, `{operation="unparsed",status="417"} 1`,
		`{operation="unparsed",status="501"} 3`} {
		if !strings.Contains(text, "tandem_requests_total"+want) {
			t.Errorf("the metrics do not have %s", want)
		}
	}
	for _, n := range r.nodes {
		for _, m := range n.saw() {
			t.Errorf("a node was asked %+v", m)
		}
	}
}

// TestOnlyTheLibrarysOwnAnswersAreReworded: answers of handlers, and what merely begins like one of the library's, go
// through as they are.
func TestOnlyTheLibrarysOwnAnswersAreReworded(t *testing.T) {
	for _, text := range []string{
		"", "HTTP/1.1", "HTTP/1.1 ", "HTTP/1.1 4", "HTTP/1.1 4xx Bad\r\n", "HTTP/1.1 200 OK" + libraryHeaders + "x",
		"HTTP/1.0 400 Bad Request" + libraryHeaders,
		"HTTP/1.1 404 Not Found\r\nContent-Type: application/problem+json\r\n\r\n400 Bad Request" + libraryHeaders,
		"HTTP/1.1 400 Bad Request\r\nDate: x" + libraryHeaders,
		"HTTP/1.1 100 Continue\r\n\r\n", "x HTTP/1.1 400 Bad Request" + libraryHeaders,
	} {
		if status, detail, is := libraryAnswer([]byte(text)); is {
			t.Errorf("%q is taken for %d %s", text, status, detail)
		}
	}
	status, detail, is := libraryAnswer([]byte("HTTP/1.1 400 Bad Request: missing required Host header" + libraryHeaders +
		"400 Bad Request: missing required Host header"))
	if !is || status != 400 || detail != "missing required Host header" {
		t.Errorf("%d %q %v", status, detail, is)
	}
}

// TestRequestsOnTheEdgeOfHTTP: shapes of which net/http makes requests. None lets one request hide in another.
func TestRequestsOnTheEdgeOfHTTP(t *testing.T) {
	r := newRig(t, ample, ample/2)
	address := r.serveAsMain(ample)
	const host, end = "Host: x\r\n", "Connection: close\r\n\r\n"
	const post = "POST /api/user/ HTTP/1.1\r\n" + host
	hidden := "DELETE /api/user/13AE742 HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, k := range map[string]struct {
		text     string
		statuses []int
	}{
		"HTTP/1.0":               {"GET /api/user/13AE742 HTTP/1.0\r\n\r\n", []int{200}},
		"absolute form":          {"GET http://elsewhere/api/user/13AE742 HTTP/1.1\r\n" + host + end, []int{200}},
		"absolute form, no path": {"GET http://elsewhere HTTP/1.1\r\n" + host + end, []int{404}},
		"OPTIONS *":              {"OPTIONS * HTTP/1.1\r\n" + host + end, []int{204}},
		"GET *":                  {"GET * HTTP/1.1\r\n" + host + end, []int{405}},
		"HTTP/2 unasked":         {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", []int{405}},
		"CONNECT":                {"CONNECT x:80 HTTP/1.1\r\n" + host + end, []int{404}},
		"TRACE":                  {"TRACE /api/user HTTP/1.1\r\n" + host + end, []int{405}},
		"an unknown method":      {"BREW /api/user HTTP/1.1\r\n" + host + end, []int{405}},
		"a lower-case method":    {"get /api/user HTTP/1.1\r\n" + host + end, []int{405}},
		"bare line feeds":        {"GET /api/user/13AE742 HTTP/1.1\nHost: x\nConnection: close\n\n", []int{200}},
		"a body of a get": {"GET /api/user/13AE742 HTTP/1.1\r\n" + host +
			fmt.Sprintf("Content-Length: %d\r\n\r\n", len(hidden)) + hidden, []int{200}},
		"a body of a delete": {"DELETE /api/user/nobody HTTP/1.1\r\n" + host +
			fmt.Sprintf("Content-Length: %d\r\n\r\n", len(hidden)) + hidden, []int{404}},
		"length and chunked": {post + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n" +
			"GET /api/user/13AE742 HTTP/1.1\r\n" + host + end, []int{422, 200}},
		"equal lengths":        {post + "Content-Length: 2\r\nContent-Length: 2\r\n" + end + "{}", []int{422}},
		"chunks that are none": {post + "Transfer-Encoding: chunked\r\n\r\nzz\r\n" + hidden, []int{400}},
		"a chunk that is too long": {post + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}garbage\r\n0\r\n\r\n" + hidden,
			[]int{400}},
		"a trailer": {post + "Transfer-Encoding: chunked\r\n" + end +
			"2\r\n{}\r\n0\r\nIf-Match: *\r\n\r\n", []int{422}},
		"an early refusal": {post + "Content-Type: text/plain\r\nContent-Length: 200\r\n\r\n" + hidden, []int{415}},
		"an early refusal by a query": {"POST /api/user/?x=1 HTTP/1.1\r\n" + host + "Content-Length: 200\r\n\r\n" + hidden,
			[]int{400}},
		"a body that nobody reads": {"PATCH /api/user/ HTTP/1.1\r\n" + host + "Content-Length: 200\r\n\r\n" + hidden,
			[]int{405}},
		"a body too large": {post + "Content-Length: 1000000\r\n\r\n" + hidden, []int{413}},
		"Expect, refused early": {post + "Expect: 100-continue\r\nContent-Type: text/plain\r\nContent-Length: 200\r\n\r\n",
			[]int{415}},
	} {
		r.store.lock.Lock()
		r.store.users["13AE742"] = wire.Record{ID: "13AE742", Name: "n", Epoch: 1, LSN: 1}
		r.store.lock.Unlock()
		methods := []string{"GET", "GET"}
		all := talk(t, address, k.text, methods[:len(k.statuses)]...)
		got := []int{}
		for _, a := range all {
			got = append(got, a.status)
			if a.status >= 400 {
				isProblem(t, a)
			}
			if a.header.Get("X-Request-Id") == "" || a.header.Get("Tandem-Nodes-Touched") == "" {
				t.Errorf("%s: %v", name, a.header)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(k.statuses) {
			t.Errorf("%s: %v, expected %v", name, got, k.statuses)
		}
		r.must(200, "GET", "/api/user/13AE742", "") // what hid in the body was not done
	}
}

// TestASlowUploadIsARequestTimeout: 408 in the same form as everything else, and the connection is closed; of a request
// whose head does not come nothing is known, and the connection is closed without a word.
func TestASlowUploadIsARequestTimeout(t *testing.T) {
	synctest.Test(t, testSlowUpload)
}

func testSlowUpload(t *testing.T) {
	r := newVirtualRig(t, ample, ample/2, ample)
	connect := serveVirtual(t, r.handler, r.wiring.Metrics)
	for name, text := range map[string]string{
		"of known length": "POST /api/user/ HTTP/1.1\r\nHost: x\r\nContent-Length: 200\r\n\r\n" + ada[:20],
		"in chunks": "PUT /api/user HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n" +
			ada[:20] + "\r\n",
		"without a byte": "PUT /api/user HTTP/1.1\r\nHost: x\r\nContent-Length: 200\r\n\r\n",
		"a large one": "POST /api/user/ HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" +
			strings.Repeat(" ", 20<<10),
		"on HTTP/1.0": "POST /api/user/ HTTP/1.0\r\nContent-Length: 200\r\n\r\n" + ada[:20],
	} {
		all := converse(t, connect(), text)
		if len(all) != 1 || all[0].status != 408 || all[0].header.Get("Connection") != "close" ||
			all[0].header.Get("X-Request-Id") == "" {
			t.Errorf("%s: %+v", name, all)
			continue
		}
		isProblem(t, all[0])
	}
	if all := converse(t, connect(), "POST /api/user/ HTTP/1.1\r\nHost: x\r\n"); len(all) != 0 {
		t.Errorf("half a head: %+v", all)
	}
	if n := len(r.wiring.Bodies); n != 0 {
		t.Errorf("%d places of large bodies are held", n)
	}
	got := r.must(200, "GET", "/metrics", "").body
	if !strings.Contains(got, `tandem_requests_total{operation="create",status="408"} 3`) {
		t.Error("the metrics do not count them")
	}
}

// TestNobodyWaitsForABodyThatIsNotRead: the answer comes at once, although the body never does.
func TestNobodyWaitsForABodyThatIsNotRead(t *testing.T) {
	r := newRig(t, ample, ample/2)
	address := r.serveAsMain(time.Hour)
	for _, text := range []string{"DELETE /api/user/a", "GET /api/user/a", "PATCH /api/user", "POST /nowhere",
		"POST /api/user?x=1", "OPTIONS /api/user", "GET /metrics"} {
		all := talk(t, address, text+" HTTP/1.1\r\nHost: x\r\nContent-Length: 200\r\n\r\n", "GET")
		if len(all) != 1 || all[0].header.Get("Connection") != "close" {
			t.Errorf("%s: %+v", text, all)
		}
	}
	for _, more := range []string{"Content-Type: text/plain\r\nContent-Length: 200\r\n",
		"Content-Encoding: br\r\nContent-Length: 200\r\n", "Content-Length: 200000\r\n"} {
		all := talk(t, address, "PUT /api/user HTTP/1.1\r\nHost: x\r\n"+more+"\r\n", "PUT")
		if len(all) != 1 || all[0].status/100 != 4 || all[0].header.Get("Connection") != "close" {
			t.Errorf("%s: %+v", more, all)
		}
	}
}
