package cluster

import (
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// echoLink starts a server that answers what it gets in capitals, and a link to it.
func echoLink(t *testing.T) link {
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
	l := link{From: "a", To: "b", Listen: listen, Target: server.Addr().String(), Control: make(chan setting)}
	go runLink(l)
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
	l := echoLink(t)
	conn, err := net.Dial("tcp", l.Listen.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := say(t, conn, "one", longest); got != "ONE" {
		t.Fatalf("through an open link came %q", got)
	}
	for _, closed := range []gates{{There: true}, {Back: true}, {}} {
		setLink(l, closed)
		if got := say(t, conn, "two", 50*time.Millisecond); got != "" {
			t.Errorf("through %+v came %q", closed, got)
		}
		setLink(l, openGates)
		if got := say(t, conn, "", longest); got != "TWO" {
			t.Errorf("after %+v the link gives back %q", closed, got)
		}
	}
	setLink(l, gates{Refuse: true})
	if got := say(t, conn, "three", longest); got != "broken" {
		t.Errorf("a refused connection gives %q", got)
	}
	again, err := net.Dial("tcp", l.Listen.Addr().String())
	if err == nil {
		if got := say(t, again, "four", longest); got != "broken" {
			t.Errorf("a new connection is not refused: %q", got)
		}
		again.Close()
	}
	setLink(l, openGates)
	if conn, err = net.Dial("tcp", l.Listen.Addr().String()); err != nil || say(t, conn, "five", longest) != "FIVE" {
		t.Errorf("a link that was refused does not come back: %v", err)
	}
	conn.Close()
}

func TestCuts(t *testing.T) {
	both, oneWay := Step{Kind: FaultCut, Node: "db-0", Other: "peers"},
		Step{Kind: FaultCut, Node: "db-1", Other: "db-2", OneWay: true}
	for _, c := range []struct {
		cuts     []Step
		from, to string
		want     bool
	}{{[]Step{both}, "db-0", "db-1", true}, {[]Step{both}, "db-2", "db-0", true},
		{[]Step{both}, "gateway", "db-0", false}, {[]Step{both}, "db-1", "db-2", false},
		{[]Step{oneWay}, "db-1", "db-2", true}, {[]Step{oneWay}, "db-2", "db-1", false}, {nil, "db-0", "db-1", false}} {
		if got := isCut(c.cuts, c.from, c.to); got != c.want {
			t.Errorf("%v: %s to %s: %v", c.cuts, c.from, c.to, got)
		}
	}
	if g := gatesOf(link{From: "db-2", To: "db-1"}, []Step{oneWay}); g != (gates{There: true}) {
		t.Errorf("%+v", g)
	}
}
