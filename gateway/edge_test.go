package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestOptionsOfTheServer(t *testing.T) {
	r := newRig(t, ample, ample/2)
	handler := routes(r.wiring)
	if !newServer(handler, slog.New(slog.DiscardHandler)).DisableGeneralOptionsHandler {
		t.Error("the library answers OPTIONS *")
	}
	request, w := httptest.NewRequest("OPTIONS", "/", nil), httptest.NewRecorder()
	request.URL.Path = "*"
	handler.ServeHTTP(w, request)
	h := w.Result().Header
	if w.Code != 204 || h.Get("Allow") == "" || h.Get("X-Request-Id") == "" || h.Get("Tandem-Nodes-Touched") != "0" {
		t.Errorf("%d %v", w.Code, h)
	}
}

// body is a request's body whose reading does something.
type body func()

func (b body) Read([]byte) (int, error) { b(); return 0, io.EOF }

func TestPanicsAreCounted(t *testing.T) {
	r := newRig(t, ample, ample/2)
	handler, w := routes(r.wiring), httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest("POST", "/api/user", body(func() { panic("xyzzy") })))
	isProblem(t, result{w.Code, w.Result().Header, w.Body.String()})
	if w.Code != 500 || strings.Contains(w.Body.String(), "xyzzy") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	func() {
		defer func() {
			if cause := recover(); cause != http.ErrAbortHandler {
				t.Errorf("%v came through, expected the abort", cause)
			}
		}()
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/api/user",
			body(func() { panic(http.ErrAbortHandler) })))
	}()
	if got := r.must(200, "GET", "/metrics", "").body; !strings.Contains(got, "tandem_panics_total 1\n") {
		t.Error("the panics are not counted, or the abort is one")
	}
}

// TestASlowUploadKeepsItsTime: the deadline is the nodes' time, not the client's own.
func TestASlowUploadKeepsItsTime(t *testing.T) {
	r := newRig(t, time.Second, 400*time.Millisecond)
	in, out := io.Pipe()
	go func() {
		_, _ = io.WriteString(out, ada[:10])
		time.Sleep(1100 * time.Millisecond)
		_, _ = io.WriteString(out, ada[10:])
		out.Close()
	}()
	response, err := http.Post(r.url+"/api/user/", "application/json", in)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != 201 {
		t.Errorf("status %d", response.StatusCode)
	}
}

func TestQueriesThatAreRefused(t *testing.T) {
	r := newRig(t, ample, ample/2)
	for query, fields := range map[string][]string{"limit=%zz": {}, "a;b": {}, "limit=0&offset=x": {"offset", "limit"},
		"after=%00": {"after"}} {
		if got := isProblem(t, r.must(400, "GET", "/api/user?"+query, "")); !slices.Equal(got, fields) {
			t.Errorf("%s names %q", query, got)
		}
	}
}

func TestBodiesByStatus(t *testing.T) {
	r := newRig(t, ample, ample/2)
	for text, status := range map[string]int{`[1,`: 400, `"x" y`: 400, `"x" "y"`: 400, `[] {}`: 400, `{"a":1} x`: 400,
		`nul`: 400, `[1]`: 422, `"x"`: 422, " 7\n": 422, `null`: 422, `{}`: 422} {
		for _, method := range []string{"POST", "PUT"} {
			got := r.must(status, method, "/api/user", text)
			if status == 400 && !strings.Contains(got.body, "byte") {
				t.Errorf("%s names no byte: %s", text, got.body)
			}
		}
	}
	deep := `{"x":` + strings.Repeat("[", 8000) + strings.Repeat("]", 8000) + `,"name":"n","email":"e","group":1}`
	if got := isProblem(t, r.must(422, "POST", "/api/user", deep)); !slices.Equal(got, []string{"x"}) {
		t.Errorf("a deep nest names %q", got)
	}
}

func TestPrevPastTheEnd(t *testing.T) {
	for offset, want := range map[uint64]string{0: "", 30: "0", 100: "0", 130: "30", 250: "150", 300: "200", 900: "200"} {
		text := link(query{Offset: offset, Limit: 100}, 250, 0, "", false)
		if got := strings.Contains(text, `<?offset=`+want+`&limit=100>; rel="prev"`); got != (want != "") ||
			strings.Contains(text, `"prev"`) != got {
			t.Errorf("offset %d: %s, expected prev at %q", offset, text, want)
		}
	}
	text := link(query{Offset: 7, Limit: 100}, 0, 0, "", false)
	if !strings.Contains(text, `<?offset=0&limit=100>; rel="prev"`) {
		t.Errorf("nobody is there: %s", text)
	}
	for more, want := range map[bool]bool{true: true, false: false} {
		if text := link(query{Walk: true, Limit: 100}, 250, 40, "a", more); strings.Contains(text, `rel="next"`) != want {
			t.Errorf("a walk's short page, more behind: %v: %s", more, text)
		}
	}
}

// TestTheProbeAsksWhereItIsListenedAt: the address itself, or this machine's own if it is all of them.
func TestTheProbeAsksWhereItIsListenedAt(t *testing.T) {
	for _, address := range []string{"127.0.0.2:0", "0.0.0.0:0", "127.0.0.1:0"} {
		listener, err := net.Listen("tcp4", address)
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/readyz" {
				fmt.Fprint(w, `{"ready":true,"checks":[{"name":"peers","reason":"db-1 is another"}],"nodes":{"db-1":{}}}`)
			}
		})}
		go server.Serve(listener)
		probe := func(at string) int {
			r, err := askHealth(at)
			return reportHealth(r, err, io.Discard)
		}
		if code := probe(listener.Addr().String()); code != 0 {
			t.Errorf("%s: code %d", address, code)
		}
		_, port, _ := net.SplitHostPort(listener.Addr().String())
		if wild := strings.HasPrefix(address, "0"); wild && (probe(":"+port) != 0 || probe("[::]:"+port) != 0) {
			t.Error("a wildcard is not asked at 127.0.0.1")
		}
		server.Close()
		if code := probe(listener.Addr().String()); code == 0 {
			t.Errorf("%s: well although nothing listens", address)
		}
	}
}

func TestIDsInBodies(t *testing.T) {
	for id, good := range map[string]bool{"13AE742": true, "a": true, "A-z_0.9~": true, "counts": true, "Count": true,
		strings.Repeat("x", 128): true,
		"":                       false, "count": false, "changes": false, ".": false, "..": false, strings.Repeat("x", 129): false, "a b": false,
		"é": false, "a/b": false, "a%b": false} {
		user, have, bad, err := decodeUser([]byte(`{"name":"n","id":"`+id+`","email":"e","group":1}`), needed)
		if err != nil || (len(bad) == 0) != good || have&hasID == 0 || good && user.ID != id {
			t.Errorf("%q: %v %v", id, bad, err)
		}
	}
}
