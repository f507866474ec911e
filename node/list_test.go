package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"tandem/node/store"
	"tandem/shard"
	"tandem/shard/replica"
	"tandem/wire"
)

// idsOf returns so many ids of a shard.
func idsOf(s, n int) []string {
	ids := []string{}
	for i := 0; len(ids) < n; i++ {
		id := fmt.Sprint("user-", i)
		if at, _ := shard.ShardOf(testLayout, id); at == s {
			ids = append(ids, id)
		}
	}
	return ids
}

// inOrder sorts ids as a list has them.
func inOrder(ids []string) []string {
	key := func(id string) string {
		_, bucket := shard.ShardOf(testLayout, id)
		return string(shard.AppendKey(nil, bucket, id))
	}
	return slices.SortedFunc(slices.Values(ids), func(a, b string) int { return strings.Compare(key(a), key(b)) })
}

// What is handed to the disk and not stored yet, and what is stored while a page is read, is in no part of the page:
// not in where it begins, not in its users, not in their number.
func TestAPageIsOfOneMoment(t *testing.T) {
	wiring := serviceWiring(t, t.TempDir(), testLayout, 0)
	var err error
	if wiring.DB, err = store.AddFamilies(wiring.DB, []int{2}); err != nil {
		t.Fatal(err)
	}
	r := &owned{state: replica.State{Shard: 2, View: shard.View{Leader: 0}}, db: wiring.DB}
	all := inOrder(idsOf(2, 40))
	was, lsn := all[:30], uint64(0)
	write := func(result shard.Result, ids ...string) []store.Part {
		entries := []shard.Entry{}
		for _, id := range ids {
			lsn++
			entries = append(entries, shard.Entry{Result: result, ID: id, Name: "n", Epoch: 1, LSN: lsn})
		}
		return storeEntries(wiring.Layout, r, &replica.Effect{Entries: entries}, 1)
	}
	keep := func(parts []store.Part) {
		if err := store.WriteBatch(wiring.DB, store.JoinParts(nil, parts)); err != nil {
			t.Fatal(err)
		}
	}
	keep(write(shard.Created, was...))
	r.state.Log.Applied = lsn
	handed := write(shard.Deleted, was[:4]...) // they stand before every page below
	handed = append(handed, write(shard.Created, all[30:35]...)...)
	for _, stored := range []bool{false, true} {
		opened := make(chan shardScan, 1)
		ask := scanAsk{shard: 2, opened: opened, confirmed: make(chan shard.Reply, 1)}
		if events := giveScan(r, ask, nil); len(events) != 1 || events[0].Kind != replica.PageAsked {
			t.Fatalf("the replica is asked %v", events)
		}
		scanned := <-opened
		if !stored {
			keep(handed) // after the scan was opened
		}
		want := was
		if stored { // and not reported yet: the scan has it all the same
			want = all[4:35]
		}
		for offset := 0; offset <= len(want)+1; offset += 7 {
			users, at, err := startOf(testLayout, scanned, &wire.Message{Shard: 2, Offset: uint64(offset), Limit: 10})
			got, pages := []string{}, 0
			for more := true; more && err == nil; pages++ {
				var records []wire.Record
				records, at, err = readRows(scanned.Scan, at, 300) // some users
				for _, u := range records {
					got = append(got, u.ID)
				}
				more = at.most > 0
			}
			from := min(offset, len(want))
			if err != nil || users != uint64(len(want)) || !slices.Equal(got, want[from:min(from+10, len(want))]) ||
				offset == 0 && pages < 2 {
				t.Errorf("stored %v, offset %d: %d users, %v in %d pages, expected %d, %v (%v)", stored, offset, users,
					got, pages, len(want), want[from:min(from+10, len(want))], err)
			}
		}
		store.CloseScan(scanned.Scan)
	}
}

