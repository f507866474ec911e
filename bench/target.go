package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tandem/bench/cluster"
)

// localTarget is where the gateway of a local cluster listens by default.
const localTarget = "http://127.0.0.1:8080"

// parseTarget returns the URL of a gateway without a slash at its end. A path before /api/user is that of a proxy in
// front of it.
func parseTarget(text string) (string, error) {
	refuse := func(what string) (string, error) {
		return "", fmt.Errorf("%w: --target %q: %s; expected http://host:port, such as %s",
			errSettings, text, what, localTarget)
	}
	at, err := url.Parse(text)
	if err != nil || !strings.Contains(text, "://") {
		return refuse("no URL with a scheme")
	}
	port := at.Port()
	n, bad := strconv.ParseUint(port, 10, 16)
	_, after, colon := strings.Cut(at.Host[strings.LastIndex(at.Host, "]")+1:], ":")
	switch {
	case at.Scheme == "https":
		return refuse("a gateway speaks no TLS")
	case at.Scheme != "http":
		return refuse("the scheme " + strconv.Quote(at.Scheme) + " is not known")
	case at.Hostname() == "":
		return refuse("it names no host")
	case colon && after == "" || port != "" && (bad != nil || n == 0):
		return refuse("a port is a number from 1 to 65535")
	case at.User != nil || at.RawQuery != "" || at.ForceQuery || at.Fragment != "" || strings.HasSuffix(text, "#"):
		return refuse("user, query and fragment have no meaning here")
	case strings.Contains(at.Path+"/", "/api/user/"):
		return refuse("bench adds /api/user by itself")
	}
	return strings.TrimRight(at.Scheme+"://"+at.Host+at.EscapedPath(), "/"), nil
}

// hostPort returns where to connect to for a target that parseTarget gave.
func hostPort(target string) (host, port string) {
	at, err := url.Parse(target)
	if err != nil {
		return "", ""
	}
	if port = at.Port(); port == "" {
		port = "80"
	}
	return at.Hostname(), port
}

// The times of look-ups.
const (
	lookFor   = 5 * time.Second        // how long one may take
	lookEvery = 5 * time.Second        // after one that was answered
	lookAgain = 200 * time.Millisecond // after one that was not
)

// look is a look-up of a name: its addresses, or why there are none.
type look struct {
	Addrs []string
	Err   error
}

// lookUp asks for the addresses of a name.
type lookUp func(ctx context.Context, host string) ([]string, error)

// lookOnce makes one look-up.
func lookOnce(ask lookUp, host string, out chan<- look) {
	ctx, cancel := context.WithTimeout(context.Background(), lookFor)
	defer cancel()
	addrs, err := ask(ctx, host)
	out <- look{addrs, err}
}

// keepAddresses keeps the addresses of a name and gives them to whoever takes from book, from the first look-up on
// until quit is closed. A name server that is slow or gone costs no request anything: the last addresses hold while
// there are no newer ones.
func keepAddresses(ask lookUp, host string, book chan<- look, quit <-chan struct{}) {
	fresh, now := make(chan look, 1), look{}
	var serve chan<- look
	var next <-chan time.Time
	go lookOnce(ask, host, fresh)
	for {
		select {
		case serve <- now:
		case got := <-fresh:
			pause := lookAgain
			if got.Err == nil {
				pause = lookEvery
			}
			if got.Err == nil || len(now.Addrs) == 0 {
				now, serve = got, book
			}
			next = time.After(pause)
		case <-next:
			next = nil
			go lookOnce(ask, host, fresh)
		case <-quit:
			return
		}
	}
}

// dial makes a connection, as http.Transport wants it. Where to is known.
type dial func(ctx context.Context, network, _ string) (net.Conn, error)

// dialTo makes connections to a port of a host, whose name is not looked up for each; quit ends the look-ups.
func dialTo(host, port string, timeout time.Duration, ask lookUp, quit <-chan struct{}) dial {
	dialer := &net.Dialer{Timeout: timeout}
	if _, err := netip.ParseAddr(host); err == nil {
		return func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, net.JoinHostPort(host, port))
		}
	}
	book := make(chan look)
	go keepAddresses(ask, host, book, quit)
	return func(ctx context.Context, network, _ string) (conn net.Conn, err error) {
		var known look
		select {
		case known = <-book:
		case <-ctx.Done():
			return nil, &net.DNSError{Err: "no answer of a name server", Name: host, IsTimeout: true}
		}
		if err = known.Err; err == nil && len(known.Addrs) == 0 {
			err = &net.DNSError{Err: "no addresses", Name: host, IsNotFound: true}
		}
		for _, addr := range known.Addrs {
			conn, err = dialer.DialContext(ctx, network, net.JoinHostPort(addr, port))
			if err == nil || cluster.Blame(err) == cluster.OfGenerator {
				break
			}
		}
		return conn, err
	}
}
