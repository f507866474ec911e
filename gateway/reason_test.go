package main

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
)

// TestWhatA503Says, of the deadline, of the reason and of a write: nothing twice, and nothing that is true of one try
// only.
func TestWhatA503Says(t *testing.T) {
	at := member{Name: "db-2", Address: "127.0.0.1:7402"}
	why := &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 7402},
		Err: errors.New("connection refused")}
	away := notReached(at, "cannot be reached", why, errLink, errNotSent)
	long := notReached(at, unreachableText, why, errLink, errNotSent, errPersistent)
	const passed, ahead = true, false
	const where = "db-2 (127.0.0.1:7402) "
	for _, c := range []struct {
		late           bool
		reason         error
		uncertainTries int
		want           string
	}{
		{passed, away, 0, "no answer within the deadline: " + where + "cannot be reached: connection refused"},
		{ahead, long, 0, "it cannot be answered now: " + where +
			"has not been reached for more than 1.5s: connection refused"},
		{passed, isSilent("db-1"), 1,
			"no answer within the deadline: db-1 is silent; the write may have been done or may still be"},
		{passed, away, 3, "no answer within the deadline: " + where + "cannot be reached: connection refused; " +
			"that was one of 3 tries, and the write may have been done or may still be by any of them"},
		{passed, queueFull("db-1"), 0, "no answer within the deadline: too many requests wait for db-1"},
	} {
		got := outcomeResponse("x", preconditions{}, nil, c.uncertainTries, unanswered(c.late, c.reason), http.StatusOK)
		if !strings.Contains(string(got.body), `"detail":"`+c.want+`"`) || got.status != http.StatusServiceUnavailable {
			t.Errorf("expected %s, found %d %s", c.want, got.status, got.body)
		}
	}
	if !errors.Is(long, errPersistent) || errors.Is(away, errPersistent) || !errors.Is(away, errNotSent) ||
		errors.Is(isSilent("db-1"), errNotSent) || !errors.Is(isSilent("db-1"), errLink) {
		t.Error("the classes of an error do not go by its marks")
	}
}

// TestTheAddressThatADialHadIsSaid where it is not the one of the settings.
func TestTheAddressThatADialHadIsSaid(t *testing.T) {
	why := &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 7400},
		Err: errors.New("connection refused")}
	got := notReached(member{Name: "db-2", Address: "db-2:7400"}, "cannot be reached", why, errLink).Error()
	if got != "db-2 (db-2:7400) cannot be reached: dial tcp 10.0.0.1:7400: connection refused" {
		t.Error(got)
	}
}
