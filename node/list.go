package main

import (
	"fmt"
	"time"

	"tandem/node/store"
	"tandem/shard"
	"tandem/shard/replica"
	"tandem/wire"
)

const (
	// bytes of a page's frame: it is cut at wire.PageBytes, behind the user that goes beyond
	pageMost   = wire.PageBytes + 64<<10
	takeWithin = time.Second // for a page that is not the last one to leave
)

// listPage answers a list from one moment of its shard, in as many pages as it takes. The next page is read when the
// one before has left, and none is sent before the replica has said that what the scan shows is committed and may be
// given out (rules R1, R2).
func listPage(node *Node, handles *Handles, clients *Clients, conn *conn, m *wire.Message) {
	if refusal := admit(clients, conn, m.ID); refusal != nil {
		deliver(conn, answers{Message: refusal})
		return
	}
	defer func() { <-clients.Pages; <-conn.Pages }()
	opened, confirmed := make(chan shardScan, 1), make(chan shard.Reply, 1)
	handles.ByShard[m.Shard].Opens <- scanAsk{int(m.Shard), opened, confirmed}
	scanned := <-opened
	clients.Scans <- struct{}{}
	users, at, err := startOf(node.Layout, scanned, m)
	<-clients.Scans
	var left chan struct{} // closed when the last page that was sent has left
	var last *wire.Message // what ends the list
	for last == nil {
		page := &wire.Message{Kind: wire.Page, ID: m.ID, Shard: m.Shard, Users: users}
		if err == nil {
			clients.Scans <- struct{}{}
			page.Records, at, err = readRows(scanned.Scan, at, wire.PageBytes)
			<-clients.Scans
		}
		page.More = at.most > 0
		switch {
		case err != nil:
			last = unreadPage(node, handles, m, err)
		case left == nil:
			last = confirmation(m.ID, confirmed)
		default:
			last = awaitLeft(m.ID, left, conn.Ended)
		}
		if last == nil && page.More {
			left = make(chan struct{})
			deliver(conn, answers{Frames: appendPage(conn.Codec, page), Left: left})
		} else if last == nil {
			last = page
		}
	}
	store.CloseScan(scanned.Scan)
	left = make(chan struct{})
	deliver(conn, answers{Frames: appendPage(conn.Codec, last), Count: 1, Left: left})
	last.Records = nil // only the frame is kept
	select {           // until then it is in memory
	case <-left:
	case <-conn.Ended:
	}
}

// appendPage makes the frame of a page, in a buffer that is large enough at once.
func appendPage(codec wire.Codec, page *wire.Message) []byte {
	size := entrySize + len(page.Text)
	for i := range page.Records {
		size += entrySize + len(page.Records[i].ID) + len(page.Records[i].Name) + len(page.Records[i].Email)
	}
	return codec.AppendFrame(make([]byte, 0, size), page)
}

// admit waits for a list's turn to make pages, among those of its connection and of all, so that what clients do not
// read is bounded. It returns the error for the list if the turn does not come.
func admit(clients *Clients, conn *conn, id uint64) *wire.Message {
	late := time.NewTimer(answerWithin)
	defer late.Stop()
	text := "as many pages as are allowed wait for clients to read them"
	refusal := &wire.Message{Kind: wire.Error, ID: id, Code: wire.Busy, Text: text}
	select {
	case conn.Pages <- struct{}{}:
	case <-late.C:
		return refusal
	}
	select {
	case clients.Pages <- struct{}{}:
		return nil
	case <-late.C:
		<-conn.Pages
		return refusal
	}
}

// awaitLeft waits until a page has left; else it is the error that ends the list.
func awaitLeft(id uint64, left, ended <-chan struct{}) *wire.Message {
	late := time.NewTimer(takeWithin)
	defer late.Stop()
	select {
	case <-left:
		return nil
	case <-ended:
		return &wire.Message{Kind: wire.Error, ID: id, Code: wire.Busy, Text: "the connection is gone"}
	case <-late.C:
		text := fmt.Sprintf("a page was not read for %v", takeWithin)
		return &wire.Message{Kind: wire.Error, ID: id, Code: wire.Busy, Text: text}
	}
}

