package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"
)

const (
	readAhead = 4 << 10               // bytes of a connection: a plain request is no longer
	headSpace = 1 << 10               // bytes that most answers fit in
	restFor   = 20 * time.Millisecond // for the rest of a request of which a part is there, before net/http waits for it
	rearmIn   = time.Second           // how late the end of an idle connection is seen
)

// front is what the connections of clients have in common until they are passed on to net/http.
type front struct {
	handler  http.Handler
	clients  chan client
	passedOn chan accepted // to net/http
	stopping chan struct{} // closed when no more requests are taken
	log      *slog.Logger
}

// client is a connection that has come, or is gone.
type client struct {
	conn net.Conn
	gone bool
}

// accepted is what Accept of a listener returns.
type accepted struct {
	conn net.Conn
	err  error
}

// frontListener is what is left to net/http of a listener: the connections whose requests are not plain.
type frontListener struct {
	net.Listener
	passedOn <-chan accepted
	stopping <-chan struct{}
}

func (l frontListener) Accept() (net.Conn, error) {
	select {
	case a := <-l.passedOn:
		return a.conn, a.err
	case <-l.stopping:
		return nil, net.ErrClosed
	}
}

// resumedConn is a connection of which something has been read already.
type resumedConn struct {
	net.Conn
	in io.Reader
}

func (c resumedConn) Read(b []byte) (int, error) { return c.in.Read(b) }

// plainClient is who asked a plain request: what write and writeBody need of a response writer.
type plainClient struct {
	net.Conn
	header http.Header // what the router sets
	space  []byte      // for the head of an answer
}

func (c plainClient) Header() http.Header { return c.header }

func (c plainClient) WriteHeader(int) {}

// Write sends bytes as they are. A client that does not take them is cut off.
func (c plainClient) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if err != nil {
		c.Conn.Close()
	}
	return n, err
}

// newFront sets going what serves the plain requests of a listener's clients, and returns what is left of it for
// net/http. No more are taken when stopping is closed; over is closed when all have been answered.
func newFront(handler http.Handler, listener net.Listener, log *slog.Logger, stopping chan struct{}) (
	rest net.Listener, over <-chan struct{}) {
	f := front{handler, make(chan client), make(chan accepted), stopping, log}
	closed, ended := make(chan struct{}), make(chan struct{})
	go runClients(f, closed, ended)
	go acceptClients(f, listener, closed)
	return frontListener{listener, f.passedOn, stopping}, ended
}

