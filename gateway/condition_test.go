package main

import (
	"fmt"
	"strings"
	"testing"
)

// TestPreconditions: the table of docs/rest.md, on a user that is there and on one that is not. A name of a header
// stands before each value.
func TestPreconditions(t *testing.T) {
	const m, n = "If-Match", "If-None-Match"
	for _, k := range []struct {
		headers                                    []string
		get, put, post, drop                       int // of the user that is there
		missGet, missPut, missPost, missDrop, list int // of one that is not, and of list and count
	}{
		{nil, 200, 200, 409, 204, 404, 404, 201, 404, 200},
		{[]string{m, `*`}, 200, 200, 409, 204, 412, 412, 412, 412, 200},
		{[]string{m, `TAG`}, 200, 200, 409, 204, 412, 412, 412, 412, 412},
		{[]string{m, `"9-9", TAG`}, 200, 200, 409, 204, 412, 412, 412, 412, 412},
		{[]string{m, `"9-9"`, m, `TAG`}, 200, 200, 409, 204, 412, 412, 412, 412, 412},
		{[]string{m, `W/TAG`}, 412, 412, 412, 412, 412, 412, 412, 412, 412},
		{[]string{m, `"9-9"`}, 412, 412, 412, 412, 412, 412, 412, 412, 412},
		{[]string{m, `"foreign"`}, 412, 412, 412, 412, 412, 412, 412, 412, 412},
		{[]string{m, `"0-0"`}, 412, 412, 412, 412, 412, 412, 412, 412, 412},
		{[]string{n, `*`}, 304, 412, 412, 412, 404, 404, 201, 404, 304},
		{[]string{n, `TAG`}, 304, 412, 412, 412, 404, 404, 201, 404, 200},
		{[]string{n, `W/TAG`}, 304, 412, 412, 412, 404, 404, 201, 404, 200},
		{[]string{n, `"9-9"`, n, `"a,b", TAG`}, 304, 412, 412, 412, 404, 404, 201, 404, 200},
		{[]string{n, `"9-9"`}, 200, 200, 409, 204, 404, 404, 201, 404, 200},
		{[]string{n, `"0-0"`}, 200, 200, 409, 204, 404, 404, 201, 404, 200},
		{[]string{m, `TAG`, n, `TAG`}, 304, 412, 412, 412, 412, 412, 412, 412, 412},
		{[]string{m, `TAG`, n, `"9-9"`}, 200, 200, 409, 204, 412, 412, 412, 412, 412},
		{[]string{m, `"9-9"`, n, `TAG`}, 412, 412, 412, 412, 412, 412, 412, 412, 412}, // the precedence of section 13.2.2
		{[]string{m, `*`, n, `*`}, 304, 412, 412, 412, 412, 412, 412, 412, 304},
		{[]string{m, `x`}, 400, 400, 400, 400, 400, 400, 400, 400, 400},
		{[]string{n, `"1-1`}, 400, 400, 400, 400, 400, 400, 400, 400, 400},
		{[]string{m, ``}, 400, 400, 400, 400, 400, 400, 400, 400, 400},
		{[]string{"If-Modified-Since", `Sat, 29 Oct 2039 19:43:31 GMT`}, 200, 200, 409, 204, 404, 404, 201, 404, 200},
		{[]string{"If-Unmodified-Since", `Sat, 29 Oct 1994 19:43:31 GMT`}, 200, 200, 409, 204, 404, 404, 201, 404, 200},
		{[]string{"Range", `bytes=0-1`, "If-Range", `TAG`}, 200, 200, 409, 204, 404, 404, 201, 404, 200},
	} {
		r := newRig(t, ample, ample/2)
		tag, number := "", 0
		headers := func() []string {
			h := []string{}
			for _, text := range k.headers {
				h = append(h, strings.ReplaceAll(text, "TAG", tag))
			}
			return h
		}
		for _, method := range []string{"GET", "HEAD", "PUT", "POST", "DELETE"} {
			number++
			id := fmt.Sprint("user", number)
			body := func(id string) string { return fmt.Sprintf(`{"id":%q,"name":"n","email":"e","group":1}`, id) }
			tag = r.must(201, "POST", "/api/user/", body(id)).header.Get("ETag")
			path := map[string]string{"PUT": "/api/user/", "POST": "/api/user"}[method]
			there, missing := path, path
			if path == "" {
				there, missing = "/api/user/"+id, "/api/user/nobody"+id
			}
			want := map[string][2]int{"GET": {k.get, k.missGet}, "HEAD": {k.get, k.missGet}, "PUT": {k.put, k.missPut},
				"POST": {k.post, k.missPost}, "DELETE": {k.drop, k.missDrop}}[method]
			t.Logf("%s %q", method, headers())
			got := r.must(want[0], method, there, body(id), headers()...)
			if got.status == 412 || got.status == 304 {
				if got.header.Get("ETag") != tag || got.status == 304 && got.body != "" {
					t.Errorf("%s: %v %s", method, got.header, got.body)
				}
				if again := r.must(200, "GET", "/api/user/"+id, ""); again.header.Get("ETag") != tag {
					t.Errorf("%s was refused, and done", method)
				}
			}
			if got := r.must(want[1], method, missing, body("nobody"+id), headers()...); got.status == 412 &&
				got.header.Get("ETag") != "" {
				t.Errorf("%s of nobody: %v", method, got.header)
			}
			if want[1] == 412 {
				r.must(404, "GET", "/api/user/nobody"+id, "")
			}
		}
		for _, path := range []string{"/api/user", "/api/user/count", "/healthz", "/metrics"} {
			for _, method := range []string{"GET", "HEAD"} {
				r.must(k.list, method, path, "", headers()...)
			}
			r.must(204, "OPTIONS", path, "", headers()...) // selects no representation
			r.must(405, "PATCH", path, "", headers()...)
		}
		r.must(404, "GET", "/nowhere", "", headers()...)
		r.must(422, "PUT", "/api/user/", `{}`, headers()...) // what can be told without looking comes first
		r.must(415, "POST", "/api/user/", `{}`, append(headers(), "Content-Type", "text/plain")...)
	}
}

