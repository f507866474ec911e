package main

import (
	"slices"
	"time"

	"tandem/shard/lease"
	"tandem/shard/replica"
)

// reachFor is for how long a peer whose connection broke counts as reachable: one that is only dialled anew is back
// before.
const reachFor = 4 * redialMost

// waitsFor tells whether a node that leaves waits for the other node of a shard to take it over or to catch up: it can
// be reached, or could be until lately, and is not leaving, too.
func waitsFor(r *replica.State, self int, peerLeaves bool, unreached time.Duration) bool {
	return r.Known && r.View.Leader == self && !peerLeaves && unreached < reachFor
}

// leave stops a node as an operator wants it stopped: it hands its leaderships over to backups that are in sync, waits
// for those that can be reached and are not, unless their node is leaving, too, then answers nothing any more and frees
// its neighbours from what they promised it, so that nobody has to wait for it.
func leave(node *Node, handles *Handles, peers *Peers) {
	order(peers, lease.LeaveAsked)
	began, busy := time.Now(), true
	// when a connection to each node was last seen to stand
	reached := slices.Repeat([]time.Time{began}, node.Layout.Nodes)
	for busy && time.Since(began) < node.Config.LeaveFor {
		time.Sleep(5 * time.Millisecond)
		busy = false
		leaving := peersLeaving(peers)
		for _, i := range inspectAll(handles) {
			peer := peerOf(node.Layout, i.State.Shard, node.Self)
			if i.State.Stream.Number != 0 {
				reached[peer] = time.Now()
			}
			busy = busy || waitsFor(&i.State, node.Self, leaving[peer], time.Since(reached[peer]))
		}
	}
	for _, s := range heldBy(node.Layout, node.Self) {
		handles.ByShard[s].In <- []*replica.Event{{Kind: replica.NodeStopping, Shard: s}}
	}
	for retired := false; !retired; time.Sleep(time.Millisecond) {
		retired = true
		for _, i := range inspectAll(handles) {
			retired = retired && i.State.Stopping
		}
	}
	order(peers, lease.GoodbyeAsked)
	time.Sleep(20 * time.Millisecond) // for what is written to be sent
	if kept := ledShards(inspectAll(handles), node.Self); len(kept) > 0 {
		node.Log.Warn("this node still leads shards, as their other node cannot be reached, is leaving or did not "+
			"catch up in time: they are not served until this node is started again", "shards", kept)
		return
	}
	node.Log.Info("the leaderships are handed over")
}

// ledShards lists the shards that a node leads by what its replicas know.
func ledShards(list []inspection, self int) []int {
	led := []int{}
	for _, i := range list {
		if i.State.Known && i.State.View.Leader == self {
			led = append(led, i.State.Shard)
		}
	}
	slices.Sort(led)
	return led
}

// order tells all lease sessions what to do.
func order(peers *Peers, kind lease.EventKind) {
	for _, handle := range peers.Leases {
		if handle != nil {
			handle.Orders <- kind
		}
	}
}

// peersLeaving returns, by node, whether it is leaving, too: nothing can be handed to it.
func peersLeaving(peers *Peers) []bool {
	leaving := make([]bool, len(peers.Leases))
	for peer, handle := range peers.Leases {
		if handle != nil {
			reply := make(chan bool, 1)
			handle.Asks <- reply
			leaving[peer] = <-reply
		}
	}
	return leaving
}

// inspectAll asks every loop how its replicas are.
func inspectAll(handles *Handles) []inspection {
	list := []inspection{}
	for _, handle := range handles.Loops {
		reply := make(chan []inspection, 1)
		handle.Inspect <- reply
		list = append(list, <-reply...)
	}
	return list
}
