package main

import (
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/wire"
)

// echo answers with all that a handler can see of a request. Of X-Unread it leaves the body alone, but for a byte.
func echo(w http.ResponseWriter, r *http.Request) {
	body, err := make([]byte, 1), error(nil)
	if r.Header["X-Unread"] == nil {
		body, err = io.ReadAll(r.Body)
	} else {
		_, _ = r.Body.Read(body)
	}
	text := fmt.Sprintf("%s %s|%s|%s|%s|%d|%t|%v|%q|%v\n", r.Method, r.URL, r.URL.RawPath, r.Proto, r.Host, r.ContentLength,
		r.Close, r.TransferEncoding, body, err)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		text += fmt.Sprintf("%q=%q\n", name, r.Header[name])
	}
	a := response{status: 200, body: []byte(text), hangUp: r.Header["X-Hang-Up"] != nil}
	write(w, "id", &a)
}

// serveEcho starts a server of echo, with or without the front, and returns its address.
func serveEcho(t testing.TB, plain bool) string {
	return serveHandler(t, http.HandlerFunc(echo), plain)
}

func serveHandler(t testing.TB, handler http.Handler, plain bool) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address, log := listener.Addr().String(), slog.New(slog.DiscardHandler)
	server, stopping := newServer(handler, log), make(chan struct{})
	if plain {
		listener, _ = newFront(handler, listener, log, stopping)
	}
	go server.Serve(problemsOf(listener, newMetrics()))
	t.Cleanup(func() { close(stopping); server.Close() })
	return address
}

var changing = regexp.MustCompile(`(Date|X-Request-Id): [^\r]*`)

// told returns the lines that a server answers to texts that are sent one after the other, sorted.
func told(t testing.TB, address string, texts ...string) []string {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	for i, text := range texts {
		if i > 0 {
			time.Sleep(5 * time.Millisecond)
		}
		if _, err = io.WriteString(conn, text); err != nil {
			break // it has been closed
		}
	}
	_ = conn.(*net.TCPConn).CloseWrite()
	all, _ := io.ReadAll(conn)
	lines := strings.Split(changing.ReplaceAllString(string(all), "$1"), "\r\n")
	slices.Sort(lines)
	return lines
}

