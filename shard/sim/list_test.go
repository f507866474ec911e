package sim

import (
	"cmp"
	"slices"
	"sort"
	"tandem/shard"
	"tandem/shard/replica"
)

// frameUsers is how many users a page of the simulator has before it is cut.
const frameUsers = 2

// simCounts is what a node's loop counts of a shard: the users of each bucket, with all that was handed to the disk,
// and the LSN of the bucket's last write.
type simCounts struct{ users, last [256]uint64 }

// simBucket puts the few ids of a shard into two buckets, so that pages begin within a bucket, too.
func simBucket(id string) byte { return id[len(id)-1] & 1 }

func listKey(id string) string { return string(shard.AppendKey(nil, simBucket(id), id)) }

// inOrder returns users in the order of a list.
func inOrder(records map[string]shard.Record) []shard.Record {
	rows := make([]shard.Record, 0, len(records))
	for _, r := range records {
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b shard.Record) int { return cmp.Compare(listKey(a.ID), listKey(b.ID)) })
	return rows
}

// countRows counts the users of each bucket.
func countRows(rows []shard.Record) (c simCounts) {
	for i := range rows {
		c.users[simBucket(rows[i].ID)]++
	}
	return c
}

// handed counts as the shell's loop does what it hands to the disk.
func (c simCounts) handed(fx *replica.Effect) simCounts {
	switch fx.Kind {
	case replica.Persist:
		for i := range fx.Entries {
			bucket := simBucket(fx.Entries[i].ID)
			c.last[bucket] = fx.Entries[i].LSN
			switch fx.Entries[i].Result {
			case shard.Created:
				c.users[bucket]++
			case shard.Deleted:
				c.users[bucket]--
			}
		}
	case replica.Wipe, replica.Drop:
		c = simCounts{}
	case replica.PersistRecords:
		c.users = addRows(c.users, fx.Records)
		c.last = all(shard.Unsettled)
	case replica.PersistHistory:
		c.last = all(fx.LSN)
	}
	return c
}

func addRows(users [256]uint64, rows []shard.Record) [256]uint64 {
	for i := range rows {
		users[simBucket(rows[i].ID)]++
	}
	return users
}

func all(lsn uint64) (last [256]uint64) {
	for i := range last {
		last[i] = lsn
	}
	return last
}

// simList is a list at a node: what its view shows, from where its next page is read, and what the replica says about
// it.
type simList struct {
	try   *simTry
	view  []shard.Record
	from  string
	skip  int
	whole bool
	reply *shard.Reply
}

// list opens a view, and asks the replica in the same turn whether what it shows may be given out. The pages are read
// from the view one after another.
func (w *simWorld) list(n *simNode, t *simTry, e *replica.Event) {
	s := t.op.shard
	c := &simList{try: t, view: inOrder(n.disk.shards[s].records)}
	counts, stored := n.counts[s].users, countRows(c.view).users
	for _, bucket := range replica.BucketsAhead(n.replicas[s], &n.counts[s].last) {
		counts[bucket] = stored[bucket]
	}
	bucket, skip, users := shard.SkipBuckets(&counts, t.op.offset)
	t.users, c.from, c.skip = users, string([]byte{shard.UserPrefix, byte(min(bucket, 255))}), int(skip)
	e.Kind, e.Caller = replica.PageAsked, c
	w.step(n, e)
	w.readPage(n, c)
}

// readPage reads the next page of a list; the answer leaves when all are read and the replica agrees.
func (w *simWorld) readPage(n *simNode, c *simList) {
	rows, op := c.view, c.try.op
	at := c.skip + sort.Search(len(rows), func(i int) bool { return listKey(rows[i].ID) >= c.from })
	rows = rows[min(at, len(rows)):]
	page := rows[:min(len(rows), frameUsers, int(op.limit)-len(c.try.page))]
	c.try.page = append(c.try.page, page...)
	if c.whole = len(page) == len(rows) || len(c.try.page) == int(op.limit); !c.whole {
		w.seen["list: several pages"]++
		c.from, c.skip = listKey(page[len(page)-1].ID)+"\x00", 0
	}
	w.on(n, w.delay(w.plan.read), func() {
		switch {
		case !c.whole:
			w.readPage(n, c)
		case c.reply != nil:
			w.reply(n, c.try, *c.reply)
		default:
			c.view = nil
		}
	})
}

// agree takes what the replica says about a list.
func (w *simWorld) agree(n *simNode, c *simList, reply shard.Reply) {
	if c.reply = &reply; c.whole && c.view == nil {
		w.reply(n, c.try, reply)
	}
}

// explainsList tells whether a state gives a list: its users in order from an offset on, and their number.
func explainsList(op *simOp, state map[string]shard.Record) bool {
	rows := inOrder(state)
	rows = rows[min(int(op.offset), len(rows)):]
	return op.users == uint64(len(state)) && slices.Equal(op.page, rows[:min(len(rows), int(op.limit))])
}
