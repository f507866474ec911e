package main

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/google/uuid"

	"tandem/node/store"
	"tandem/shard"
	"tandem/shard/replica"
	"tandem/wire"
)

// userLine is a user in a line of text, with its position in the shard's log and what the node that answers is to the
// shard.
type userLine struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Email string `json:"email"`
	Group int64  `json:"group"`
	Shard int    `json:"shard"`
	Role  string `json:"role,omitempty"`
	Epoch uint64 `json:"epoch"`
	LSN   uint64 `json:"lsn"`
}

// Held is a replica in a line of text.
type Held struct {
	Shard  int    `json:"shard"`
	Role   string `json:"role"`
	Peer   string `json:"peer"`
	Epoch  uint64 `json:"epoch"`
	InSync bool   `json:"inSync"`
	LSN    uint64 `json:"lsn"`
	Users  uint64 `json:"users"`
	Error  string `json:"error,omitempty"` // why it answers nothing, or why the pair takes no writes
	served Served
	state  replica.State
	now    int64
}

// unknownRole is what a replica is until the views are learnt.
const unknownRole = "unknown"

// roles names what a replica is, by whether its node leads the shard.
var roles = map[bool]string{true: "leader", false: "backup"}

// holdings asks every replica held here how it is.
func holdings(node *Node, handles *Handles) []Held {
	list := []Held{}
	for _, i := range inspectAll(handles) {
		r := &i.State
		h := Held{Shard: r.Shard, Role: roles[r.View.Leader == node.Self], Peer: r.Peer, Epoch: r.View.Epoch,
			InSync: r.View.InSync, LSN: r.Log.Applied, Users: i.Users,
			Error: r.Log.DiskError, served: i.Served, state: *r, now: i.Now}
		if !r.Known {
			h.Role = unknownRole
		}
		if h.Error == "" {
			h.Error = replica.NotServing(r, i.Now)
		}
		if h.Error == "" && r.View.Leader == node.Self {
			h.Error = r.Leading.BackupError
		}
		list = append(list, h)
	}
	slices.SortFunc(list, func(a, b Held) int { return a.Shard - b.Shard })
	return list
}

func linePing(wiring *wiring, _ []string) any {
	if !wiring.Started {
		return map[string]string{"answer": "WAITING", "node": wiring.Config.Name,
			"for": "its own data, or the other nodes of a new cluster"}
	}
	return map[string]string{"answer": "PONG", "node": wiring.Config.Name}
}

func lineStatus(wiring *wiring, _ []string) any {
	served, errs := Served{}, map[string]int{}
	leads, backs, views := 0, 0, []shard.View{}
	held := holdings(&wiring.Node, &wiring.Handles)
	for _, h := range held {
		served = Served{served.Get + h.served.Get, served.Write + h.served.Write, served.Count + h.served.Count,
			served.List + h.served.List, served.Append + h.served.Append}
		if h.Error != "" {
			errs[h.Error]++
		}
		switch h.Role {
		case "leader":
			leads++
		case "backup":
			backs++
		}
		if h.state.Known {
			views = append(views, h.state.View)
		}
	}
	refused := make(chan map[string]string, 1)
	wiring.Refusals <- refused
	status := map[string]any{"refused": <-refused, "node": wiring.Config.Name, "cluster": wiring.Config.Cluster,
		"store": wiring.Identity.Store, "member": wiring.Member, "started": wiring.Started,
		"nodes": wiring.Layout.Nodes, "shards": wiring.Layout.Shards, "leads": leads, "backs": backs,
		"underReplicated": shard.UnderReplicated(views, wiring.Self), "served": served, "errors": errs}
	if mine := greeting(&wiring.Node); mine.Incarnation != [16]byte{} {
		status["incarnation"] = uuid.UUID(mine.Incarnation)
	}
	status["ring"], status["build"] = wiring.Mine.Names, wiring.Mine.Build
	status["lease"], status["grace"] = wiring.Config.Lease.String(), wiring.Config.Grace.String()
	status["logDropped"] = wiring.Output.Dropped()
	counted := make(chan connStats, 1)
	wiring.ConnStats <- counted
	known := <-counted
	status["connections"] = map[string]int{"open": len(known.open), "most": wiring.Config.MaxConnections,
		"closedUnread": known.unread}
	status["unread"] = map[string]int{
		"bytes": len(wiring.Unread) * unreadUnit, "most": cap(wiring.Unread) * unreadUnit,
		"pages": len(wiring.Pages), "pagesMost": cap(wiring.Pages)}
	if wiring.Started {
		c := viewsStatus(&wiring.Peers)
		checks := shard.NodeChecks(partOf(&wiring.Node, &wiring.Peers, held, c))
		status["ready"], status["checks"] = shard.Ready(checks), checkResults(checks)
		status["raft"] = map[string]any{"leader": nodeName(&wiring.Node, shard.NodeOf(c.Lead)), "term": c.Term,
			"index": c.State.Index, "silent": c.Unhealthy}
		status["repairs"] = len(repairs(&wiring.Node, held))
	}
	return status
}

