package main

import (
	"encoding/json"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// netcat sends text to a node, closes its half of the connection, and returns all that comes back.
func netcat(t *testing.T, addr, text string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err = io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	if err = conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("%q: %v after %q", text, err, answer)
	}
	return string(answer)
}

func TestLinesOfText(t *testing.T) {
	t.Parallel()
	c := startPatient(t, 3)
	c.must(201, "POST", "/api/user/", ada)
	t.Run("one answer a line", func(t *testing.T) {
		for _, line := range []string{"PING", "ping", "HELP", "STATUS", "COUNT", "SHARDS", "LIST 0 10", "GET nobody",
			"NONSENSE", "GET", "LIST x y"} {
			answer := netcat(t, c.plan.Addrs[0], line+"\n")
			if strings.Count(answer, "\n") != 1 || !json.Valid([]byte(answer)) {
				t.Errorf("%s: expected one line of JSON, found %q", line, answer)
			}
		}
	})
	t.Run("several lines", func(t *testing.T) {
		if answer := netcat(t, c.plan.Addrs[1], "PING\r\nSTATUS\nPING\n"); strings.Count(answer, "\n") != 3 {
			t.Errorf("three lines were answered %q", answer)
		}
	})
	t.Run("status", func(t *testing.T) {
		for i, name := range c.plan.Names {
			if s := c.status(i); s.Node != name || s.Cluster != "tandem" || !s.Ready {
				t.Errorf("status of %s: %+v", name, s)
			}
		}
	})
	t.Run("get", func(t *testing.T) {
		found := 0
		for _, addr := range c.plan.Addrs {
			if strings.Contains(netcat(t, addr, "GET 13AE742\n"), "Ada Lovelace") {
				found++
			}
		}
		if found == 0 {
			t.Error("no node gives the user")
		}
	})
	t.Run("unknown", func(t *testing.T) {
		if answer := netcat(t, c.plan.Addrs[0], "NONSENSE\n"); !strings.Contains(answer, "HELP") {
			t.Errorf("an unknown command is answered %q, expected a hint to HELP", answer)
		}
	})
	t.Run("no newline at the end", func(t *testing.T) {
		if answer := netcat(t, c.plan.Addrs[0], "PING"); strings.Count(answer, "\n") != 1 {
			t.Errorf("answered %q", answer)
		}
	})
	t.Run("http", func(t *testing.T) {
		for _, head := range []string{"GET /api/user/count HTTP/1.1", "POST /api/user/ HTTP/1.1", "HEAD / HTTP/1.0"} {
			answer := netcat(t, c.plan.Addrs[0], head+"\r\nHost: x\r\n\r\n")
			if !strings.HasPrefix(answer, "HTTP/1.1 400 ") || !strings.Contains(answer, "gateway") {
				t.Errorf("%s is answered %q", head, answer)
			}
		}
	})
}
