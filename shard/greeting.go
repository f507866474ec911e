package shard

import (
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/google/uuid"
)

// Greeting is what a process says of itself when a connection begins. Of a store that has not answered yet Member is 0;
// Founders has, if it belongs to a cluster that was bootstrapped, the member ids by node of its founders.
type Greeting struct {
	Least, Most  uint64 // the versions of the protocol that it speaks
	Cluster      string
	Role         string // RoleGateway or RoleNode
	Name         string
	Build        string
	Incarnation  [16]byte // of its cluster; zero while it knows none
	Ring         uint64   // RingHash of its nodes' names
	Names        []string // in ring order; only this process's own are known
	Shards       uint64
	Lease, Grace int64 // ns; 0 of a gateway
	Member       uint64
	Start, Nonce uint64 // of its store, and of its process
	Founders     []uint64
	Replaced     []uint64 // member ids that others took the place of; only what this process's own cluster knows of them
}

// The roles in a greeting.
const (
	RoleGateway = "gateway"
	RoleNode    = "node"
)

// Misfit is in what two greetings do not fit; empty if they do.
type Misfit string

// The misfits, in the order in which they are looked for.
const (
	OtherVersion     Misfit = "version"
	OtherCluster     Misfit = "cluster"
	OtherIncarnation Misfit = "incarnation"
	OtherRing        Misfit = "ring"
	OtherShards      Misfit = "shards"
	OtherLease       Misfit = "lease"
	OtherName        Misfit = "name"
	OtherStore       Misfit = "store"
)

// Drift is the share of a lease by which clocks may drift apart in it: one in so many.
const Drift = 10

// Covers tells whether a promise that is kept for grace ns covers a lease of so many, by whatever clocks the two are
// counted (rule R3).
func Covers(grace, lease int64) bool {
	return lease >= 0 && grace >= lease && grace-lease >= lease/Drift
}

// RingHash is what a greeting says of the nodes: xxhash64 of their names in ring order, joined by ",", which no name
// has.
func RingHash(names []string) uint64 { return xxhash.Sum64String(strings.Join(names, ",")) }

// incarnations is the name space of the UUIDs that Incarnation makes, 6f0d6a1c-2a52-4b7e-9b0e-5d1f6e0c7a34; it never
// changes.
var incarnations = [16]byte{0x6f, 0x0d, 0x6a, 0x1c, 0x2a, 0x52, 0x4b, 0x7e, 0x9b, 0x0e, 0x5d, 0x1f, 0x6e, 0x0c, 0x7a,
	0x34}

// Incarnation names a cluster for good: a UUID of version 5 (RFC 9562 section 5.5) over the member ids, by node, of the
// stores that it was bootstrapped with. It is zero for none.
func Incarnation(founders []uint64) (id [16]byte) {
	if len(founders) == 0 {
		return id
	}
	text := append([]byte(nil), incarnations[:]...)
	for _, member := range founders {
		text = binary.BigEndian.AppendUint64(text, member)
	}
	sum := sha1.Sum(text)
	copy(id[:], sum[:])
	id[6], id[8] = id[6]&0x0f|0x50, id[8]&0x3f|0x80
	return id
}

// Fits decides whether two processes may work together, by what they say of themselves: mine by this one, theirs by the
// other. expected is the name that the settings give to whom this process has dialled; "" for who answers. Text names
// what both sides have; it is "" if they fit.
//
// Who knows no incarnation fits any. Of two nodes each must keep what it promises for longer than the other takes it,
// by what clocks drift apart.
func Fits(mine, theirs Greeting, expected string) (in Misfit, text string) {
	ms := func(ns int64) float64 { return float64(ns) / 1e6 }
	unknown := [16]byte{}
	nodes := mine.Role == RoleNode && theirs.Role == RoleNode
	switch {
	case mine.Most < theirs.Least || theirs.Most < mine.Least:
		return OtherVersion, fmt.Sprintf("%s speaks the protocol versions %d to %d (%s), the other side %d to %d",
			mine.Name, mine.Least, mine.Most, mine.Build, theirs.Least, theirs.Most)
	case mine.Cluster != theirs.Cluster:
		return OtherCluster, fmt.Sprintf("%s belongs to cluster %q, not %q as %s", mine.Name, mine.Cluster,
			theirs.Cluster, theirs.Name)
	case mine.Incarnation != theirs.Incarnation && mine.Incarnation != unknown && theirs.Incarnation != unknown:
		return OtherIncarnation,
			fmt.Sprintf("%s belongs to the cluster %q with the incarnation %s, %s to another one of that name, %s",
				mine.Name, mine.Cluster, uuid.UUID(mine.Incarnation), theirs.Name, uuid.UUID(theirs.Incarnation))
	case mine.Ring != theirs.Ring:
		return OtherRing, fmt.Sprintf("%s has the nodes %s in this order (hash %x), %s has others or another order (hash %x)", mine.Name, strings.Join(mine.Names, ","), mine.Ring, theirs.Name, theirs.Ring)
	case mine.Shards != theirs.Shards:
		return OtherShards, fmt.Sprintf("%s has %d shards, not %d as %s", mine.Name, mine.Shards, theirs.Shards, theirs.Name)
	case nodes && !Covers(mine.Grace, theirs.Lease):
		return OtherLease, fmt.Sprintf("%s keeps what it promises for %g ms (--grace), which does not cover the %g ms for which %s takes it (--lease) and a tenth for drifting clocks", mine.Name, ms(mine.Grace), ms(theirs.Lease), theirs.Name)
	case nodes && !Covers(theirs.Grace, mine.Lease):
		return OtherLease, fmt.Sprintf("%s keeps what it promises for %g ms (--grace), which does not cover the %g ms for which %s takes it (--lease) and a tenth for drifting clocks", theirs.Name, ms(theirs.Grace), ms(mine.Lease), mine.Name)
	case theirs.Role != RoleNode && theirs.Role != RoleGateway:
		return OtherName, fmt.Sprintf("expected the role %s or %s, found %q", RoleGateway, RoleNode, theirs.Role)
	case expected != "" && (theirs.Name != expected || theirs.Role != RoleNode):
		return OtherName, fmt.Sprintf("expected the node %s at that address, found the %s %s", expected, theirs.Role,
			theirs.Name)
	case nodes && theirs.Name == mine.Name:
		return OtherName, fmt.Sprintf("two processes call themselves node %s, or one has dialled itself", mine.Name)
	case nodes && slices.Contains(mine.Replaced, theirs.Member):
		return OtherStore, fmt.Sprintf("another store has taken the place of store %x of %s, which is of no use to the cluster any more: stop the node, move its folder away, and let it begin with an empty one", StoreOf(theirs.Member), theirs.Name)
	case nodes && !slices.Contains(mine.Names, theirs.Name):
		return OtherName, fmt.Sprintf("%s has the nodes %s; %s is none of them", mine.Name,
			strings.Join(mine.Names, ","), theirs.Name)
	}
	return "", ""
}