// viewsStatus asks the view service how it is.
func viewsStatus(peers *Peers) viewsReport {
	reply := make(chan viewsReport, 1)
	peers.Views.Inspect <- reply
	return <-reply
}

// repairLine is the repair of a backup in a line of text.
type repairLine struct {
	Shard    int     `json:"shard"`
	Backup   string  `json:"backup"`
	Snapshot bool    `json:"snapshot"` // the whole shard is sent, as the log does not reach back
	ToGo     uint64  `json:"toGo"`     // writes
	Rate     float64 `json:"perSecond"`
	Left     float64 `json:"secondsLeft"`
}

// repairs lists what this node, as leader, is repairing.
func repairs(node *Node, held []Held) []repairLine {
	list := []repairLine{}
	for _, h := range held {
		r := &h.state
		if r.View.Leader != node.Self || r.View.InSync || !r.Repair.Compared {
			continue
		}
		done, took := float64(r.Stream.PeerStored+1)-float64(r.Repair.First), float64(h.now-r.Repair.Since)/1e9
		one := repairLine{Shard: h.Shard, Backup: r.Peer, Snapshot: r.Repair.Snapshot,
			ToGo: r.Leading.Next - min(r.Leading.Next, r.Stream.PeerStored)}
		if done > 0 && took > 0 {
			one.Rate = done / took
			one.Left = float64(one.ToGo) / one.Rate
		}
		list = append(list, one)
	}
	return list
}

func lineRepair(wiring *wiring, _ []string) any {
	held := holdings(&wiring.Node, &wiring.Handles)
	return repairs(&wiring.Node, held)
}

func lineView(wiring *wiring, _ []string) any {
	type viewed struct {
		Shard  int    `json:"shard"`
		Epoch  uint64 `json:"epoch"`
		Leader string `json:"leader"`
		Backup string `json:"backup"`
		InSync bool   `json:"inSync"`
	}
	list := []viewed{}
	if !wiring.Started {
		return fault{Error: "this node has not opened its data yet, or waits for the other nodes of a new cluster"}
	}
	for s, v := range viewsStatus(&wiring.Peers).State.Views {
		list = append(list, viewed{s, v.Epoch, wiring.Members[v.Leader].Name, wiring.Members[v.Backup].Name, v.InSync})
	}
	return list
}

func lineShards(wiring *wiring, _ []string) any { return holdings(&wiring.Node, &wiring.Handles) }

func lineGet(wiring *wiring, args []string) any {
	id := args[0]
	if err := shard.CheckID(id); err != nil {
		return fault{Error: err.Error()}
	}
	s, bucket := shard.ShardOf(wiring.Layout, id)
	if wiring.ByShard[s] == nil {
		first, second := shard.Pair(wiring.Layout, s)
		return fault{fmt.Sprintf("%s holds no replica of shard %d", wiring.Config.Name, s),
			fmt.Sprintf("ask %s or %s", wiring.Members[first].Name, wiring.Members[second].Name)}
	}
	scanned := scanOf(&wiring.Handles, s)
	defer store.CloseScan(scanned.Scan)
	value, err := store.GetFrom(scanned.Scan, shard.AppendKey(nil, bucket, id))
	role := roles[scanned.Leads]
	if scanned.Damage != "" { // the user may be among what cannot be read
		return fault{Error: fmt.Sprintf("this node's data of shard %d is damaged: %s", s, scanned.Damage)}
	}
	if err != nil {
		return fault{Error: err.Error()}
	}
	if value == nil {
		return fault{Error: fmt.Sprintf("no user has the id %s (shard %d, %s here)", id, s, role)}
	}
	r, err := store.DecodeValue(value)
	if err != nil {
		return fault{Error: err.Error()}
	}
	return userLine{id, r.Name, r.Email, r.Group, s, role, r.Epoch, r.LSN}
}

func lineCount(wiring *wiring, _ []string) any {
	sums := map[string]uint64{"leader": 0, "backup": 0}
	for _, h := range holdings(&wiring.Node, &wiring.Handles) {
		sums[h.Role] += h.Users
	}
	return sums
}