// acceptClients is a loop that accepts connections, and starts a goroutine for each, until the listener is closed; then
// it closes closed.
func acceptClients(f front, listener net.Listener, closed chan<- struct{}) {
	defer close(closed)
	for {
		conn, err := listener.Accept()
		if err == nil {
			f.clients <- client{conn, false}
			go serveClient(f, conn)
			continue
		}
		select {
		case f.passedOn <- accepted{nil, err}: // taken again when it is worth another try
		case <-f.stopping:
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
	}
}

// runClients is the loop that owns which connections wait for plain requests. When it is to stop it wakes those that
// are idle, and closes over when the listener is closed and all have ended.
func runClients(f front, closed <-chan struct{}, over chan<- struct{}) {
	open, stopping, past := map[net.Conn]bool{}, f.stopping, time.Unix(1, 0)
	for closed != nil || len(open) > 0 {
		select {
		case c := <-f.clients:
			if open[c.conn] = true; c.gone {
				delete(open, c.conn)
			} else if stopping == nil {
				_ = c.conn.SetReadDeadline(past)
			}
		case <-stopping:
			for conn := range open {
				_ = conn.SetReadDeadline(past)
			}
			stopping = nil
		case <-closed:
			closed = nil
		}
	}
	close(over)
}

// serveClient is a goroutine that serves the plain requests of a connection, until there is one that is not: that one
// and all behind it net/http serves.
func serveClient(f front, conn net.Conn) {
	who, in := plainClient{conn, http.Header{}, make([]byte, 0, headSpace)}, bufio.NewReaderSize(conn, readAhead)
	passOn := false
	defer func() {
		if cause := recover(); cause != nil {
			f.log.Error("a connection's server panicked", "cause", cause, "stack", string(debug.Stack()))
		}
		f.clients <- client{conn, true}
		if !passOn {
			conn.Close()
		}
	}()
	within, first, armed := readFor, 1, time.Time{} // for the first request to begin, with so many bytes
	for {
		if now := time.Now(); now.Sub(armed) > rearmIn {
			_, armed = conn.SetReadDeadline(now.Add(within+rearmIn)), now
		}
		select {
		case <-f.stopping:
			return
		default:
		}
		if _, err := in.Peek(first); err != nil {
			return
		}
		request, rest := readPlain(conn, in)
		if request == nil {
			_ = conn.SetDeadline(time.Time{})
			select {
			case f.passedOn <- accepted{resumedConn{conn, io.MultiReader(bytes.NewReader(rest), conn)}, nil}:
				passOn = true
			case <-f.stopping:
			}
			return
		}
		beyond := in.Buffered() - int(request.ContentLength)
		f.handler.ServeHTTP(who, request)
		_, _ = in.Discard(in.Buffered() - beyond) // what of the body has not been read
		clear(who.header)
		if within == readFor {
			within, first, armed = idleFor, 4, time.Time{} // as net/http has it
		}
	}
}

// plainMethods begin a plain request.
var plainMethods = [...]string{"GET /api/user", "POST /api/user", "PUT /api/user", "DELETE /api/user"}

// readPlain reads a request that is plain: one of HTTP/1.1 for users that is there whole, or will be in a moment, with
// nothing that has the request or its connection treated otherwise. Else request is nil, and rest is what has been read
// and is still to be served.
func readPlain(conn net.Conn, in *bufio.Reader) (request *http.Request, rest []byte) {
	known, end := false, -1
	for waits := 0; ; waits++ {
		rest, _ = in.Peek(in.Buffered())
		for _, begin := range plainMethods {
			known = known || bytes.HasPrefix(rest, []byte(begin))
		}
		if end = bytes.Index(rest, []byte("\r\n\r\n")); end >= 0 || !known || waits > 0 || len(rest) == readAhead {
			break
		}
		_ = conn.SetReadDeadline(time.Now().Add(restFor))
		_, _ = in.Peek(len(rest) + 1)
		_ = conn.SetReadDeadline(time.Now().Add(idleFor))
	}
	if !known || end < 0 {
		return nil, bytes.Clone(rest)
	}
	r, err := http.ReadRequest(in) // which moves nothing in the buffer, as all of the head is there
	if err != nil || !isPlain(r) {
		return nil, bytes.Clone(rest)
	}
	if have := in.Buffered(); have < int(r.ContentLength) {
		rest = bytes.Clone(rest)
		_ = conn.SetReadDeadline(time.Now().Add(restFor))
		body, err := in.Peek(int(r.ContentLength))
		_ = conn.SetReadDeadline(time.Now().Add(idleFor))
		if err != nil {
			return nil, append(rest, body[have:]...)
		}
	}
	return r, nil
}

// special are the headers that have a request or its connection treated otherwise, beside those of its body's framing.
var special = [...]string{"Expect", "Upgrade"}

// isPlain tells whether nothing of a request that has been read is for net/http's server: what it would still refuse,
// what changes what becomes of the connection, and a body where none belongs.
func isPlain(r *http.Request) bool {
	plain := r.ProtoMajor == 1 && r.ProtoMinor == 1 && r.Host != "" && !strings.ContainsFunc(r.Host, isOdd) &&
		!r.Close && r.ContentLength < readAhead &&
		(r.Method == http.MethodPost || r.Method == http.MethodPut) == (r.ContentLength > 0) // it is -1 of chunks
	for _, name := range special {
		plain = plain && r.Header[name] == nil
	}
	for name := range r.Header {
		plain = plain && !strings.ContainsFunc(name, isOdd)
	}
	return plain
}

// isOdd tells whether a character is none of those that names of headers and of hosts mostly have.
func isOdd(c rune) bool {
	return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-_.:[]", c)
}
