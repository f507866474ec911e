package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// What a gateway says in a 503 is in the message of whoever gave up on it.
func TestAProblemIsPassedOn(t *testing.T) {
	const why = "no answer within the deadline: db-1 is silent"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, `{"status":503,"detail":"`+why+`"}`+"\n")
	}))
	defer server.Close()
	c := newClient(server.URL, 1, true, time.Second, time.Now())
	defer c.Close()
	_, pageErr := getPage(c.http, server.URL)
	_, _, listErr := fetchPage(c, server.URL)
	for what, err := range map[string]error{"a page": pageErr, "a list": listErr, "a count": settledCount(c, time.Now()).Err} {
		if err == nil || !strings.Contains(err.Error(), "503") || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", what, err)
		}
	}
	// failures are counted by their status alone
	if s := ask(c, operation{Kind: opCount}, "", 0); s.Err != "status 503 Service Unavailable" {
		t.Errorf("%q", s.Err)
	}
}
