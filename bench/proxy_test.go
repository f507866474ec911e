package main

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// echoLane starts a server that answers what it gets in capitals, and a lane to it.
func echoLane(t *testing.T) lane {
	t.Helper()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			conn, err := server.Accept()
			if err != nil {
				return
			}
			go func() {
				buffer := make([]byte, 100)
				for {
					n, err := conn.Read(buffer)
					if err != nil {
						conn.Close()
						return
					}
					_, _ = conn.Write([]byte(strings.ToUpper(string(buffer[:n]))))
				}
			}()
		}
	}()
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := lane{From: "a", To: "b", Listen: listen, Target: server.Addr().String(), Control: make(chan setting)}
	go runLane(l)
	t.Cleanup(func() {
		close(l.Control)
		server.Close()
	})
	return l
}

// say sends a word and returns what comes back within a time, "" if nothing does.
func say(t *testing.T, conn net.Conn, word string, within time.Duration) string {
	t.Helper()
	if _, err := io.WriteString(conn, word); err != nil {
		return "broken"
	}
	_ = conn.SetReadDeadline(time.Now().Add(within))
	buffer := make([]byte, 100)
	n, err := conn.Read(buffer)
	if err != nil && !os.IsTimeout(err) {
		return "broken"
	}
	return string(buffer[:n])
}

func TestLanes(t *testing.T) {
	l := echoLane(t)
	conn, err := net.Dial("tcp", l.Listen.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := say(t, conn, "one", patience); got != "ONE" {
		t.Fatalf("through an open lane came %q", got)
	}
	for _, closed := range []gates{{There: true}, {Back: true}, {}} {
		setLane(l, closed)
		if got := say(t, conn, "two", 50*time.Millisecond); got != "" {
			t.Errorf("through %+v came %q", closed, got)
		}
		setLane(l, wholeLane)
		if got := say(t, conn, "", patience); got != "TWO" {
			t.Errorf("after %+v the lane gives back %q", closed, got)
		}
	}
	setLane(l, gates{Refuse: true})
	if got := say(t, conn, "three", patience); got != "broken" {
		t.Errorf("a refused connection gives %q", got)
	}
	again, err := net.Dial("tcp", l.Listen.Addr().String())
	if err == nil {
		if got := say(t, again, "four", patience); got != "broken" {
			t.Errorf("a new connection is not refused: %q", got)
		}
		again.Close()
	}
	setLane(l, wholeLane)
	if conn, err = net.Dial("tcp", l.Listen.Addr().String()); err != nil || say(t, conn, "five", patience) != "FIVE" {
		t.Errorf("a lane that was refused does not come back: %v", err)
	}
	conn.Close()
}

func TestFaultsByCommands(t *testing.T) {
	file := filepath.Join(t.TempDir(), "done")
	steps, err := parseFaults("kill db-1 at 1ms; start db-1 at 2ms; pause db-0 at 3ms", 1, []string{"db-0", "db-1"},
		time.Second)
	if err != nil {
		t.Fatal(err)
	}
	do := performWith(map[string]string{"kill": "echo kill {node} >>" + file, "start": "echo start {node} >>" + file})
	events, ended, begin := make(chan event, 9), make(chan error, 1), time.Now()
	go timeline(steps, do)(begin, begin, events, make(chan struct{}), ended)
	if err = <-ended; err == nil || !strings.Contains(err.Error(), "--fault-command pause") {
		t.Errorf("a fault without a command: %v", err)
	}
	text, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(text), "kill db-1\n") ||
		!strings.Contains(string(text), "start db-1\n") || len(events) != 3 {
		t.Errorf("%v: %q, %d events", err, text, len(events))
	}
}
