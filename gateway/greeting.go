package main

import (
	"tandem/shard"
	"tandem/wire"
)

// refusals are the misfits that the codes of error frames stand for.
var refusals = map[wire.Code]shard.Misfit{
	wire.WrongVersion:     shard.OtherVersion,
	wire.WrongCluster:     shard.OtherCluster,
	wire.WrongIncarnation: shard.OtherIncarnation,
	wire.WrongRing:        shard.OtherRing,
	wire.WrongShards:      shard.OtherShards,
	wire.WrongLease:       shard.OtherLease,
	wire.WrongName:        shard.OtherName,
	wire.WrongStore:       shard.OtherStore,
}

// greeting is what this gateway says of itself, but for its cluster's incarnation, Ring and Build.
func greeting(c Config, l shard.Layout, members []Member) shard.Greeting {
	names := make([]string, len(members))
	for i, m := range members {
		names[i] = m.Name
	}
	return shard.Greeting{Least: wire.Least, Most: wire.Most, Cluster: c.Cluster, Role: shard.RoleGateway, Name: c.Listen,
		Names: names, Shards: uint64(l.Shards)}
}

// wireGreeting makes the wire's greeting of the core's.
func wireGreeting(g shard.Greeting) wire.Greeting {
	return wire.Greeting{Least: g.Least, Most: g.Most, Cluster: g.Cluster, Role: g.Role, Name: g.Name, Build: g.Build,
		Incarnation: g.Incarnation, Ring: g.Ring, Shards: g.Shards}
}

// nodeGreeting makes the core's greeting of a node's.
func nodeGreeting(g wire.Greeting) shard.Greeting {
	return shard.Greeting{Least: g.Least, Most: g.Most, Cluster: g.Cluster, Role: g.Role, Name: g.Name, Build: g.Build,
		Incarnation: g.Incarnation, Ring: g.Ring, Shards: g.Shards, Lease: g.Lease, Grace: g.Grace,
		Member: g.Store, Start: g.Start.Number, Nonce: g.Start.Nonce}
}
