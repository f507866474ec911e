package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/node/store"
	"tandem/shard"
	"tandem/wire"
	"tandem/wire/peer"
	"tandem/wire/proc"
)

// client is a connection that has greeted.
type client struct {
	t   testing.TB
	raw net.Conn
	in  *bufio.Reader
}

func connect(t testing.TB, wiring *wiring) client {
	raw, err := net.Dial("tcp", wiring.Config.Listen)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	c := client{t, raw, bufio.NewReader(raw)}
	g := greeting(&wiring.Node)
	g.Role, g.Name = "gateway", "test"
	if m := c.ask(&wire.Message{Kind: wire.Hello, ID: 1, Greeting: peer.Say(g)}); m.Kind != wire.Welcome ||
		m.Greeting.Name != wiring.Config.Name || m.Clock == 0 {
		t.Fatalf("no welcome: %+v", m)
	}
	return c
}

// ask sends a frame and returns the answer. Only an answer that does not come at all ends the test: each has its own
// time.
func (c client) ask(m *wire.Message) *wire.Message {
	c.t.Helper()
	_ = c.raw.SetDeadline(time.Now().Add(time.Minute))
	if _, err := c.raw.Write(wire.NewCodec().AppendFrame(nil, m)); err != nil {
		c.t.Fatal(err)
	}
	return c.hear()
}

