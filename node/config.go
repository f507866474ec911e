package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/alecthomas/kong"

	"tandem/node/store"
	"tandem/shard"
	"tandem/wire/proc"
)

// config is what a node is told by flags, or by TANDEM_… in its environment.
type config struct {
	Name           string           `help:"Name of this node; one of those in --nodes." placeholder:"db-0"`
	Listen         string           `help:"Address for the wire protocol and lines of text." default:"127.0.0.1:7400"`
	Data           string           `help:"Folder of this node's data; made if it is missing." default:"data"`
	Nodes          string           `help:"All nodes in ring order, name=host:port, separated by commas; the same on every node." placeholder:"db-0=host:port,…"`
	Cluster        string           `help:"Name of the cluster; kept in the data folder and checked on every connection." default:"tandem"`
	Shards         int              `help:"Number of shards; fixed when the cluster is first started." default:"24"`
	CacheMB        uint64           `name:"cache-mb" help:"Block cache of RocksDB, MiB." default:"128"`
	WalKeepMB      uint64           `name:"wal-keep-mb" help:"How much of its write log a node keeps at most for a peer that is away, MiB; what was written in the last seconds is kept in any case." default:"1024"`
	RepairMB       uint64           `name:"repair-mb" help:"How much a repair sends to one node, MiB a second at most; requests go first." default:"16"`
	Lease          time.Duration    `help:"For how long a node may serve after it asked its neighbour; less than --grace by more than clocks drift apart in it." default:"100ms"`
	Grace          time.Duration    `help:"For how long a node keeps to what it promised its neighbour; at most 10s." default:"120ms"`
	Silent         time.Duration    `help:"Without an answer of its backup for so long, or with a write that it has not stored for so long, a leader goes on alone." default:"80ms"`
	SlowDisk       time.Duration    `name:"slow-disk" help:"A node whose disk takes longer for a write asks and promises nothing, so that its neighbours take over, unless they are slow, too." default:"70ms"`
	LeaveFor       time.Duration    `name:"leave-for" help:"How long a node that is stopped may take to hand its leaderships over." default:"20s"`
	Pace           time.Duration    `help:"Under load, the least time between two synced writes: more requests share each." default:"1ms"`
	Loops          int              `help:"Loops that share this node's replicas; 0 is one for two processors." default:"0"`
	MaxConnections int              `name:"max-connections" help:"Connections that are open at once; more wait to be accepted." default:"16384"`
	UnreadMB       uint64           `name:"unread-mb" help:"How much of its answers a node keeps for clients that read slowly, MiB, of all connections together: half of it pages." default:"256"`
	UnreadEachMB   uint64           `name:"unread-each-mb" help:"And how much for one connection, MiB; one that leaves more unread is closed." default:"8"`
	Version        kong.VersionFlag `help:"Say which program this is, and exit." env:"-"`
	Health         bool             `help:"Ask the node at --listen whether it takes its part (READY), and exit with 0 or 1." env:"-"`
}

// maxGrace is the greatest --grace: a start with a shorter one waits for the former one to be over, and a shard whose
// leader is lost waits for it, too.
const maxGrace = 10 * time.Second

// errConfig is the class of settings that cannot be.
var errConfig = proc.ErrSettings

// member is a node of the ring.
type member = proc.Member

// maxMB is the greatest size in MiB among the settings, 1 TiB.
const maxMB = 1 << 20

// check returns the ring and this node's number in it.
func check(c config) ([]member, int, error) {
	members, err := proc.ParseNodes(c.Nodes)
	if err != nil {
		return nil, 0, err
	}
	if err = shard.CheckLayout(shard.Layout{Nodes: len(members), Shards: c.Shards}); err != nil {
		return nil, 0, fmt.Errorf("%w: %w", errConfig, err)
	}
	err = cmp.Or(proc.CheckName("--cluster", c.Cluster),
		proc.Within("--cache-mb", c.CacheMB, 1, maxMB),
		proc.Within("--wal-keep-mb", c.WalKeepMB, 0, maxMB),
		proc.Within("--repair-mb", c.RepairMB, 1, maxMB),
		proc.Within("--loops", c.Loops, 0, shard.MaxShards),
		proc.Within("--max-connections", c.MaxConnections, 1, proc.MaxConnections),
		proc.Within("--lease", c.Lease, 10*time.Millisecond, maxGrace/11*10),
		proc.Within("--grace, a tenth longer than --lease at least", c.Grace, c.Lease+c.Lease/10, maxGrace),
		proc.Within("--silent", c.Silent, 20*time.Millisecond, maxGrace),
		proc.Within("--slow-disk", c.SlowDisk, 10*time.Millisecond, maxGrace),
		proc.Within("--leave-for", c.LeaveFor, 0, time.Hour),
		proc.Within("--pace, half of --slow-disk at most", c.Pace, 0, c.SlowDisk/2))
	if err != nil {
		return nil, 0, err
	}
	if c.UnreadEachMB < 1 || c.UnreadMB < 2*c.UnreadEachMB || c.UnreadMB > maxMB {
		return nil, 0, fmt.Errorf("%w: expected --unread-each-mb from 1 on and --unread-mb from twice that to %d; "+
			"found %d and %d",
			errConfig, maxMB, c.UnreadEachMB, c.UnreadMB)
	}
	self := slices.IndexFunc(members, func(m member) bool { return m.Name == c.Name })
	if self < 0 {
		return nil, 0, fmt.Errorf("%w: --name: expected one of the names in --nodes (%s), found %q", errConfig, c.Nodes,
			c.Name)
	}
	return members, self, nil
}

// storeOptions returns what the database is told of the settings.
func storeOptions(c config) store.Options {
	return store.Options{Data: c.Data, Shards: c.Shards, CacheMB: c.CacheMB}
}
