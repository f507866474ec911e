package peer

import (
	"tandem/shard"
	"tandem/wire"
	"tandem/wire/proc"
)

// FirstGreeting returns what a process says of itself that its settings name, in the versions that this program speaks:
// all that a gateway says but its Incarnation, Ring and Build. Members are in ring order.
func FirstGreeting(role, cluster, name string, members []proc.Member, shards int) shard.Greeting {
	names := make([]string, len(members))
	for i, m := range members {
		names[i] = m.Name
	}
	return shard.Greeting{Least: wire.Least, Most: wire.Most, Cluster: cluster, Role: role, Name: name, Names: names,
		Shards: uint64(shards)}
}

// Say returns the greeting for a hello or a welcome of who says g of itself. Member ids are no part of it: Founders go
// into a welcome beside it, Replaced is never said, and Names only as the hash Ring.
func Say(g shard.Greeting) wire.Greeting {
	return wire.Greeting{Least: g.Least, Most: g.Most, Cluster: g.Cluster, Role: g.Role, Name: g.Name, Build: g.Build,
		Incarnation: g.Incarnation, Ring: g.Ring,
		Shards: g.Shards, Lease: g.Lease, Grace: g.Grace, Store: g.Member,
		Start: wire.StoreStart{Number: g.Start, Nonce: g.Nonce}}
}

// Hear returns what the sender of m, which is a hello or a welcome, says of itself. Names and Replaced stay nil, and so
// do the Founders of who knows none.
func Hear(m *wire.Message) shard.Greeting {
	g := &m.Greeting
	return shard.Greeting{Least: g.Least, Most: g.Most, Cluster: g.Cluster, Role: g.Role, Name: g.Name, Build: g.Build,
		Incarnation: g.Incarnation, Ring: g.Ring,
		Shards: g.Shards, Lease: g.Lease, Grace: g.Grace, Member: g.Store, Start: g.Start.Number, Nonce: g.Start.Nonce,
		Founders: m.Founders}
}
