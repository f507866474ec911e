package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tandem/bench/cluster"
)

func TestWhoseFaultAnErrorIs(t *testing.T) {
	asked := func(err error) error { // as an HTTP client returns it
		dial := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}
		return &url.Error{Op: "Get", URL: "http://x", Err: dial}
	}
	for _, c := range []struct {
		err   error
		whose cluster.Party
	}{
		{asked(syscall.EMFILE), cluster.OfGenerator},
		{asked(syscall.ENFILE), cluster.OfGenerator},
		{asked(syscall.EADDRNOTAVAIL), cluster.OfGenerator},
		{asked(syscall.EADDRINUSE), cluster.OfGenerator},
		{asked(syscall.ENOBUFS), cluster.OfGenerator},
		{asked(syscall.ENOMEM), cluster.OfGenerator},
		{asked(syscall.EPERM), cluster.OfGenerator},
		{asked(syscall.EACCES), cluster.OfGenerator},
		{asked(syscall.ENETUNREACH), cluster.OfNetwork},
		{asked(syscall.ENETDOWN), cluster.OfNetwork},
		{asked(&net.DNSError{Err: "no such host", Name: "x", IsNotFound: true}), cluster.OfNetwork},
		{asked(&net.DNSError{Err: "i/o timeout", Name: "x", IsTimeout: true}), cluster.OfNetwork},
		{asked(&net.DNSError{UnwrapErr: syscall.EMFILE, Err: "socket", Name: "x"}), cluster.OfGenerator},
		{asked(syscall.EHOSTUNREACH), cluster.OfTarget}, // its host or container is gone
		{asked(syscall.ECONNREFUSED), cluster.OfTarget},
		{asked(syscall.ECONNRESET), cluster.OfTarget},
		{asked(syscall.EPIPE), cluster.OfTarget},
		{asked(syscall.ETIMEDOUT), cluster.OfTarget},
		{io.EOF, cluster.OfTarget},
		{io.ErrUnexpectedEOF, cluster.OfTarget},
		{context.DeadlineExceeded, cluster.OfTarget},
		{errors.New("malformed HTTP response"), cluster.OfTarget},
	} {
		if got := cluster.Blame(c.err); got != c.whose {
			t.Errorf("%v is of party %d, expected %d", c.err, got, c.whose)
		}
	}
	one := &net.OpError{Op: "read", Net: "tcp", Source: &net.TCPAddr{Port: 4711},
		Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	got := reasonOf(&url.Error{Op: "Get", URL: "http://x/1", Err: one})
	if strings.Contains(got, "4711") || !strings.Contains(got, "reset by peer") {
		t.Errorf("the reason is %q", got)
	}
}

// What this machine lacked makes a run void, in whatever phase; it neither counts against the budget nor as an answer
// that could not be judged.
func TestShortagesMakeARunVoid(t *testing.T) {
	failed := sample{Op: operation{Kind: opGet}, Phase: phaseRun, Done: time.Second, Failed: true,
		Whose: cluster.OfGenerator,
		Err:   "socket: too many open files"}
	good := sample{Op: operation{Kind: opGet}, Phase: phaseRun, Done: time.Millisecond, Status: 200}
	held, check := good, failed
	held.Held, check.Phase = true, phaseCheck
	for name, c := range map[string]struct {
		samples  []sample
		o        outcome
		wrong    []string
		unproven []string
		code     int
		beyond   int
	}{
		"nothing":                         {[]sample{good}, outcome{}, nil, nil, exitPass, 0},
		"no files":                        {[]sample{good, failed}, outcome{}, nil, nil, exitLagged, 0},
		"no files to read back":           {[]sample{good, check}, outcome{}, nil, []string{"x"}, exitLagged, 0},
		"wrong answers count first":       {[]sample{good, failed}, outcome{}, []string{"x"}, nil, exitWrong, 0},
		"fewer connections, none held":    {[]sample{good}, outcome{Fewer: "16"}, nil, nil, exitPass, 0},
		"fewer connections, and one held": {[]sample{good, held}, outcome{Fewer: "16"}, nil, nil, exitLagged, 0},
		"suspended":                       {[]sample{good}, outcome{Slept: time.Minute}, nil, nil, exitLagged, 0},
		"a proxy without files":           {[]sample{good}, outcome{Short: []string{"x"}}, nil, nil, exitLagged, 0},
	} {
		o := c.o
		o.Tally = newTally(250*time.Millisecond, time.Second)
		for _, s := range c.samples {
			o.Tally = count(o.Tally, s)
		}
		k, p := judgeBudget(o)
		v := conclude(k, p, c.wrong, c.unproven, time.Hour)
		if v.Code != c.code || k.Beyond != c.beyond || c.code == exitLagged && len(v.Reasons) == 0 {
			t.Errorf("%s: %+v, %d beyond", name, v, k.Beyond)
		}
	}
	o := outcome{Missing: 1, Tally: count(newTally(time.Second, time.Second), failed)}
	if v := amend(verdict{Code: exitLagged}, runCommand{}, o); v.Code != exitLagged {
		t.Errorf("a load that lacked files: %+v", v)
	}
}