// A list that is longer than a page comes in several, all of them of one moment, while the shard is written to.
func TestAListInSeveralPages(t *testing.T) {
	wirings := startCluster(t)
	s := 2
	lead := wirings[shard.InitialView(testLayout, s).Leader]
	c := connect(t, lead)
	ids := inOrder(idsOf(s, 81))
	big := func(n int, op wire.Op) *wire.Message {
		m := write(ids[n], op, byte(n))
		m.Request[2], m.Record.Name = byte(op), strings.Repeat("n", 15000)
		return m
	}
	for i := range 80 {
		if a := c.ask(big(i, wire.Create)); a.Result != wire.Created {
			t.Fatalf("%+v", a)
		}
	}
	other := connect(t, lead)
	// an empty id counts as none
	page := c.ask(&wire.Message{Kind: wire.List, ID: 7, Shard: uint64(s), After: []byte{}, Limit: 1000})
	for _, n := range []int{79, 0} {
		if a := other.ask(big(n, wire.Delete)); a.Result != wire.Deleted {
			t.Fatalf("%+v", a)
		}
	}
	got, pages := []string{}, 1
	for ; ; pages++ {
		if page.Kind != wire.Page || page.ID != 7 || page.Users != 80 {
			t.Fatalf("page %d: %+v", pages, page)
		}
		for _, r := range page.Records {
			got = append(got, r.ID)
		}
		if !page.More {
			break
		}
		page = c.hear()
	}
	if pages < 3 || !slices.Equal(got, ids[:80]) {
		t.Errorf("%d users in %d pages", len(got), pages)
	}
	if text := line(t, lead, "LIST 0 1000"); !strings.Contains(text, "a smaller limit") {
		t.Errorf("a list of text of a megabyte: %.200s", text)
	}
}

// A client that asks for lists and reads none holds its share of pages and no more, is closed, and leaves nothing
// behind; others are served meanwhile.
func TestAClientThatDoesNotReadIsBounded(t *testing.T) {
	wirings := startCluster(t)
	s := 2
	lead := wirings[shard.InitialView(testLayout, s).Leader]
	good, silent := connect(t, lead), connect(t, lead)
	ids := idsOf(s, 40)
	for i, id := range ids {
		m := write(id, wire.Create, byte(i))
		m.Record.Name = strings.Repeat("n", 15000)
		good.ask(m)
	}
	_ = silent.raw.(*net.TCPConn).SetReadBuffer(4096)
	frames := []byte(nil)
	for i := range maxInFlight {
		frames = wire.NewCodec().AppendFrame(frames, &wire.Message{Kind: wire.List, ID: uint64(i + 2), Shard: uint64(s),
			Limit: 1000})
	}
	if _, err := silent.raw.Write(frames); err != nil {
		t.Fatal(err)
	}
	share, most, served := int(lead.Config.UnreadEachMB<<20/pageMost), 0, 0
	for closed := 0; closed == 0; {
		get := &wire.Message{Kind: wire.Get, ID: 5, Shard: uint64(s), Record: wire.Record{ID: ids[0]}}
		switch a := good.ask(get); {
		case a.Result == wire.Found:
			served++
		case a.Code != wire.Unavailable:
			// where the whole machine stands still a lease runs out, which says nothing of the client that does not read
			t.Fatalf("another client: %+v", a)
		}
		most = max(most, len(lead.Pages))
		counted := make(chan connStats, 1)
		lead.ConnStats <- counted
		closed = (<-counted).unread
	}
	if most != share || served == 0 {
		t.Errorf("it held %d pages, expected %d; another client was served %d times", most, share, served)
	}
	for len(lead.Pages)+len(lead.Unread) > 0 { // or the test does not end
		runtime.Gosched()
	}
	if text := line(t, lead, "STATUS"); !strings.Contains(text, `"closedUnread":1`) {
		t.Errorf("%s", text)
	}
}

