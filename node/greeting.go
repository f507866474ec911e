package main

import (
	"net"

	"tandem/shard"
	"tandem/shard/views"
)

// origin is the cluster that this node's store belongs to: the member ids by node that it was bootstrapped with, and
// its incarnation; both are empty until they are known, when Known is closed. They never change after that.
type origin struct {
	Founders    []uint64
	Incarnation [16]byte
	Known       chan struct{}
}

// originIn looks at a node's origin in its cell: a channel of one element, which who reads it takes out and puts back.
func originIn(cell chan origin) origin {
	at := <-cell
	cell <- at
	return at
}

// noteOrigin puts the origin that a cluster state tells into its cell, if none is known yet.
func noteOrigin(cell chan origin, b views.State) {
	at := <-cell
	if len(at.Founders) == 0 {
		at.Founders, at.Incarnation = views.Founders(b), b.Incarnation
		if len(at.Founders) > 0 {
			close(at.Known)
		}
	}
	cell <- at
}

// endWhen ends a connection at over, unless it has ended before: who has greeted without saying what is known by then
// is to greet again.
func endWhen(over, ended <-chan struct{}, raw net.Conn) {
	select {
	case <-over:
		raw.Close() // which ends its reader
	case <-ended:
	}
}

// greeting is what this node says of itself.
func greeting(node *Node) shard.Greeting {
	at := <-node.Origin
	node.Origin <- at
	g := node.Mine
	g.Incarnation, g.Founders = at.Incarnation, at.Founders
	g.Member, g.Start = node.Member, node.Start.Number
	return g
}
