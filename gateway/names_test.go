package main

import (
	"context"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// TestASilentNameServerIsAskedAgain: while a container is away, the name server may leave its name unanswered for seconds. Two connections to the
// node must not wait for one such look-up together: each gives its own up and asks again, so that the first answer counts.
func TestASilentNameServerIsAskedAgain(t *testing.T) {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	var asked atomic.Int64
	go func() {
		question := make([]byte, 512)
		for {
			if _, _, err := server.ReadFrom(question); err != nil {
				return
			}
			asked.Add(1)
		}
	}()
	// It stays: the loops below go on reading it. No other test asks for a name.
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("udp", server.LocalAddr().String())
	}}
	room, link := loneRoom("db-0.test.:7400", slog.DiscardHandler)
	other := newLink()
	room.Links[0] = append(room.Links[0], other)
	go runLink(room, 0, link)
	go runLink(room, 0, other)
	for end := time.Now().Add(patience); asked.Load() < 40; time.Sleep(2 * time.Millisecond) { // one look-up asks twice in five seconds
		if time.Now().After(end) {
			t.Fatalf("the name server was asked %d times only", asked.Load())
		}
	}
}