// TestUnmetPreconditionsAreNamed: the detail says which header it was.
func TestUnmetPreconditionsAreNamed(t *testing.T) {
	r := newRig(t, ample, ample/2)
	tag := r.must(201, "POST", "/api/user/", ada).header.Get("ETag")
	for _, k := range []struct{ method, path, body, header, value, says string }{
		{"PUT", "/api/user", ada, "If-Match", `"9-9"`, "If-Match does not name the version"},
		{"DELETE", "/api/user/13AE742", "", "If-None-Match", tag, "If-None-Match names the version"},
		{"POST", "/api/user", ada, "If-None-Match", "*", "If-None-Match: * wants no such user, but there is one"},
		{"DELETE", "/api/user/nobody", "", "If-Match", "*", "no such user"},
		{"GET", "/api/user/nobody", "", "If-Match", "*", "no such user"},
		{"GET", "/api/user/13AE742", "", "If-Match", `"9-9"`, "If-Match does not name the version"},
		{"GET", "/api/user/count", "", "If-Match", tag, "has none"},
	} {
		if got := r.must(412, k.method, k.path, k.body, k.header, k.value); !strings.Contains(got.body, k.says) {
			t.Errorf("%s %s %s: %s, expected %q", k.method, k.path, k.header, got.body, k.says)
		}
	}
}

// TestAMadeIDHasNoVersion: a create without an id meets If-None-Match always, and If-Match never.
func TestAMadeIDHasNoVersion(t *testing.T) {
	r := newRig(t, ample, ample/2)
	r.must(201, "POST", "/api/user/", `{"name":"n","email":"e","group":1}`, "If-None-Match", "*")
	r.must(412, "POST", "/api/user/", `{"name":"n","email":"e","group":1}`, "If-Match", "*")
}
