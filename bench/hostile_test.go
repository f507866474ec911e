package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tandem/bench/cluster"
	"tandem/wire"
)

// maxGrowth bounds what hostile clients may make a process take, in KiB.
const maxGrowth = 512 << 10

// resident returns the memory of a process, in KiB.
func resident(t *testing.T, p cluster.Process) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	n, err := strconv.Atoi(strings.Fields(rest + " x")[0])
	if err != nil {
		t.Fatalf("%s: no VmRSS in %s", p.Name, text)
	}
	return n
}

// service is what a client has met: requests that worked, of them those that were asked again after a 503, and that
// failed.
type service struct{ worked, again, failed int }

// goodClient does CRUD until told to stop. A 503 is asked again, as Retry-After says; what it asked for may then be
// done already.
func goodClient(c *testCluster, stop <-chan struct{}, done chan<- service) {
	var s service
	for i := uint64(0); ; i++ {
		select {
		case <-stop:
			done <- s
			return
		case <-time.After(time.Millisecond):
		}
		u := makeUser(99, i)
		for _, k := range []struct {
			want, wantAgain    int
			method, path, body string
		}{
			{201, 409, "POST", "/api/user/", userJSON(u)}, {200, 200, "GET", "/api/user/" + u.ID, ""},
			{200, 200, "PUT", "/api/user/", `{"id":"` + u.ID + `","group":1}`}, {204, 404, "DELETE", "/api/user/" + u.ID, ""},
		} {
			got, err := c.ask(k.method, k.path, k.body)
			for try := 0; try < 20 && err == nil && got.status == 503; try++ {
				s.again++
				got, err = c.ask(k.method, k.path, k.body)
				if got.status == k.wantAgain {
					k.want = k.wantAgain
				}
			}
			if err != nil || got.status != k.want {
				c.t.Logf("%s: %v, status %d: %s", k.method, err, got.status, got.body)
				s.failed++
			} else {
				s.worked++
			}
		}
	}
}

// whileServing runs an attack beside a good client, which must not suffer, and holds that the attacked stay alive and
// small.
func (c *testCluster) whileServing(t *testing.T, attack func()) {
	t.Helper()
	before := make([]int, len(c.processes))
	for i, p := range c.processes {
		before[i] = resident(t, p)
	}
	stop, done := make(chan struct{}), make(chan service)
	go goodClient(c, stop, done)
	attack()
	for i, p := range c.processes {
		after := resident(t, p)
		t.Logf("%s: %d MiB before, %d MiB at the height", p.Name, before[i]>>10, after>>10)
		if after-before[i] > maxGrowth {
			t.Errorf("%s grew by %d MiB", p.Name, (after-before[i])>>10)
		}
	}
	close(stop)
	s := <-done
	t.Logf("a good client: %+v", s)
	if s.failed > 0 || s.worked == 0 {
		t.Error("the good client was harmed")
	}
	for i := range c.plan.Nodes {
		if s := c.status(i); !s.Ready {
			t.Errorf("%s: %+v", c.plan.Names[i], s)
		}
	}
}

// throw sends bytes over a new connection and returns all that comes back until the other side closes, or half is told
// to: then the sender closes its half first.
func throw(t *testing.T, addr string, data []byte, half bool) []byte {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Error(err)
		return nil
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = conn.Write(data) // the other side may close at any byte
	if half {
		_ = conn.(*net.TCPConn).CloseWrite()
	}
	answer, err := io.ReadAll(conn)
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		t.Errorf("% x: the connection stays open", data[:min(len(data), 40)])
	}
	return answer
}

// lastFrame decodes the last frame of an answer.
func lastFrame(answer []byte) *wire.Message {
	in := bufio.NewReader(bytes.NewReader(answer))
	var last *wire.Message
	for {
		body, err := wire.ReadFrame(in, nil)
		if err != nil {
			return last
		}
		m := &wire.Message{}
		err = wire.NewCodec().Decode(m, body)
		if err != nil {
			return nil
		}
		if m.Kind != wire.Views { // told to every gateway, whenever they change
			last = m
		}
	}
}

// frame puts a head before a body.
func frame(body ...byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{wire.Uint32Byte}, uint32(len(body))), body...)
}

func TestHostileClients(t *testing.T) {
	c := startTest(t, 3)
	t.Run("frames", func(t *testing.T) { c.whileServing(t, func() { c.hostileFrames(t) }) })
	t.Run("noise", func(t *testing.T) { c.whileServing(t, func() { c.noise(t) }) })
	t.Run("slow", func(t *testing.T) { c.whileServing(t, func() { c.slowClients(t) }) })
	t.Run("idle", func(t *testing.T) { c.whileServing(t, func() { c.idleClients(t) }) })
}