// A connection that leaves more unread than its share is closed, whatever it asks for, and gives back what it took.
func TestUnreadAnswersAreBounded(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	raw, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	wiring := &wiring{Node: Node{Config: config{UnreadEachMB: 1}},
		Clients: Clients{Unread: make(chan struct{}, 1000), ConnEvents: make(chan connEvent, 1)}}
	conn := newConn(&wiring.Node, raw, wire.NewCodec())
	go sendAnswers(&wiring.Node, &wiring.Clients, conn, make(chan struct{}))
	frames, sent, open := make([]byte, 100<<10), 0, true
	for ; open && sent < 1<<30; sent += len(frames) {
		deliver(conn, answers{Frames: frames, Count: 1})
		for open && len(conn.Out) > 0 {
			select {
			case <-conn.Ended:
				open = false
			default:
				runtime.Gosched()
			}
		}
	}
	if d := <-wiring.ConnEvents; !strings.Contains(d.Unread, "--unread-each-mb") || len(wiring.Unread) != 0 {
		t.Errorf("closed after %d bytes as %q, %d units are still taken", sent, d.Unread, len(wiring.Unread))
	}
}

// What all connections leave unread is bounded, too, but each has a little of its own.
func TestAllThatIsUnreadIsBounded(t *testing.T) {
	wiring := &wiring{Node: Node{Config: config{UnreadEachMB: 8}}, Clients: Clients{Unread: make(chan struct{}, 3)}}
	first, err := takeUnread(&wiring.Node, &wiring.Clients, 0, unreadOwn+2*unreadUnit)
	second, none := takeUnread(&wiring.Node, &wiring.Clients, 0, unreadOwn)
	if first != 2 || err != nil || second != 0 || none != nil {
		t.Fatal(first, err, second, none)
	}
	second, err = takeUnread(&wiring.Node, &wiring.Clients, second, unreadOwn+unreadUnit+1)
	if second != 1 || err == nil || !strings.Contains(err.Error(), "--unread-mb") {
		t.Errorf("%d units, %v", second, err)
	}
	if first, err = takeUnread(&wiring.Node, &wiring.Clients, first, 0); first != 0 || err != nil ||
		len(wiring.Unread) != second {
		t.Errorf("%d units, %v", first, err)
	}
}

// Only the loop of replicas reads by the column families of shards once the node has started: what else reads has a
// scan that the loop opened.
func TestWhoReadsByAColumnFamily(t *testing.T) {
	allowed := map[string][]string{"store.OpenScan": {"boot.go", "replica.go", "outbox.go"},
		"store.OpenPastWipes": {"replica.go"},
		"store.GetUser":       {"replica.go"},
		"store.ReadLeft":      {"acceptshard.go"}}
	for name, text := range sources(t) {
		for what, files := range allowed {
			if strings.Contains(text, what) && !slices.Contains(files, name) {
				t.Errorf("%s has %s", name, what)
			}
		}
	}
}

// sources returns the node's own sources by name.
func sources(t *testing.T) map[string]string {
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, name := range names {
		if text, err := os.ReadFile(name); err == nil && !strings.HasSuffix(name, "_test.go") {
			texts[name] = string(text)
		}
	}
	return texts
}

// A copy that is damaged denies no user: that may be among what cannot be read.
func TestADamagedCopyDeniesNoUser(t *testing.T) {
	wiring := serviceWiring(t, t.TempDir(), testLayout, 0)
	db, err := store.AddFamilies(wiring.DB, []int{5})
	if err != nil {
		t.Fatal(err)
	}
	handle, id := &replicaHandle{Opens: make(chan scanAsk)}, ""
	wiring.ByShard = make([]*replicaHandle, testLayout.Shards)
	wiring.ByShard[5] = handle
	for s, n := -1, 0; s != 5; n++ {
		id = fmt.Sprint("u", n)
		s, _ = shard.ShardOf(testLayout, id)
	}
	for _, reason := range []string{"", "a bit is another one"} {
		r := &owned{state: replica.State{Shard: 5}, db: db}
		r.state.Damage.Reason = reason
		go func() { giveScan(r, <-handle.Opens, nil) }()
		want := "no user has the id"
		if reason != "" {
			want = "data of shard 5 is damaged: " + reason
		}
		if got := fmt.Sprint(lineGet(wiring, []string{id})); !strings.Contains(got, want) {
			t.Errorf("damage %q: it says %s", reason, got)
		}
	}
}