func (c client) hear() *wire.Message {
	c.t.Helper()
	body, err := wire.ReadFrame(c.in, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	m := &wire.Message{}
	err = wire.NewCodec().Decode(m, body)
	if err != nil {
		c.t.Fatal(err)
	}
	if m.Kind == wire.Views { // told to whoever greets as a gateway
		return c.hear()
	}
	return m
}

func write(id string, op wire.Op, n byte) *wire.Message {
	s, _ := shard.ShardOf(testLayout, id)
	return &wire.Message{Kind: wire.Write, ID: uint64(n), Shard: uint64(s), Deadline: proc.Clock() + int64(10*time.Second),
		Request: wire.RequestID{n, 1},
		Op:      op, Fields: wire.HasName, Record: wire.Record{ID: id, Name: fmt.Sprint("name ", n), Email: "e", Group: 4}}
}

func leaderOf(id string) int {
	s, _ := shard.ShardOf(testLayout, id)
	return shard.InitialView(testLayout, s).Leader
}

func TestWritesReadsCountsAndPages(t *testing.T) {
	wirings := startCluster(t)
	clients := []client{connect(t, wirings[0]), connect(t, wirings[1]), connect(t, wirings[2])}
	const users = 300
	for i := range users {
		id := fmt.Sprint("user-", i)
		m := write(id, wire.Create, byte(i))
		m.Request[2], m.Request[3] = byte(i>>8), 1
		if a := clients[leaderOf(id)].ask(m); a.Result != wire.Created || a.Touched != 2 || a.Record.ID != id ||
			a.Record.LSN == 0 {
			t.Fatalf("create %s: %+v", id, a)
		}
	}
	lead := clients[leaderOf("user-7")]
	first := lead.ask(write("user-7", wire.Update, 200))
	again := lead.ask(write("user-7", wire.Update, 200))
	if first.Result != wire.Updated || first.Record.Email != "e" || again.Record != first.Record {
		t.Errorf("a repeated request: %+v and then %+v", first, again)
	}
	if a := lead.ask(write("user-7", wire.Create, 201)); a.Result != wire.Exists || a.Touched != 1 {
		t.Errorf("create of an existing user: %+v", a)
	}
	stale := write("user-7", wire.Delete, 202)
	stale.Match = wire.Condition{Kind: wire.OneOf, Versions: []wire.LogPosition{{Epoch: 1, LSN: 1 << 40}}}
	if a := lead.ask(stale); a.Result != wire.Mismatch {
		t.Errorf("delete of another version: %+v", a)
	}
	overdue := write("user-7", wire.Delete, 203)
	overdue.Deadline = proc.Clock() - 1
	if a := lead.ask(overdue); a.Code != wire.Overdue {
		t.Errorf("an overdue write: %+v", a)
	}
	s, _ := shard.ShardOf(testLayout, "user-7")
	if a := lead.ask(&wire.Message{Kind: wire.Get, ID: 9, Shard: uint64(s),
		Record: wire.Record{ID: "user-7"}}); a.Result != wire.Found || a.Record != first.Record {
		t.Errorf("get: %+v", a)
	}
	backup := clients[shard.InitialView(testLayout, s).Backup] // passes requests on (rule R21)
	if a := backup.ask(&wire.Message{Kind: wire.Get, ID: 9, Shard: uint64(s),
		Record: wire.Record{ID: "user-7"}}); a.ID != 9 || a.Result != wire.Found || a.Record != first.Record ||
		a.Touched != 2 {
		t.Errorf("get at the backup: %+v", a)
	}
	if a := backup.ask(write("user-7", wire.Update, 200)); a.ID != 200 || a.Record != first.Record || a.Touched != 2 {
		t.Errorf("a repeated request at the backup: %+v", a)
	}
	if a := backup.ask(stale); a.Result != wire.Mismatch {
		t.Errorf("delete of another version at the backup: %+v", a)
	}
	if a := backup.ask(overdue); a.Code != wire.Overdue {
		t.Errorf("an overdue write at the backup: %+v", a)
	}
	seen := map[string]bool{}
	sum := uint64(0)
	for s := range testLayout.Shards {
		v := shard.InitialView(testLayout, s)
		lead, back := clients[v.Leader], clients[v.Backup]
		counts := lead.ask(&wire.Message{Kind: wire.Count, ID: 1, Set: []uint64{uint64(s)}}).Counts
		if other := back.ask(&wire.Message{Kind: wire.Count, ID: 1,
			Set: []uint64{uint64(s)}}).Counts; len(other) != 1 || other[0] != counts[0] {
			t.Fatalf("shard %d: the leader counts %v, the backup %v", s, counts, other)
		}
		sum += counts[0].Users
		var after []byte
		for offset := uint64(0); offset < counts[0].Users; offset += 3 {
			page := back.ask(&wire.Message{Kind: wire.List, ID: 2, Shard: uint64(s), Offset: offset, Limit: 3})
			chained := lead.ask(&wire.Message{Kind: wire.List, ID: 2, Shard: uint64(s), After: after, Limit: 3})
			if offset > 0 && fmt.Sprint(chained.Records) != fmt.Sprint(page.Records) || len(page.Records) == 0 {
				t.Fatalf("shard %d offset %d: %v by offset, %v behind %q", s, offset, page.Records, chained.Records, after)
			}
			for _, r := range page.Records {
				if seen[r.ID] {
					t.Fatalf("%s twice", r.ID)
				}
				seen[r.ID], after = true, []byte(r.ID)
			}
		}
		if past := lead.ask(&wire.Message{Kind: wire.List, ID: 2, Shard: uint64(s), Offset: counts[0].Users + 2,
			Limit: 3}); past.Kind != wire.Page || len(past.Records) != 0 {
			t.Fatalf("shard %d past its end: %+v", s, past)
		}
		if a, b := digest(t, wirings[v.Leader], s), digest(t, wirings[v.Backup], s); a != b {
			t.Errorf("shard %d: digests %s and %s", s, a, b)
		}
	}
	if sum != users || len(seen) != users {
		t.Errorf("counted %d and listed %d of %d users", sum, len(seen), users)
	}
}

// line asks a node a line of text and returns the answer's line.
func line(t *testing.T, wiring *wiring, text string) string {
	raw, err := net.Dial("tcp", wiring.Config.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	_ = raw.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprintln(raw, text)
	_ = raw.(*net.TCPConn).CloseWrite()
	answer, err := bufio.NewReader(raw).ReadString('\n')
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return answer
}

func digest(t *testing.T, wiring *wiring, s int) string {
	fields := map[string]any{}
	if err := json.Unmarshal([]byte(line(t, wiring, fmt.Sprint("DIGEST ", s))), &fields); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(fields["digest"], fields["users"], fields["lsn"])
}

func TestLinesOfText(t *testing.T) {
	wirings := startCluster(t)
	id := "13AE742"
	connect(t, wirings[leaderOf(id)]).ask(write(id, wire.Create, 1))
	lead := wirings[leaderOf(id)]
	s, _ := shard.ShardOf(testLayout, id)
	for text, want := range map[string]string{
		"PING":                                   "PONG",
		"ping":                                   "PONG",
		"STATUS":                                 `"started":true`,
		"Status":                                 `"ready":`,
		"status":                                 `"leader":"db-`,
		"status ":                                `"underReplicated":0`,
		"VIEW":                                   `"leader":"db-`,
		"SHARDS":                                 `"role":"backup"`,
		"GET 13AE742":                            `"name":"name 1"`,
		"GET nobody-" + strings.Repeat("x", 200): "expected 1 to 128 characters",
		"COUNT":                                  `"leader":1`,
		"LIST 0 10":                              `"id":"13AE742"`,
		"LIST x 10":                              "LIST offset limit",
		fmt.Sprintf("WAL %d 1 5", s):             `"op":"create"`,
		fmt.Sprintf("WAL %d 9 5", s):             "purged from the write log",
		"CONNS":                                  `"caller":"node db-`,
		"GET":                                    "GET takes 1 argument, found 0",
		"DROP TABLE":                             `unknown command \"DROP\"`,
		"HELP":                                   "GET id",
		"GET /api/user HTTP/1.1":                 "HTTP/1.1 400",
		strings.Repeat("A", 5000):                "a line of more than 1024 bytes",
		strings.Repeat("B", 50000):               "a line of more than 1024 bytes",
	} {
		if got := line(t, lead, text); !strings.Contains(got, want) {
			t.Errorf("%.40q answered %.200q, expected %q in it", text, got, want)
		}
	}
}

func TestBrokenFramesGetAnErrorAndNothingElseSuffers(t *testing.T) {
	wirings := startCluster(t)
	good := connect(t, wirings[0])
	right := greeting(&wirings[0].Node)
	right.Role, right.Name = shard.RoleGateway, "test"
	hello := slices.Clip(wire.NewCodec().AppendFrame(nil, &wire.Message{Kind: wire.Hello, ID: 1,
		Greeting: peer.Say(right)}))
	wrong := right
	wrong.Cluster = "other"
	for name, c := range map[string]struct {
		bytes []byte
		want  string
	}{
		"no frame":      {[]byte{0x00, 1, 2, 3, 4, 5}, "byte 0: expected 0xce"},
		"too long":      {[]byte{0xce, 0x7f, 0, 0, 0}, "expected a length of at most"},
		"claims 32 GiB": {[]byte{0xce, 0, 0, 0, 6, 0x91, 0xdd, 0x7f, 0xff, 0xff, 0xff}, "bytes left"},
		"no greeting":   {wire.NewCodec().AppendFrame(nil, &wire.Message{Kind: wire.Ping}), "expected hello"},
		"another cluster": {wire.NewCodec().AppendFrame(nil,
			&wire.Message{Kind: wire.Hello, Greeting: peer.Say(wrong)}), `belongs to cluster "test", not "other"`},
		"append by a client": {append(hello, wire.NewCodec().AppendFrame(nil,
			&wire.Message{Kind: wire.Append, Shard: 2})...), "holds no replica of shard 2"},
		"unheld shard": {append(hello, wire.NewCodec().AppendFrame(nil,
			&wire.Message{Kind: wire.Get, Shard: 1})...), "holds no replica of shard 1"},
		"unknown shard": {append(hello, wire.NewCodec().AppendFrame(nil,
			&wire.Message{Kind: wire.Get, Shard: 1 << 60})...), "holds no replica"},
		"an answer": {append(hello, wire.NewCodec().AppendFrame(nil, &wire.Message{Kind: wire.Page})...),
			"is no request"},
	} {
		raw, err := net.Dial("tcp", wirings[0].Config.Listen)
		if err != nil {
			t.Fatal(err)
		}
		_ = raw.SetDeadline(time.Now().Add(20 * time.Second))
		_, _ = raw.Write(c.bytes)
		in, text := bufio.NewReader(raw), ""
		for text == "" {
			body, err := wire.ReadFrame(in, nil)
			if err != nil {
				t.Errorf("%s: no error frame: %v", name, err)
				break
			}
			m := &wire.Message{}
			if err := wire.NewCodec().Decode(m, body); err == nil && m.Kind == wire.Error {
				text = m.Text
			}
		}
		if !strings.Contains(text, c.want) {
			t.Errorf("%s: answered %q, expected %q in it", name, text, c.want)
		}
		raw.Close()
	}
	if m := good.ask(&wire.Message{Kind: wire.Ping, ID: 77}); m.Kind != wire.Pong || m.ID != 77 {
		t.Errorf("another client: %+v", m)
	}
}

// A value that does not decode is an error for who asks for it, with every other user served as before, on each try
// anew.
func TestDamagedUserIsRefusedAndTheNodeGoesOn(t *testing.T) {
	wirings := startCluster(t)
	lead := wirings[leaderOf("13AE742")]
	s, bucket := shard.ShardOf(testLayout, "13AE742")
	c := connect(t, lead)
	c.ask(write("13AE742", wire.Create, 1))
	key, value := shard.AppendKey(nil, bucket, "13AE742"), "no msgpack"
	// of RocksDB's batch format: a put to a column family
	put := []byte{5, byte(store.FamilyID(lead.DB, s)), byte(len(key))}
	put = append(append(append(put, key...), byte(len(value))), value...)
	damage := store.Part{Records: 1, Bytes: put}
	if err := store.WriteBatch(lead.DB, store.JoinParts(nil, []store.Part{damage})); err != nil {
		t.Fatal(err)
	}
	get := &wire.Message{Kind: wire.Get, ID: 5, Shard: uint64(s), Record: wire.Record{ID: "13AE742"}}
	for range 2 {
		if a := c.ask(get); a.Code != wire.Disk || !strings.Contains(a.Text, "damaged value") {
			t.Errorf("a damaged user: %+v", a)
		}
		if a := c.ask(write("13AE742", wire.Update, 2)); a.Code != wire.Disk {
			t.Errorf("an update of a damaged user: %+v", a)
		}
	}
	other := &wire.Message{Kind: wire.Get, ID: 6, Shard: uint64(s), Record: wire.Record{ID: "nobody"}}
	if a := c.ask(other); a.Result != wire.Missing {
		t.Errorf("another user of the shard: %+v", a)
	}
}
