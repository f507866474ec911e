package main

import (
	"slices"
	"time"

	"tandem/shard/lease"
	"tandem/shard/replica"
)

// leave stops a node as an operator wants it stopped: it hands its leaderships over to backups that are in sync, waits
// for those that can be reached and are not, unless their node is leaving, too, then answers nothing any more and frees
// its neighbours from what they promised it, so that nobody has to wait for it.
func leave(node *Node, handles *Handles, peers *Peers, left chan<- struct{}) {
	defer close(left)
	order(peers, lease.LeaveAsked)
	until, busy := time.Now().Add(node.Config.LeaveFor), true
	for busy && time.Now().Before(until) {
		time.Sleep(5 * time.Millisecond)
		busy = false
		leaving := peersLeaving(peers)
		for _, i := range inspectAll(handles) {
			leads := i.State.Known && i.State.View.Leader == node.Self
			busy = busy || leads && i.State.Stream.Number != 0 && !leaving[peerOf(node.Layout, i.State.Shard, node.Self)]
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
func ledShards(list []Inspection, self int) []int {
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
func inspectAll(handles *Handles) []Inspection {
	list := []Inspection{}
	for _, handle := range handles.Loops {
		reply := make(chan []Inspection, 1)
		handle.Inspect <- reply
		list = append(list, <-reply...)
	}
	return list
}
