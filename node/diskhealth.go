package main

import (
	"fmt"
	"time"

	"tandem/shard"
	"tandem/wire/proc"
)

// diskReport is what the disk's loop says: since when a write has been under way (0: none is), or why it refuses
// writes.
type diskReport struct {
	Since int64 // ns on the node's clock
	Told  bool  // Full counts
	Full  string
}

// runDiskHealth is the loop that looks how long writes take. A node whose disk is slow or full asks for no lease,
// promises none and takes no part in Raft, and says so in its pings. Once its write is done it takes part in Raft
// again, and with each neighbour as its lease session decides (rule R12).
func runDiskHealth(node *Node, storage *Storage, peers *Peers) {
	look := time.NewTimer(time.Hour)
	health := shard.DiskHealth{SlowAfter: int64(node.Config.SlowDisk), LookedAt: proc.Clock()}
	since, full, told := int64(0), "", shard.DiskHealthy
	looks := false // the timer runs
	for {
		select {
		case b := <-storage.Health:
			if b.Told {
				full = b.Full
			} else {
				since = b.Since
			}
			if !looks { // an idle disk is not looked at
				looks = true
				look.Reset(shard.DiskLookEvery)
			}
			if told != shard.DiskSlow { // else the write that it waits for may be done
				continue
			}
		case <-look.C:
			looks = false
		}
		health = shard.JudgeDisk(health, since, proc.Clock())
		state, reason := health.State, full
		if idle := since == 0 && state == shard.DiskHealthy; !looks && !idle {
			looks = true
			look.Reset(shard.DiskLookEvery)
		}
		switch {
		case full != "":
			state = shard.DiskSlow
		case state == shard.DiskSlow:
			reason = fmt.Sprintf("a write takes the disk more than %v", node.Config.SlowDisk)
		}
		if state == told {
			continue
		}
		switch state {
		case shard.DiskSlow:
			node.Log.Warn("the disk is slow or full: this node promises and asks nothing", "reason", reason)
		case shard.DiskDistrusted:
			node.Log.Info("the disk has done its write: until it has been quick for a while this node takes part only where " +
				"no neighbour can take over")
		case shard.DiskHealthy:
			node.Log.Info("the disk is healthy again: this node takes part again")
		}
		tellDisk(peers, state, reason, told == shard.DiskSlow)
		told = state
	}
}

// tellDisk tells the lease sessions how the disk is, and the view service why it is slow, if it is or was; the newest
// word counts.
func tellDisk(peers *Peers, state shard.DiskState, reason string, wasSlow bool) {
	for _, handle := range peers.Leases {
		if handle == nil {
			continue
		}
		select {
		case <-handle.Disk:
		default:
		}
		handle.Disk <- state
	}
	if state != shard.DiskSlow && !wasSlow {
		return
	}
	select {
	case <-peers.Views.Unhealthy:
	default:
	}
	peers.Views.Unhealthy <- reason
}
