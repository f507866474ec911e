package shard

import (
	"errors"
	"fmt"
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// Layout is the fixed shape of a cluster: how many nodes stand in the ring and how many shards the hash space is cut
// into.
type Layout struct{ Nodes, Shards int }

// MinNodes is the least number of nodes: with two, a pair would have no third node to hold the view against a split.
const MinNodes = 3

// MaxNodes is the greatest number of nodes; a member id has a byte for it, and a greeting names so many founders at
// most.
const MaxNodes = 64

// MaxShards bounds the number of column families on a node.
const MaxShards = 1024

// ErrLayout is the class of a layout that cannot be.
var ErrLayout = errors.New("impossible layout")

// CheckLayout returns an error of class ErrLayout that says what is wrong with l and what is expected.
func CheckLayout(l Layout) error {
	if l.Nodes < MinNodes {
		return fmt.Errorf("%w: %d nodes, at least %d are needed: each shard is kept twice and a third node decides when one of the two is lost", ErrLayout, l.Nodes, MinNodes)
	}
	if l.Nodes > MaxNodes {
		return fmt.Errorf("%w: %d nodes, at most %d are possible", ErrLayout, l.Nodes, MaxNodes)
	}
	if l.Shards < l.Nodes || l.Shards > MaxShards {
		return fmt.Errorf("%w: %d shards for %d nodes, expected %d to %d, so that each pair of neighbours has one",
			ErrLayout, l.Shards, l.Nodes, l.Nodes, MaxShards)
	}
	return nil
}

// ShardOf returns the shard of a user id, 0 to l.Shards-1, and its bucket within the shard: the hash space is cut into
// equal ranges, and each range into 256 again.
func ShardOf(l Layout, id string) (shard int, bucket byte) {
	high, low := bits.Mul64(xxhash.Sum64String(id), uint64(l.Shards))
	return int(high), byte(low >> 56)
}

// Pair returns the two nodes that hold shard s: ring neighbours.
func Pair(l Layout, s int) (first, second int) {
	first = s % l.Nodes
	return first, (first + 1) % l.Nodes
}

// View says who leads and who backs a shard, and whether the backup is in sync; Epoch grows by one at every change.
type View struct {
	Epoch          uint64
	Leader, Backup int
	InSync         bool
}

// InitialView returns the view that a shard begins with: the two nodes of a pair lead alternate shards of it.
func InitialView(l Layout, s int) View {
	first := s % l.Nodes
	second := (first + 1) % l.Nodes
	if s/l.Nodes%2 == 1 {
		first, second = second, first
	}
	return View{Epoch: 1, Leader: first, Backup: second, InSync: true}
}

// Proposal asks for a new view of one shard. It is done if the shard's epoch is still Epoch when its turn comes, and
// else it is void (compare and set).
type Proposal struct {
	Shard int
	Epoch uint64
	View  View // its epoch must be Epoch+1
}