func lineList(wiring *wiring, args []string) any {
	offset, badOffset := strconv.ParseUint(args[0], 10, 64)
	limit, badLimit := strconv.ParseUint(args[1], 10, 64)
	if badOffset != nil || badLimit != nil || limit < 1 || limit > 1000 {
		return fault{"bad offset or limit", "LIST offset limit, with a limit of 1 to 1000"}
	}
	counts, size := make([]uint64, wiring.Layout.Shards), 0
	for _, h := range holdings(&wiring.Node, &wiring.Handles) {
		if h.Role == "leader" {
			counts[h.Shard] = h.Users
		}
	}
	users := []userLine{}
	for _, part := range shard.PlanOffset(counts, offset, limit) {
		scanned := scanOf(&wiring.Handles, part.Shard)
		_, at, err := startOf(wiring.Layout, scanned, &wire.Message{Shard: uint64(part.Shard), Offset: part.Offset,
			Limit: limit - uint64(len(users))})
		var records []wire.Record
		if err == nil {
			records, at, err = readRows(scanned.Scan, at, wire.PageBytes)
		}
		store.CloseScan(scanned.Scan)
		if err != nil {
			return fault{Error: err.Error()}
		}
		for _, r := range records {
			size += entrySize + len(r.ID) + len(r.Name) + len(r.Email)
			users = append(users, userLine{r.ID, r.Name, r.Email, r.Group, part.Shard, "", r.Epoch, r.LSN})
		}
		if at.most > 0 || size > wire.MaxFrame {
			return fault{fmt.Sprintf("more than %d bytes of users", wire.PageBytes), "a smaller limit"}
		}
	}
	return users
}

func lineLog(wiring *wiring, args []string) any {
	s, badShard := strconv.Atoi(args[0])
	lsn, badLSN := strconv.ParseUint(args[1], 10, 64)
	n, badCount := strconv.ParseUint(args[2], 10, 16)
	if badShard != nil || badLSN != nil || badCount != nil || s < 0 || s >= len(wiring.ByShard) ||
		wiring.ByShard[s] == nil ||
		n < 1 || n > 1000 || lsn < 1 {
		return fault{"bad shard, LSN or number",
			"WAL shard lsn n: a shard held here (SHARDS lists them), an LSN from 1 on, 1 to 1000 entries"}
	}
	type logged struct {
		LSN     uint64 `json:"lsn"`
		Epoch   uint64 `json:"epoch"`
		Op      string `json:"op"`
		ID      string `json:"id"`
		Request string `json:"request"`
	}
	held := holdings(&wiring.Node, &wiring.Handles)
	history := held[slices.IndexFunc(held, func(h Held) bool { return h.Shard == s })].state.Log.History
	asks, found := make(chan logAsk, 1), make(chan logAnswer, 1)
	go runReader(&wiring.Node, &wiring.Storage, asks)
	asks <- logAsk{s, history, lsn, lsn + n - 1, int(n), found}
	close(asks)
	answer := <-found
	if answer.err != nil {
		return fault{Error: answer.err.Error()}
	}
	ops := map[shard.Result]string{shard.Created: "create", shard.Updated: "update", shard.Deleted: "delete"}
	list := []logged{}
	for _, e := range answer.entries {
		list = append(list, logged{e.LSN, e.Epoch, ops[e.Result], e.ID, hex.EncodeToString(e.Request[:])})
	}
	return list
}

func lineConns(wiring *wiring, _ []string) any {
	reply := make(chan connStats, 1)
	wiring.ConnStats <- reply
	list := (<-reply).open
	most := min(len(list), 1000)
	return map[string]any{"open": len(list), "connections": list[:most]}
}

// scanOf has the loop of a shard's replica open a scan of it, whether what it shows is committed or not. The scan must
// be closed.
func scanOf(handles *Handles, s int) shardScan {
	opened := make(chan shardScan, 1)
	handles.ByShard[s].Opens <- scanAsk{shard: s, opened: opened}
	return <-opened
}

// lineDigest hashes keys and values of all users of a shard in order. Both replicas store equal bytes at equal
// positions.
func lineDigest(wiring *wiring, args []string) any {
	s, err := strconv.Atoi(args[0])
	if err != nil || s < 0 || s >= len(wiring.ByShard) || wiring.ByShard[s] == nil {
		return fault{"bad shard", "DIGEST shard: a shard held here (SHARDS lists them)"}
	}
	hash, users := xxhash.New(), uint64(0)
	meta, began := snapshot{}, time.Now()
	scanned := scanOf(&wiring.Handles, s)
	defer store.CloseScan(scanned.Scan)
	note := func(key, value []byte) bool {
		meta = noteMeta(meta, key, value)
		return key[0] == store.MetaPrefix
	}
	see := func(key, value []byte) bool {
		_, _ = hash.Write(key) // a hash never fails
		_, _ = hash.Write(value)
		users++
		return true
	}
	if err = store.WalkScan(scanned.Scan, []byte{store.MetaPrefix}, 0, note); err == nil {
		err = store.WalkScan(scanned.Scan, []byte{shard.UserPrefix}, 0, see)
	}
	if err != nil {
		tellUnread(&wiring.Node, &wiring.Handles, s, err, store.IsDamage(err))
		return fault{Error: err.Error()}
	}
	held := holdings(&wiring.Node, &wiring.Handles)
	h := held[slices.IndexFunc(held, func(h Held) bool { return h.Shard == s })]
	return map[string]any{"shard": s, "role": h.Role, "users": users, "epoch": h.Epoch, "lsn": meta.last,
		"digest": strconv.FormatUint(hash.Sum64(), 16), "seconds": time.Since(began).Seconds()}
}
