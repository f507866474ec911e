package main

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	ada = `{"id":"13AE742","name":"Ada","email":"ada@example.org","group":7}`
	// Long enough that nothing in these tests is ever about time.
	ample = 20 * time.Second
)

func TestOneUser(t *testing.T) {
	r := newRig(t, ample, ample/2)
	made := r.must(201, "POST", "/api/user/", ada)
	if made.body != ada+"\n" || made.header.Get("Location") != "13AE742" || made.header.Get("ETag") != `"1-1"` {
		t.Errorf("created: %q, %v", made.body, made.header)
	}
	if made.header.Get("Tandem-Nodes-Touched") != "2" || made.header.Get("Content-Type") != "application/json" {
		t.Errorf("created: %v", made.header)
	}
	r.must(409, "POST", "/api/user", ada)
	read := r.must(200, "GET", "/api/user/13AE742", "")
	if read.body != ada+"\n" || read.header.Get("ETag") != `"1-1"` || read.header.Get("Tandem-Nodes-Touched") != "1" ||
		read.header.Get("Cache-Control") != "no-cache" {
		t.Errorf("read: %q, %v", read.body, read.header)
	}
	changed := r.must(200, "PUT", "/api/user", `{"id":"13AE742","name":"Ada King"}`)
	if want := strings.Replace(ada, `"Ada"`, `"Ada King"`, 1) + "\n"; changed.body != want ||
		changed.header.Get("ETag") != `"1-2"` {
		t.Errorf("changed: %q, %v", changed.body, changed.header)
	}
	gone := r.must(204, "DELETE", "/api/user/13AE742/", "")
	if gone.body != "" || gone.header.Get("Content-Type") != "" || gone.header.Get("Tandem-Nodes-Touched") != "2" {
		t.Errorf("deleted: %q, %v", gone.body, gone.header)
	}
	for _, path := range []string{"GET", "DELETE"} {
		r.must(404, path, "/api/user/13AE742", "")
	}
	r.must(404, "PUT", "/api/user/", `{"id":"13AE742"}`)
}

func TestAnIDIsMade(t *testing.T) {
	r := newRig(t, ample, ample/2)
	made := r.must(201, "POST", "/api/user/", `{"name":"n","email":"e","group":-1}`, "Content-Type",
		"application/json; charset=utf-8")
	where := resolve(t, "/api/user/", made.header.Get("Location"))
	if len(where) != len("/api/user/")+36 || r.must(200, "GET", where, "").body != made.body {
		t.Errorf("%q at %q", made.body, where)
	}
}

func TestConditions(t *testing.T) {
	r := newRig(t, ample, ample/2)
	r.must(201, "POST", "/api/user/", ada)
	for value, status := range map[string]int{
		`"1-1"`: 304, `W/"1-1"`: 304, `*`: 304, `"9-9", "1-1"`: 304, `"9-9"`: 200, `"a,b"`: 200, `"a,b", "1-1"`: 304,
		`"01-1"`: 200, `1-1`: 400, `"1-1`: 400,
	} {
		got := r.must(status, "GET", "/api/user/13AE742", "", "If-None-Match", value)
		if status == 304 && (got.body != "" || got.header.Get("ETag") != `"1-1"`) {
			t.Errorf("%s: %q %v", value, got.body, got.header)
		}
		if status == 400 && !strings.Contains(got.body, "If-None-Match") {
			t.Errorf("%s: %s does not name the header", value, got.body)
		}
	}
	r.must(304, "GET", "/api/user/13AE742", "", "If-None-Match", `"9-9"`, "If-None-Match", `"1-1"`)
	r.must(404, "GET", "/api/user/nobody", "", "If-None-Match", `*`)
	many, tooMany := strings.TrimSuffix(strings.Repeat(`"5-5",`, 17), ","), ``
	for i := range maxTags + 1 {
		tooMany += string(appendTag(nil, 5, uint64(i+5))) + ","
	}
	for value, status := range map[string]int{`"9-9"`: 412, `W/"1-1"`: 412, `"foreign"`: 412, `"0-0"`: 412, `"01-1"`: 412,
		`x`: 400, `"1-1`: 400, `""1-1""`: 400, many: 412, tooMany: 400} {
		got := r.must(status, "PUT", "/api/user/", `{"id":"13AE742","group":8}`, "If-Match", value)
		if status == 400 && !strings.Contains(got.body, "If-Match") {
			t.Errorf("%s: %s does not name the header", value, got.body)
		}
		r.must(status, "DELETE", "/api/user/13AE742", "", "If-Match", value)
	}
	if got := r.must(200, "PUT", "/api/user/", `{"id":"13AE742","group":8}`, "If-Match",
		`"9-9" , , "1-1"`); got.header.Get("ETag") != `"1-2"` {
		t.Errorf("%v", got.header)
	}
	r.must(200, "PUT", "/api/user/", `{"id":"13AE742","group":9}`, "If-Match", `*`)
	r.must(204, "DELETE", "/api/user/13AE742", "", "If-Match", `"7-7"`, "If-Match", `"1-3"`)
}

