package shard

import (
	"errors"
	"fmt"
)

// ErrUncovered is the class of a cover that cannot be: both nodes of a pair are down.
var ErrUncovered = errors.New("no replica can be reached")

// Cover chooses the nodes that COUNT and LIST ask: at most floor(N/2)+1 of them hold a replica of every shard, with up
// to one node down (two that are no neighbours cost one more at most). down has one element a node; turn, any number,
// spreads the load by starting at another place of the ring; views has the view of each shard. The result has the
// chosen node of each shard, its leader where both replicas were chosen. Error: ErrUncovered.
//
// It walks once around the ring and covers each pair that is still open by its far node, which also covers the pair
// after it: that greedy choice is optimal on a path, and starting behind a node that is down makes the ring a path.
func Cover(l Layout, views []View, down []bool, turn int) ([]int, error) {
	start := turn % l.Nodes
	for i, d := range down {
		if d {
			start = i
		}
	}
	chosen := make([]bool, l.Nodes)
	for step := range l.Nodes {
		near, far := (start+step)%l.Nodes, (start+step+1)%l.Nodes
		switch {
		case chosen[near] || chosen[far]:
		case !down[far]:
			chosen[far] = true
		case !down[near]:
			chosen[near] = true
		default:
			return nil, fmt.Errorf("%w: nodes %d and %d are both down", ErrUncovered, near, far)
		}
	}
	nodes := make([]int, l.Shards)
	for s := range nodes {
		nodes[s] = views[s].Leader
		if !chosen[nodes[s]] {
			nodes[s] = views[s].Backup
		}
	}
	return nodes, nil
}
