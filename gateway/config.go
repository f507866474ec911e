package main

import (
	"cmp"
	"fmt"
	"io"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/uuid"

	"tandem/shard"
	"tandem/wire/proc"
)

// config is what a gateway is told by flags, or by TANDEM_… in its environment.
type config struct {
	Listen         string           `help:"Address for REST." default:"127.0.0.1:8080"`
	Nodes          string           `help:"All nodes in ring order, name=host:port, separated by commas; as the nodes have it." placeholder:"db-0=host:port,…"`
	Cluster        string           `help:"Name of the cluster." default:"tandem"`
	Shards         int              `help:"Number of shards, as the nodes have it." default:"24"`
	Incarnation    string           `help:"The one cluster of that name to serve, as STATUS of its nodes names it; by default the one that most nodes belong to." placeholder:"UUID"`
	Links          int              `help:"Connections to each node." default:"2"`
	Deadline       time.Duration    `help:"Within which every request is answered; at most 9s." default:"240ms"`
	Try            time.Duration    `help:"After which a try without an answer is repeated at the shard's other replica." default:"50ms"`
	Silence        time.Duration    `help:"After which a connection to a node that says nothing, though an answer is due, is closed and dialled again." default:"80ms"`
	MaxConnections int              `name:"max-connections" help:"Connections of clients that are open at once; more wait to be accepted." default:"16384"`
	Lists          int              `help:"Lists that are read from the nodes at once, and so the memory they take: up to 1,000 users each." default:"32"`
	UnreadMB       int              `name:"unread-mb" help:"How much of lists is kept for clients that read them slowly, MiB; a quarter of it for lists of at most 256 KiB." default:"64"`
	SlowKB         int              `name:"slow-kb" help:"A client that takes less of a list than so many KiB a second, after the first second, is cut off." default:"1024"`
	Health         bool             `help:"Ask the gateway at --listen whether it takes its part (/readyz), and exit with 0 or 1." env:"-"`
	Version        kong.VersionFlag `help:"Say which program this is, and exit." env:"-"`
}

// The limits of settings.
const (
	maxLists    = 1 << 16
	minUnreadMB = 24 // a page of the longest users is to fit what is for long lists
	maxUnreadMB = 1 << 20
	maxSlowKB   = 1 << 20

	minTime     = time.Millisecond
	maxDeadline = time.Duration(shard.RememberFor / 10 * 9) // a request id must be known for longer than it is in use
)

// maxLong returns how many bytes of lists that are not small may wait for clients: three quarters of all.
func maxLong(c config) int { return c.UnreadMB << 20 / 4 * 3 }

// errConfig is the class of settings that cannot be.
var errConfig = proc.ErrSettings

// member is a node of the ring.
type member = proc.Member

// check returns the ring and the layout that the settings name. Error: errConfig.
func check(c config) ([]member, shard.Layout, error) {
	members, err := proc.ParseNodes(c.Nodes)
	if err != nil {
		return nil, shard.Layout{}, err
	}
	layout := shard.Layout{Nodes: len(members), Shards: c.Shards}
	if err = shard.CheckLayout(layout); err != nil {
		return nil, layout, fmt.Errorf("%w: %w", errConfig, err)
	}
	err = cmp.Or(proc.CheckName("--cluster", c.Cluster),
		proc.Within("--links", c.Links, 1, 64),
		proc.Within("--max-connections", c.MaxConnections, 1, proc.MaxConnections),
		proc.Within("--lists", c.Lists, 1, maxLists),
		proc.Within("--unread-mb", c.UnreadMB, minUnreadMB, maxUnreadMB),
		proc.Within("--slow-kb", c.SlowKB, 1, maxSlowKB),
		proc.Within("--deadline", c.Deadline, minTime, maxDeadline),
		proc.Within("--try, the --deadline at most", c.Try, minTime, c.Deadline),
		proc.Within("--silence", c.Silence, minTime, maxDeadline))
	if err != nil {
		return nil, layout, err
	}
	if _, err = uuid.Parse(c.Incarnation); err != nil && c.Incarnation != "" {
		return nil, layout, fmt.Errorf("%w: --incarnation: expected a UUID, as STATUS of a node names it, found %q: %w",
			errConfig, c.Incarnation, err)
	}
	return members, layout, nil
}

// flags is how settings are read from arguments and the environment. What is asked for goes to out, what is wrong
// to log.
func flags(out, log io.Writer, exit func(int)) []kong.Option {
	return []kong.Option{kong.Name("gateway"), kong.DefaultEnvars("TANDEM"), kong.Writers(out, log), kong.Exit(exit),
		kong.Vars{"version": "gateway " + proc.Build()},
		kong.Description("The gateway of a Tandem cluster: serves users over REST and keeps no data.")}
}
