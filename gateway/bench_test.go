package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"golang.org/x/sys/unix"

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

// BenchmarkServe takes a request of wrk's and its answer over loopback, with a handler that does nothing: by the front,
// and by net/http's server. The client is in the same process, and counted with it.
func BenchmarkServe(b *testing.B) {
	const text = "POST /api/user/ HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := [2]byte{}
		_, _ = io.ReadFull(r.Body, body[:])
		write(w, "0198c0de-7a11-7000-8000-0123456789ab", &response{status: 201, body: body[:], etag: `"1-7"`, location: "a", touched: 2})
	})
	for _, by := range []string{"front", "library"} {
		b.Run(by, func(b *testing.B) {
			conn, err := net.Dial("tcp", serveHandler(b, handler, by == "front"))
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			answer, before, behind := make([]byte, 4096), unix.Rusage{}, unix.Rusage{}
			b.ReportAllocs()
			_ = unix.Getrusage(unix.RUSAGE_SELF, &before)
			for b.Loop() {
				_, _ = io.WriteString(conn, text)
				if n, err := conn.Read(answer); n < 16 || err != nil || string(answer[:12]) != "HTTP/1.1 201" {
					b.Fatalf("%q %v", answer[:n], err)
				}
			}
			_ = unix.Getrusage(unix.RUSAGE_SELF, &behind)
			used := behind.Utime.Nano() + behind.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
			b.ReportMetric(float64(used)/float64(b.N), "cpu-ns/op")
		})
	}
}
