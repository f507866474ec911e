package main

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// behind puts a reverse proxy before the gateway that takes a prefix off every path.
func (r *rig) behind(prefix string) {
	to, err := url.Parse(r.url)
	if err != nil {
		r.t.Fatal(err)
	}
	proxy := httptest.NewServer(http.StripPrefix(prefix,
		&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(to) }}))
	r.t.Cleanup(proxy.Close)
	r.url = proxy.URL
}

// TestReferencesHoldBehindAPrefix: a client that resolves Location, Content-Location and Link against the URL that it
// asked gets where it should, whatever stands before the path, with a trailing slash and without.
func TestReferencesHoldBehindAPrefix(t *testing.T) {
	for _, prefix := range []string{"", "/storage/v1", "/api/user"} {
		r := newRig(t, ample, ample/2)
		if prefix != "" {
			r.behind(prefix)
		}
		for _, users := range []string{prefix + "/api/user", prefix + "/api/user/", prefix + "/api/%75ser",
			prefix + "/api/%75ser/"} {
			for _, id := range []string{`"id":"13AE742",`, `"id":"...",`, `"id":"~a.b",`, ""} {
				made := r.must(201, "POST", users, `{`+id+`"name":"n","email":"e","group":1}`)
				at := resolve(t, users, made.header.Get("Location"))
				if got := r.must(200, "GET", at, ""); got.body != made.body || !strings.HasPrefix(at, prefix+"/api/") {
					t.Errorf("POST %s: Location %q is %s, which is %s", users, made.header.Get("Location"), at, got.body)
				}
				if id == "" {
					continue
				}
				changed := r.must(200, "PUT", users, `{`+id+`"group":2}`)
				where := resolve(t, users, changed.header.Get("Content-Location"))
				if got := r.must(200, "GET", where, ""); got.body != changed.body ||
					got.header.Get("ETag") != changed.header.Get("ETag") {
					about := changed.header.Get("Content-Location")
					t.Errorf("PUT %s: Content-Location %q is %s, which is %s", users, about, where, got.body)
				}
				r.must(204, "DELETE", where, "")
			}
		}
		r.store.lock.Lock()
		clear(r.store.users)
		r.store.lock.Unlock()
		r.fill(30)
		for _, start := range []string{"?after=&limit=7", "?offset=0&limit=7", "/?after=&limit=7", "/?offset=0&limit=7"} {
			met := []string{}
			for path := prefix + "/api/user" + start; path != ""; {
				ids, links, _ := r.page(path)
				met, path = append(met, ids...), links["next"]
				if first := links["first"]; !strings.HasPrefix(first, prefix+"/api/user") {
					t.Errorf("the first page is at %q", first)
				}
			}
			if !slices.Equal(met, r.everyone()) {
				t.Errorf("%s%s: met %d users", prefix, start, len(met))
			}
		}
	}
}

// TestPathsAreTakenAsTheyAre: nothing is redirected, %-encoding counts as what it stands for but for a slash, and no
// path is cleaned.
func TestPathsAreTakenAsTheyAre(t *testing.T) {
	r := newRig(t, ample, ample/2)
	r.must(201, "POST", "/api/user/", strings.Replace(ada, "13AE742", "A", 1))
	for path, status := range map[string]int{
		"/api/user/A": 200, "/api/user/%41": 200, "/%61pi/user/A/": 200, "/api/user/%43ount": 404, "/api/user/%63ount": 200,
		"/api/user/%63hanges": 422, "/api/user/.": 422, "/api/user/..": 422, "/api/user/%2e": 422, "/api/user/%2E%2e": 422,
		"/api/user/../": 422, "/api/user/A%00": 422, "/api/user/A%25": 422,
		"//api/user/A": 404, "/api//user/A": 404, "/api/user//A": 404, "/api/user/A//": 404, "/api/./user/A": 404,
		"/api/user/../user/A": 404, "/api/x/../user/A": 404,
		"/api/user%2FA": 404, "/api%2fuser/A": 404, "/api/user/A%2F": 404, "/api/user%2F": 404, "/api/user/count%2f": 404,
		"/api/user/..%2fuser": 404, "/api/user;x=1": 404,
	} {
		for _, method := range []string{"GET", "HEAD"} {
			if got := r.must(status, method, path, ""); got.header.Get("Location") != "" {
				t.Errorf("%s %s: Location %s", method, path, got.header.Get("Location"))
			}
		}
	}
	for _, path := range []string{"//api/user/", "/api//user", "/api/user//", "/api/./user", "/api/user%2f", "/API/user"} {
		for _, method := range []string{"PUT", "POST"} {
			if got := r.ask(method, path, ada); got.status != 404 && got.status != 405 || got.header.Get("Location") != "" {
				t.Errorf("%s %s: %d %v", method, path, got.status, got.header)
			}
		}
	}
}

// TestUnknownParametersAreRefused on every route, by name; so is one that is given twice, and what is no query at all.
func TestUnknownParametersAreRefused(t *testing.T) {
	r := newRig(t, ample, ample/2)
	r.must(201, "POST", "/api/user/", ada)
	for _, at := range []struct{ method, path, body string }{
		{"GET", "/api/user", ""}, {"HEAD", "/api/user/", ""}, {"GET", "/api/user/13AE742", ""},
		{"GET", "/api/user/count", ""}, {"POST", "/api/user/", `{"name":"n","email":"e","group":1}`},
		{"PUT", "/api/user", ada}, {"DELETE", "/api/user/13AE742", ""}, {"GET", "/healthz", ""}, {"GET", "/metrics", ""},
	} {
		for query, fields := range map[string][]string{
			"?limits=10": {"limits"}, "?LIMIT=10": {"LIMIT"}, "?b&a=": {"a", "b"}, "?=1": {""}, "?%zz=1": {}, "?x=%": {},
			"?a;b": {}, "?x=%c3%28": {"x"}, "?offset%5B%5D=1": {"offset[]"},
		} {
			if got := r.must(400, at.method, at.path+query, at.body); at.method != "HEAD" &&
				!slices.Equal(isProblem(t, got), fields) {
				t.Errorf("%s %s%s names %q, expected %q", at.method, at.path, query, isProblem(t, got), fields)
			}
		}
		if at.path == "/api/user" && at.method == "GET" {
			continue
		}
		if got := r.ask(at.method, at.path+"?limit=10", at.body); at.method != "HEAD" && got.status != 400 {
			t.Errorf("%s %s takes a limit: %d", at.method, at.path, got.status)
		}
	}
	if n := r.must(200, "GET", "/api/user/count?", "").body; n != "{\"count\":1}\n" {
		t.Errorf("something was done: %s", n)
	}
	got := isProblem(t, r.must(400, "GET", "/api/user?limit=10&limit=10&offset=1", ""))
	if !slices.Equal(got, []string{"limit"}) {
		t.Errorf("a limit given twice names %q", got)
	}
	shown := r.must(200, "GET", "/metrics?name[]=tandem_panics_total&name[]=go_goroutines", "")
	if strings.Count(shown.body, "# HELP") != 2 {
		t.Errorf("%s", shown.body)
	}
}