// requestsOfAllKinds are plain, nearly plain, odd and hostile ones, and several in one.
var requestsOfAllKinds = []string{
	"GET /api/user/a HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/user/a HTTP/1.1\r\nHost: x\r\n\r\nGET /api/user/b HTTP/1.1\r\nhost: y\r\nX-Request-Id: q\r\n\r\n",
	"POST /api/user/ HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}PUT /api/user HTTP/1.1\r\nHost: x\r\n" +
		"Content-Type: application/json\r\nContent-Length: 3\r\n\r\n{ }DELETE /api/user/a HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/user/a HTTP/1.1\r\nHost: x\r\n\r\nHEAD /api/user/b HTTP/1.1\r\nHost: y\r\n\r\nGET /api/user/a HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/user/%41?a=%zz&b HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/user/a%2Fb#c HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/user/\x7f HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/user/% HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/user/a b HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET  /api/user/a HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/user/a HTTP/1.1 \r\nHost: x\r\n\r\n",
	"GET /api/userx HTTP/1.1\r\nHost: x\r\nA: b\r\na: c\r\n\r\n",
	"GET http://y/api/user/a HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/user/a HTTP/1.0\r\n\r\n",
	"GET /api/user/a HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\nGET /api/user/a HTTP/1.0\r\n\r\n",
	"GET /api/user/a HTTP/1.2\r\nHost: x\r\n\r\n",
	"GET /api/user/a HTTP/2.0\r\nHost: x\r\n\r\n",
	"GET /api/user/a\r\n\r\n",
	"GET /api/user/a HTTP/1.1\r\n\r\n",
	"GET /api/user/a HTTP/1.1\r\nHost:\r\n\r\n",
	"GET /api/user/a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
	"GET /api/user/a HTTP/1.1\r\nHost: x\r\nhOST: x\r\n\r\n",
	"GET /api/user/a HTTP/1.1\r\nHost : x\r\n\r\n",
	"GET /api/user/a HTTP/1.1\r\nHost: x y\r\n\r\n",
	"GET /api/user/a HTTP/1.1\r\nHost: x/@\r\n\r\n",
	"GET /api/user/a HTTP/1.1\r\nHost: [::1]:80\r\nA:\r\nB:  c  \r\nC:\td\r\n\r\n",
	"GET /api/user/a HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
	"GET /api/user/a HTTP/1.1\r\n Host: x\r\n\r\n",
	"GET /api/user/a HTTP/1.1\r\nHost: x\r\nA b: c\r\n\r\n",
	"GET /api/user/a HTTP/1.1\r\nHost: x\r\n: c\r\n\r\n",
	"GET /api/user/a HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
	"GET /api/user/a HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n",
	"GET /api/user/a HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n",
	"GET /api/user/a HTTP/1.1\r\nHost: x\r\nA: \xff\xc3\xa4\r\n\r\n",
	"GET /api/user/a HTTP/1.1\nHost: x\n\nGET /api/user/b HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/user/a HTTP/1.1\r\nHost: x\r\nA: b\nC: d\r\n\r\n",
	"PUT /api/user HTTP/1.1\r\nHost: x\r\nContent-Length: 9\n\nab\r\n\r\ncdeGET /api/user/b HTTP/1.1\r\nHost: x\r\n\r\n",
	"PUT /api/user HTTP/1.1\r\nHost: x\r\nContent-Length: 99\n\nab\r\n\r\ncde",
	"POST /api/user HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n000",
	"POST /api/user HTTP/1.1\r\nHost: x\r\nX-Unread: 1\r\nContent-Length: 9\r\n\r\nGET /api/GET /api/user/b HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/user/a HTTP/1.1\r\nHost: x\r\nA: \x01\r\n\r\n", "GET /api/user/a HTTP/1.1\r\nHost: x\r\nA: \x7f\r\n\r\n",
	"GET /api/user/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /api/user/b HTTP/1.1\r\nHost: x\r\n\r\n",
	"DELETE /api/user/a HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n",
	"GET /api/user/a HTTP/1.1\r\nHost: x\r\nTrailer: A\r\n\r\n", "GET /api/user/a HTTP/1.1\r\nHost: x\r\nTrailer: Host\r\n\r\n",
	"GET /api/user/a HTTP/1.1\r\nHost: x\r\nConnection: foo\r\nProxy-Connection: close\r\nKeep-Alive: 5\r\n\r\n",
	"GET /api/user/a HTTP/1.1\r\nHost: x\r\nPragma: no-cache\r\nCookie: a=b\r\nCookie: c\r\n\r\n",
	"GET /api/user/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nGET /api/user/b HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/user/a HTTP/1.1\r\nHost: x\r\nX-Hang-Up: 1\r\n\r\nGET /api/user/b HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/user/a HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\nGET /api/user/b HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/user/a HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n",
	"GET /api/user/a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
	"GET /api/user/a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /api/user/b HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/user/a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\nGET /api/user/b HTTP/1.1\r\nHost: x\r\n\r\n",
	"POST /api/user HTTP/1.1\r\nHost: x\r\n\r\nGET /api/user/b HTTP/1.1\r\nHost: x\r\n\r\n",
	"POST /api/user HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\nGET /api/user/b HTTP/1.1\r\nHost: x\r\n\r\n",
	"POST /api/user HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
	"POST /api/user HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
	"POST /api/user HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc",
	"POST /api/user HTTP/1.1\r\nHost: x\r\nContent-Length: 3, 3\r\n\r\nabc",
	"POST /api/user HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\nabc",
	"POST /api/user HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\nabc",
	"POST /api/user HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc",
	"POST /api/user HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n" + strings.Repeat("a", 5000) + "GET /api/user/b HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/user/a HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("a", 5000) + "\r\n\r\n",
	"GET /api/user/a HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("a", 30000) + "\r\n\r\n",
	"POST /api/user HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET /api/user/b HTTP/1.1\r\nHost: x\r\n\r\n",
	"POST /api/user HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
	"POST /api/user HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\nabc",
	"POST /api/user HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n0\r\nA: b\r\n\r\n",
	"POST /api/user HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
	"POST /api/user HTTP/1.1\r\nHost: x\r\nExpect: x\r\nContent-Length: 3\r\n\r\nabc",
	"\r\nGET /api/user/a HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET /api/user/a HTTP/1.1\r\nHost: x\r\n\r\n\r\nGET /api/user/a HTTP/1.1\r\nHost: x\r\n\r\n",
	"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "PATCH /api/user HTTP/1.1\r\nHost: x\r\n\r\n", "x", "",
	"GET /api/user/a HTTP/1.1\r\nHost: x\r\n",
}

