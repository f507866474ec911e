package shard

import (
	"errors"
	"fmt"
	"slices"
)

// ErrUncovered is the class of a cover that cannot be: neither replica of a shard can answer for it.
var ErrUncovered = errors.New("no replica can be reached")

// Cover chooses the node of each shard that COUNT and LIST ask: one that is not down, has not refused the shard, and
// leads it or backs it in sync. down has one element a node; refused has {node, shard}; turn, any number, spreads the
// load by starting at another place of the ring; views has the view of each shard. With up to one node that cannot
// answer for all that it holds, at most floor(N/2)+1 nodes are asked (two that are no neighbours cost one more at
// most); of a shard whose nodes are both asked it is the leader. Error: ErrUncovered.
//
// It walks once around the ring and covers each pair that is still open by its far node, which also covers the pair
// after it: that greedy choice is optimal on a path, and starting behind a node that is left out makes the ring a path.
// If the nodes that can answer for all of their shards do not cover the ring, all that are up are walked over, and a
// shard that one cannot answer for is left to its other node.
func Cover(l Layout, views []View, down []bool, refused map[[2]int]bool, turn int) ([]int, error) {
	can := func(node, s int) bool {
		return !down[node] && (views[s].Leader == node || views[s].InSync) && !refused[[2]int{node, s}]
	}
	partly := slices.Clone(down) // and those that cannot answer for all of their shards
	for s, v := range views {
		partly[v.Leader] = partly[v.Leader] || !can(v.Leader, s)
		partly[v.Backup] = partly[v.Backup] || !can(v.Backup, s)
	}
	chosen, err := []bool(nil), error(nil)
	for _, out := range [][]bool{partly, down} {
		chosen, err = make([]bool, l.Nodes), nil
		start := turn % l.Nodes
		for i, d := range out {
			if d {
				start = i
			}
		}
		for step := range l.Nodes {
			near, far := (start+step)%l.Nodes, (start+step+1)%l.Nodes
			switch {
			case chosen[near] || chosen[far]:
			case !out[far]:
				chosen[far] = true
			case !out[near]:
				chosen[near] = true
			default:
				err = fmt.Errorf("%w: nodes %d and %d are both down", ErrUncovered, near, far)
			}
		}
		if err == nil {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	nodes := make([]int, l.Shards)
	for s, v := range views {
		node, other := v.Leader, v.Backup
		if !chosen[node] {
			node, other = other, node
		}
		if !can(node, s) {
			node = other
		}
		if !can(node, s) {
			return nil, fmt.Errorf("%w: shard %d: neither node %d nor node %d can answer for it", ErrUncovered, s, v.Leader,
				v.Backup)
		}
		nodes[s] = node
	}
	return nodes, nil
}
