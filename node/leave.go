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
func leave(room *Room, left chan<- struct{}) {
	defer close(left)
	order(room, lease.LeaveAsked)
	until, busy := time.Now().Add(room.Config.LeaveFor), true
	for busy && time.Now().Before(until) {
		time.Sleep(5 * time.Millisecond)
		busy = false
		leaving := peersLeaving(room)
		for _, i := range inspectAll(room) {
			leads := i.State.Known && i.State.View.Leader == room.Self
			busy = busy || leads && i.State.Stream.Number != 0 && !leaving[peerOf(room.Layout, i.State.Shard, room.Self)]
		}
	}
	for _, s := range heldBy(room.Layout, room.Self) {
		room.Desks[s].In <- []*replica.Event{{Kind: replica.NodeStopping, Shard: s}}
	}
	for retired := false; !retired; time.Sleep(time.Millisecond) {
		retired = true
		for _, i := range inspectAll(room) {
			retired = retired && i.State.Stopping
		}
	}
	order(room, lease.GoodbyeAsked)
	time.Sleep(20 * time.Millisecond) // for what is written to be sent
	if kept := ledShards(inspectAll(room), room.Self); len(kept) > 0 {
		room.Log.Warn("this node still leads shards, as their other node cannot be reached, is leaving or did not catch "+
			"up in time: they are not served until this node is started again", "shards", kept)
		return
	}
	room.Log.Info("the leaderships are handed over")
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

// order tells all pacts what to do.
func order(room *Room, kind lease.EventKind) {
	for _, desk := range room.Pacts {
		if desk != nil {
			desk.Orders <- kind
		}
	}
}

// peersLeaving returns, by node, whether it is leaving, too: nothing can be handed to it.
func peersLeaving(room *Room) []bool {
	leaving := make([]bool, len(room.Pacts))
	for peer, desk := range room.Pacts {
		if desk != nil {
			reply := make(chan bool, 1)
			desk.Asks <- reply
			leaving[peer] = <-reply
		}
	}
	return leaving
}

// inspectAll asks every loop how its replicas are.
func inspectAll(room *Room) []Inspection {
	list := []Inspection{}
	for _, desk := range room.Loops {
		reply := make(chan []Inspection, 1)
		desk.Inspect <- reply
		list = append(list, <-reply...)
	}
	return list
}
