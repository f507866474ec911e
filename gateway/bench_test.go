package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"tandem/wire"
)

func BenchmarkDecodeUser(b *testing.B) {
	body := []byte(`{"id":"0198c0de-7a11-7000-8000-0123456789ab","name":"Ada Lovelace","email":"ada.lovelace@example.org","group":7}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, bad, err := decodeUser(body, needed); err != nil || bad != nil {
			b.Fatal(bad, err)
		}
	}
}

func BenchmarkEncodeUser(b *testing.B) {
	user := &wire.Record{ID: "0198c0de-7a11-7000-8000-0123456789ab", Name: "Ada Lovelace",
		Email: "ada.lovelace@example.org", Group: 7}
	buffer := appendUser(nil, user)
	b.SetBytes(int64(len(buffer)))
	b.ReportAllocs()
	for b.Loop() {
		buffer = appendUser(buffer[:0], user)
	}
}

// sink is a response writer that keeps the status only.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }
func (s *sink) WriteHeader(status int)      { s.status = status }

// BenchmarkGet takes a read through the whole handler and over loopback; the fake node's own work, in the same process,
// is counted too.
func BenchmarkGet(b *testing.B) {
	r := newRig(b, ample, ample/2)
	r.fill(10)
	handler, w := routes(r.wiring), &sink{header: http.Header{}}
	request := httptest.NewRequest("GET", "/api/user/u7", nil)
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		if handler.ServeHTTP(w, request); w.status != 200 {
			b.Fatal(w.status)
		}
	}
}
