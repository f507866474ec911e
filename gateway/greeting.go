package main

import (
	"tandem/shard"
	"tandem/wire"
)

// greeting is what this gateway says of itself, but for its cluster's incarnation, Ring and Build.
func greeting(c Config, l shard.Layout, members []Member) shard.Greeting {
	names := make([]string, len(members))
	for i, m := range members {
		names[i] = m.Name
	}
	return shard.Greeting{Least: wire.Least, Most: wire.Most, Cluster: c.Cluster, Role: shard.RoleGateway, Name: c.Listen,
		Names: names, Shards: uint64(l.Shards)}
}