func TestBodiesThatAreRefused(t *testing.T) {
	r := newRig(t, ample, ample/2)
	long := `{"name":"` + strings.Repeat("x", maxBody) + `","email":"e","group":1}`
	r.must(413, "POST", "/api/user/", long)
	r.must(415, "POST", "/api/user/", ada, "Content-Type", "application/x-www-form-urlencoded")
	r.must(415, "PUT", "/api/user/", ada, "Content-Type", ";")
	r.must(415, "POST", "/api/user/", ada, "Content-Encoding", "gzip")
	r.must(201, "POST", "/api/user/", ada, "Content-Encoding", "identity")
	r.must(400, "POST", "/api/user/", "")
	for _, method := range []string{"GET", "DELETE"} {
		for _, id := range []string{"a%20b", "a%2Cb", strings.Repeat("x", 129), "%C3%A9", "%2e", ".%2E", "changes"} {
			if got := isProblem(t, r.must(422, method, "/api/user/"+id, "")); !slices.Equal(got, []string{"id"}) {
				t.Errorf("%s %s names %q", method, id, got)
			}
		}
	}
	for _, n := range r.nodes {
		for _, m := range n.saw() {
			if m.Record.ID != "13AE742" {
				t.Errorf("a node was asked %+v", m)
			}
		}
	}
}

func TestMethodsAndSpellings(t *testing.T) {
	r := newRig(t, ample, ample/2)
	r.must(201, "POST", "/api/user/", ada)
	all, one, count := "GET, HEAD, OPTIONS, POST, PUT", "DELETE, GET, HEAD, OPTIONS", "GET, HEAD, OPTIONS"
	for path, allow := range map[string]string{"/api/user": all, "/api/user/13AE742": one, "/api/user/count": count,
		"/healthz": count, "/metrics": count} {
		spellings := []string{path}
		if strings.HasPrefix(path, "/api") {
			spellings = append(spellings, path+"/")
		}
		for _, path := range spellings {
			if got := r.must(204, "OPTIONS", path, ""); got.header.Get("Allow") != allow || got.body != "" {
				t.Errorf("OPTIONS %s: Allow %q, expected %q", path, got.header.Get("Allow"), allow)
			}
			for _, method := range []string{"PATCH", "POST", "PUT", "DELETE"} {
				if strings.Contains(allow, method) {
					continue
				}
				if got := r.must(405, method, path, ""); got.header.Get("Allow") != allow {
					t.Errorf("%s %s: Allow %q, expected %q", method, path, got.header.Get("Allow"), allow)
				}
			}
			body, head := r.must(200, "GET", path, ""), r.must(200, "HEAD", path, "")
			same := path == "/metrics" || body.header.Get("Content-Length") == head.header.Get("Content-Length")
			if head.body != "" || !same || head.header.Get("ETag") != body.header.Get("ETag") ||
				head.header.Get("Content-Type") != body.header.Get("Content-Type") {
				t.Errorf("HEAD %s: %q %v, GET has %v", path, head.body, head.header, body.header)
			}
		}
	}
	for _, path := range []string{"/", "/api", "/api/users", "/API/user", "//api/user", "/api/user/a/b"} {
		r.must(404, "GET", path, "")
		r.must(404, "OPTIONS", path, "")
	}
	if got := r.must(404, "HEAD", "/api/user/nobody", ""); got.body != "" {
		t.Errorf("HEAD has a body %q", got.body)
	}
}

func TestRequestIDs(t *testing.T) {
	r := newRig(t, ample, ample/2)
	for _, own := range []string{"a", "trace-1/2", strings.Repeat("x", 128)} {
		if got := r.must(200, "GET", "/api/user/count", "", "X-Request-Id", own).header.Get("X-Request-Id"); got != own {
			t.Errorf("%q became %q", own, got)
		}
	}
	for _, bad := range []string{"", "a b", strings.Repeat("x", 129), "é"} {
		if got := r.must(404, "GET", "/nowhere", "", "X-Request-Id", bad).header.Get("X-Request-Id"); len(got) != 36 {
			t.Errorf("%q became %q", bad, got)
		}
	}
}

func TestAPanicIsAProblem(t *testing.T) {
	r := newRig(t, ample, ample/2)
	<-r.wiring.Views
	r.wiring.Views <- viewSet{Changed: make(chan struct{})} // the next user breaks an invariant of the gateway
	got := r.must(http.StatusInternalServerError, "GET", "/api/user/13AE742", "")
	if strings.Contains(got.body, "goroutine") || strings.Contains(got.body, "index out of range") {
		t.Errorf("the answer tells of the inside: %s", got.body)
	}
}