func TestConnectionsFitTheLimit(t *testing.T) {
	for _, c := range []struct {
		wanted, others int
		limit          uint64
		n              int
		fewer, refused bool
	}{
		{0, 16, 1 << 20, usualConnections, false, false},
		{0, 16, 1024, 1008, true, false},
		{0, 16, 20, 0, false, true},
		{500, 16, 1024, 500, false, false},
		{1008, 16, 1024, 1008, false, false},
		{1009, 16, 1024, 0, false, true},
		{10_000, 16, 1 << 62, 10_000, false, false},
		{-1, 16, 1024, 0, false, true},
		{0, 2000, 1024, 0, false, true},
	} {
		n, fewer, err := connectionsFor(c.wanted, c.others, c.limit)
		well := n == c.n && (fewer != "") == c.fewer && (err != nil) == c.refused
		if !well || err != nil && !errors.Is(err, errSettings) {
			t.Errorf("%+v: %d, %q, %v", c, n, fewer, err)
		}
	}
}

func TestMemoryIsKnown(t *testing.T) {
	info := "MemTotal: 100 kB\nMemAvailable:      50 kB\nSwapFree: 10 kB\n"
	for _, c := range []struct {
		info, most, used string
		want             float64
	}{
		{info, "max\n", "5\n", 61440}, {info, "", "", 61440},
		{info, "4096\n", "1024\n", 3072}, {"", "4096", "x", 1 << 60},
	} {
		if got := freeMemory(c.info, c.most, c.used); got != c.want {
			t.Errorf("%+v: %v bytes", c, got)
		}
	}
	if checkMemory(memoryOf(1e6, 1000, true), 1<<30) == nil || checkMemory(memoryOf(1e6, 1000, false), 1<<30) != nil {
		t.Error("a run is to be refused for its histories only")
	}
}

// A name is looked up apart from requests: the addresses that worked hold while the name server does not answer.
func TestNamesAreLookedUpApart(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"count":3}`)
	}))
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	quit, tries := make(chan struct{}), make(chan int, 1)
	defer close(quit)
	tries <- 0
	ask := func(ctx context.Context, host string) ([]string, error) {
		n := <-tries
		if tries <- n + 1; n != 1 {
			return nil, &net.DNSError{Err: "server misbehaving", Name: host}
		}
		return []string{"127.0.0.1"}, nil
	}
	dial := dialTo("gateway.test", port, time.Second, ask, quit)
	conn, err := dial(t.Context(), "tcp", "")
	if cluster.Blame(err) != cluster.OfNetwork {
		t.Errorf("a name that is not known: %v", err)
	}
	for end := time.Now().Add(patience); err != nil && time.Now().Before(end); {
		conn, err = dial(t.Context(), "tcp", "")
	}
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	book := make(chan look)
	go keepAddresses(ask, "gateway.test", book, quit) // its first look-up fails, as all from now on
	if got := <-book; got.Err == nil {
		t.Errorf("%+v", got)
	}
	if conn, err = dial(t.Context(), "tcp", ""); err != nil {
		t.Errorf("a name server that is gone costs a connection: %v", err)
	} else {
		conn.Close()
	}
}

// slowly answers every request after a time.
func slowly(t *testing.T, after time.Duration) string {
	t.Helper()
	f := &fakeStore{wait: func(int) { time.Sleep(after) }}
	return f.serve(t)
}

func TestTheOwnLimitOfFilesIsNotTheTargets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run := []string{"sh", "-c", `ulimit -n 32; exec "$@"`, "sh", filepath.Join(binaries, "bench"), "run",
		"--target", slowly(t, 100*time.Millisecond), "--out", dir}
	short := []string{"--rate", "300", "--duration", "2s", "--records", "20", "--quiet"}
	s := startBench(t, dir, slices.Concat(run, short)...)
	if code, text := s.end(t); code != exitLagged || !strings.Contains(text, "ulimit -n") {
		t.Errorf("code %d: %s", code, text)
	}
	s = startBench(t, dir, slices.Concat(run, []string{"--connections", "100"})...)
	if code, text := s.end(t); code != exitUsage || !strings.Contains(text, "at most 16 connections") {
		t.Errorf("code %d: %s", code, text)
	}
}

// A proxy of the environment is not between bench and its target: 0.0.0.0 is this machine, though not one that proxies
// are not used for anyway.
func TestNoProxyIsBetween(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
	}))
	defer proxy.Close()
	target := strings.Replace(slowly(t, 0), "127.0.0.1", "0.0.0.0", 1)
	t.Setenv("HTTP_PROXY", proxy.URL)
	for _, args := range [][]string{{"fill", "--users", "100"}, {"pages", "--samples", "3"}} {
		code, out := runBench(t, append(args, "--target", target)...)
		if code != exitPass && !strings.Contains(out, "the walk by cursor ends") {
			t.Errorf("%v: code %d: %s", args, code, out)
		}
	}
}

// The header of a stranger does not decide how much memory a report takes.
func TestAbsurdNodesTouchedAreNone(t *testing.T) {
	for text, want := range map[string]int{"2": 2, "99999999999": 0, "-1": -1, "x": 0} {
		answer := &http.Response{StatusCode: 404, Header: http.Header{"Tandem-Nodes-Touched": {text}}}
		if s := understand(sample{Op: operation{Kind: opGet}}, answer, nil); s.Touched != want {
			t.Errorf("%q: %d nodes", text, s.Touched)
		}
	}
	if fmt.Sprint(touchedOf(map[string]map[int]uint64{opGet: {2: 7}})) != "map[get:[0 0 7]]" {
		t.Error("the table of nodes is not as it was")
	}
}