// hostileFrames are frames that would make a careless decoder allocate or recurse without bound. Each is answered by an
// error frame that says at which byte and what was expected, and then the connection is closed.
func (c *testCluster) hostileFrames(t *testing.T) {
	deep := bytes.Repeat([]byte{0x91}, wire.MaxFrame)
	bad := map[string][]byte{
		"array of 4 billion":      frame(0xdd, 0xff, 0xff, 0xff, 0xff, 0xc0),
		"map of 4 billion":        frame(0xdf, 0xff, 0xff, 0xff, 0xff, 0xc0),
		"string of 4 GiB":         frame(0x93, 5, 1, 0xdb, 0xff, 0xff, 0xff, 0xff),
		"bytes of 4 GiB":          frame(0x93, 5, 1, 0xc6, 0xff, 0xff, 0xff, 0xff),
		"array within":            frame(0x93, 8, 1, 0xdd, 0x7f, 0xff, 0xff, 0xff),
		"a megabyte of nesting":   frame(deep...),
		"nine deep":               frame(0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0x91, 0xc0),
		"trailing bytes":          frame(0x92, 3, 1, 0),
		"not an array":            frame(0x03),
		"empty body":              frame(),
		"unknown kind":            frame(0x92, 0x7f, 1),
		"no kind":                 frame(0x90),
		"a length of 4 GiB":       {wire.Uint32Byte, 0xff, 0xff, 0xff, 0xff, 0x92},
		"a length just too large": {wire.Uint32Byte, 0x00, 0x10, 0x00, 0x01, 0x92},
		"extension":               frame(0x92, 0xc7, 0x01, 0x01, 0x01),
	}
	for name, data := range bad {
		for _, greeted := range []bool{false, true} {
			if greeted {
				data = append(c.hello(), data...)
			}
			answer := throw(t, c.plan.Addrs[0], data, false)
			m := lastFrame(answer)
			if m == nil || m.Kind != wire.Error || m.Code != wire.BadFrame || !strings.Contains(m.Text, "expected") {
				t.Errorf("%s, greeted %v: answered %+v (% x)", name, greeted, m, answer[:min(len(answer), 64)])
			}
		}
	}
	// A flipped byte under a checksum.
	create := wire.Message{Kind: wire.Write, ID: 9, Op: wire.Create, Record: wire.Record{ID: "x", Name: "n"}}
	write := wire.NewCodec().AppendFrame(nil, &create)
	write[len(write)-8] ^= 1
	if m := lastFrame(throw(t, c.plan.Addrs[0], append(c.hello(), write...), false)); m == nil || m.Kind != wire.Error {
		t.Errorf("a broken checksum is answered %+v", m)
	}
	for want, change := range map[wire.Code]func(g wire.Greeting) wire.Greeting{
		wire.WrongVersion:     func(g wire.Greeting) wire.Greeting { g.Least, g.Most = 99, 99; return g },
		wire.WrongCluster:     func(g wire.Greeting) wire.Greeting { g.Cluster = "other"; return g },
		wire.WrongIncarnation: func(g wire.Greeting) wire.Greeting { g.Incarnation[0] = 1; return g },
		wire.WrongRing:        func(g wire.Greeting) wire.Greeting { g.Ring++; return g },
		wire.WrongShards:      func(g wire.Greeting) wire.Greeting { g.Shards++; return g },
		wire.WrongLease: func(g wire.Greeting) wire.Greeting {
			g.Role, g.Name, g.Lease, g.Grace = "node", "db-1", 1e9, 2e9
			return g
		},
		wire.WrongName: func(g wire.Greeting) wire.Greeting { g.Role = "king"; return g },
	} {
		g := change(c.greeting())
		hello := wire.NewCodec().AppendFrame(nil, &wire.Message{Kind: wire.Hello, ID: 1, Greeting: g})
		m := lastFrame(throw(t, c.plan.Addrs[0], hello, true))
		if m == nil || m.Kind != wire.Error || m.Code != want {
			t.Errorf("hello %+v is answered %+v", g, m)
		}
	}
	// Frames that only a leader may send, for a shard that is led elsewhere or does not exist.
	for _, m := range []*wire.Message{{Kind: wire.Append, Shard: 1 << 40, Epoch: 1},
		{Kind: wire.Stored, Shard: 23, Epoch: 9, LSN: 1 << 60}, {Kind: wire.Get, ID: 2, Shard: 1 << 63},
		{Kind: wire.List, ID: 3, Shard: 0, Limit: 1 << 62, Offset: 1 << 62},
		{Kind: wire.Count, ID: 4, Set: []uint64{1 << 62}}, {Kind: wire.SnapBegin, Shard: 1, Epoch: 1},
		{Kind: wire.LeasePing, Claims: []wire.Claim{{Shard: 1 << 40, Epoch: 9}}}, {Kind: wire.Raft, Data: []byte{8}}} {
		for _, addr := range c.plan.Addrs {
			throw(t, addr, append(c.hello(), wire.NewCodec().AppendFrame(nil, m)...), true)
		}
	}
}