// TestTheFrontReadsAsTheLibrary: what the front serves is what net/http would have served, whatever comes.
func TestTheFrontReadsAsTheLibrary(t *testing.T) {
	front, library := serveEcho(t, true), serveEcho(t, false)
	for _, text := range requestsOfAllKinds {
		if a, b := told(t, front, text), told(t, library, text); !slices.Equal(a, b) {
			t.Errorf("%.200q:\n%q\nnet/http:\n%q", text, a, b)
		}
	}
}

// TestRequestsInPieces: where a request is cut makes no difference.
func TestRequestsInPieces(t *testing.T) {
	front, library := serveEcho(t, true), serveEcho(t, false)
	text := "PUT /api/user HTTP/1.1\r\nHost: x\r\nContent-Length: 40\r\n\r\n" + strings.Repeat("b", 40) +
		"GET /api/user/b HTTP/1.1\r\nHost: x\r\n\r\n"
	whole := told(t, library, text)
	for cut := 1; cut < len(text); cut += 5 {
		if a := told(t, front, text[:cut], text[cut:]); !slices.Equal(a, whole) {
			t.Errorf("%q and %q:\n%q\nexpected:\n%q", text[:cut], text[cut:], a, whole)
		}
	}
}

func FuzzFront(f *testing.F) {
	for _, text := range requestsOfAllKinds {
		f.Add(text)
	}
	front, library := serveEcho(f, true), serveEcho(f, false)
	f.Fuzz(func(t *testing.T, text string) {
		if a, b := told(t, front, text), told(t, library, text); !slices.Equal(a, b) {
			t.Errorf("%q:\n%q\nnet/http:\n%q", text, a, b)
		}
	})
}

// TestTheFrontStops: an idle connection is closed, and a request under way is answered first.
func TestTheFrontStops(t *testing.T) {
	r := newRig(t, ample, ample/2)
	began, goOn := make(chan struct{}, 4), make(chan struct{})
	for _, n := range r.nodes {
		n.set(func(m *wire.Message) (verdict, *wire.Message) {
			if m.Kind == wire.Get {
				began <- struct{}{}
				<-goOn
			}
			return answer, nil
		})
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stopping := make(chan struct{})
	_, over := newFront(routes(r.wiring), listener, slog.New(slog.DiscardHandler), stopping)
	open := [2]net.Conn{}
	for i := range open {
		if open[i], err = net.Dial("tcp", listener.Addr().String()); err != nil {
			t.Fatal(err)
		}
		defer open[i].Close()
		_ = open[i].SetDeadline(time.Now().Add(patience))
	}
	_, _ = io.WriteString(open[0], "GET /api/user/a HTTP/1.1\r\nHost: x\r\n\r\n")
	<-began
	listener.Close()
	close(stopping)
	if all, err := io.ReadAll(open[1]); err != nil || len(all) > 0 {
		t.Errorf("the idle one: %q, %v", all, err)
	}
	close(goOn)
	if all, err := io.ReadAll(open[0]); err != nil || !strings.HasPrefix(string(all), "HTTP/1.1 404 ") {
		t.Errorf("the one under way: %q, %v", all, err)
	}
	select {
	case <-over:
	case <-time.After(patience):
		t.Error("the front does not end")
	}
}