// confirmation waits until the replica says that what a scan shows may be given out; else it is the error for the
// request.
func confirmation(id uint64, confirmed <-chan shard.Reply) *wire.Message {
	late := time.NewTimer(answerWithin)
	defer late.Stop()
	select {
	case r := <-confirmed:
		if r.Refusal != 0 {
			return &wire.Message{Kind: wire.Error, ID: id, Code: codes[r.Refusal], Text: r.Reason}
		}
		return nil
	case <-late.C:
		return tooLate(id)
	}
}

// unreadPage is the error for a list whose shard cannot be read.
func unreadPage(node *Node, handles *Handles, m *wire.Message, err error) *wire.Message {
	tellUnread(node, handles, int(m.Shard), err, store.IsDamage(err))
	return &wire.Message{Kind: wire.Error, ID: m.ID, Code: wire.Disk, Text: err.Error()}
}

// tellUnread says that a shard cannot be read. Its replica hears of damage.
func tellUnread(node *Node, handles *Handles, s int, err error, damage bool) {
	node.Log.Error("a shard cannot be read", "shard", s, "error", err)
	if damage {
		handles.ByShard[s].In <- []*replica.Event{{Kind: replica.DataDamaged, Shard: s, Reason: err.Error()}}
	}
}

// rest is what is still to be read of a list: from a key on but the first skip users, most of them.
type rest struct {
	start []byte
	skip  uint64
	most  uint64 // 0 when nothing is left
}

// startOf returns where a list begins, behind the id m.After or at m.Offset, in the order (bucket, id), and the number
// of the shard's users. Whole buckets before the offset are skipped by their counts; those that are in doubt the scan
// itself has.
func startOf(l shard.Layout, scanned shardScan, m *wire.Message) (users uint64, at rest, err error) {
	counts := scanned.Counts
	for _, bucket := range scanned.Doubtful {
		value, err := store.GetFrom(scanned.Scan, append([]byte(store.MetaBucket), bucket))
		n, _, ok := store.ReadBucket(value)
		if err == nil && value != nil && !ok {
			err = fmt.Errorf("%w: bucket %d of shard %d has %d bytes", store.ErrStore, bucket, m.Shard, len(value))
		}
		if err != nil {
			return 0, at, err
		}
		counts[bucket] = n
	}
	bucket, skip, users := shard.SkipBuckets((*[256]uint64)(&counts), m.Offset)
	switch {
	case len(m.After) > 0:
		_, bucket := shard.ShardOf(l, string(m.After))
		start := append(shard.AppendKey(nil, bucket, string(m.After)), 0)
		return users, rest{start, 0, m.Limit}, nil
	case bucket == len(counts): // behind the last user
		return users, rest{}, nil
	}
	return users, rest{[]byte{shard.UserPrefix, byte(bucket)}, skip, m.Limit}, nil
}

// readRows reads the next users of a list from its scan, up to about so many bytes, and returns what is left of it.
func readRows(scan store.Scan, at rest, bytes int) (records []wire.Record, left rest, err error) {
	if at.most == 0 {
		return nil, at, nil
	}
	var damaged error
	size := 0
	see := func(key, value []byte) bool {
		id, _ := shard.KeyID(key)
		r, bad := store.DecodeValue(value)
		if damaged = bad; bad != nil {
			return false
		}
		if size += len(value) + len(id) + entrySize; size > bytes && len(records) > 0 {
			left = rest{start: append([]byte(nil), key...), most: at.most - uint64(len(records))}
			return false
		}
		r.ID = id
		records = append(records, wire.Record(r))
		return uint64(len(records)) < at.most
	}
	if err = store.WalkScan(scan, at.start, at.skip, see); err == nil {
		err = damaged
	}
	return records, left, err
}