// noise is random bytes, frames cut at random, and lines without end, on nodes and gateway.
func (c *testCluster) noise(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 2))
	message := wire.Message{Kind: wire.Get, ID: 2, Record: wire.Record{ID: "x"}}
	get := append(c.hello(), wire.NewCodec().AppendFrame(nil, &message)...)
	post := "POST /api/user/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n" + ada
	for i := range 300 {
		junk := make([]byte, chance.IntN(5000)+1)
		for k := range junk {
			junk[k] = byte(chance.Uint32())
		}
		if i%2 == 0 {
			junk[0] = wire.Uint32Byte
		}
		addr := c.plan.Addrs[i%c.plan.Nodes]
		throw(t, addr, junk, true)
		throw(t, addr, append(c.hello(), junk...), true)
		throw(t, addr, get[:chance.IntN(len(get))], true)
		throw(t, c.plan.HTTP, junk, true)
		throw(t, c.plan.HTTP, []byte(post[:chance.IntN(len(post))]), true)
	}
	long := bytes.Repeat([]byte("x"), 8<<20)
	throw(t, c.plan.Addrs[0], long, true)
	throw(t, c.plan.HTTP, append([]byte("GET /"), long...), true)
	throw(t, c.plan.HTTP, append([]byte("GET / HTTP/1.1\r\nHost: x\r\nX-Long: "), long...), true)
	claims := []net.Conn{} // a megabyte is claimed and never sent
	for range 500 {
		if conn, err := net.Dial("tcp", c.plan.Addrs[1]); err == nil {
			_, _ = conn.Write(append(c.hello(), wire.Uint32Byte, 0, 0x10, 0, 0))
			claims = append(claims, conn)
		}
	}
	if n := len(claims); n != 500 {
		t.Errorf("%d of 500 connections were accepted", n)
	}
	time.Sleep(500 * time.Millisecond)
	for _, conn := range claims {
		conn.Close()
	}
}

// slowClients send a good request a byte at a time.
func (c *testCluster) slowClients(t *testing.T) {
	request := "GET /api/user/count HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	frames := append(c.hello(), wire.NewCodec().AppendFrame(nil, &wire.Message{Kind: wire.Ping, ID: 2})...)
	type target struct{ addr, data, want string }
	targets := []target{{c.plan.HTTP, request, "HTTP/1.1 200"}, {c.plan.Addrs[0], "STATUS\n", `{`},
		{c.plan.Addrs[1], string(frames), "\xce"}}
	ended := make(chan string, 300)
	for i := range 300 {
		go func() {
			to := targets[i%len(targets)]
			conn, err := net.Dial("tcp", to.addr)
			if err != nil {
				ended <- err.Error()
				return
			}
			defer conn.Close()
			for k := range len(to.data) {
				_, _ = conn.Write([]byte{to.data[k]})
				time.Sleep(50 * time.Millisecond)
			}
			_ = conn.(*net.TCPConn).CloseWrite()
			_ = conn.SetDeadline(time.Now().Add(patience))
			answer, err := io.ReadAll(conn)
			if err != nil || !strings.HasPrefix(string(answer), to.want) {
				ended <- fmt.Sprintf("%s: %v after %.80q", to.addr, err, answer)
				return
			}
			ended <- ""
		}()
	}
	for range 300 {
		if why := <-ended; why != "" {
			t.Errorf("a slow client got no answer: %s", why)
		}
	}
}

// idleClients open many connections that say nothing, to a node and to the gateway, and then a client asks each of
// them.
func (c *testCluster) idleClients(t *testing.T) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	each := int(min(10_000, limit.Cur/2) / 2)
	idle := []net.Conn{}
	defer func() {
		for _, conn := range idle {
			conn.Close()
		}
	}()
	for range each {
		for _, addr := range []string{c.plan.Addrs[0], c.plan.HTTP} {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatalf("after %d connections: %v", len(idle), err)
			}
			idle = append(idle, conn)
		}
	}
	t.Logf("%d idle connections", len(idle))
	for range 50 {
		fresh := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
		answer, err := fresh.Get("http://" + c.plan.HTTP + "/api/user/count")
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if s := c.status(0); answer.StatusCode != 200 || !s.Ready {
			t.Errorf("status %d, %+v", answer.StatusCode, s)
		}
	}
}
