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
// promises none and takes no part in Raft until the disk has been quick for a while, and says so in its pings; two
// neighbours that are unhealthy together go on (rule R12).
func runDiskHealth(node *Node, storage *Storage, peers *Peers) {
	ticks := time.NewTicker(shard.DiskLookEvery)
	health := shard.DiskHealth{SlowAfter: int64(node.Config.SlowDisk), LookedAt: proc.Clock()}
	since, full, unhealthy := int64(0), "", false
	for {
		select {
		case b := <-storage.Health:
			if b.Told {
				full = b.Full
			} else {
				since = b.Since
			}
			continue
		case <-ticks.C:
		}
		health = shard.JudgeDisk(health, since, proc.Clock())
		if (health.Unhealthy || full != "") == unhealthy {
			continue
		}
		unhealthy = !unhealthy
		reason := full
		if health.Unhealthy && full == "" {
			reason = fmt.Sprintf("a write takes the disk more than %v", node.Config.SlowDisk)
		}
		if unhealthy {
			node.Log.Warn("the disk is slow or full: this node promises and asks nothing", "reason", reason)
		} else {
			node.Log.Info("the disk is healthy again: this node takes part again")
		}
		tellDiskHealth(peers, unhealthy, reason)
	}
}

// tellDiskHealth tells the lease sessions and the view service how the disk is; the newest word counts.
func tellDiskHealth(peers *Peers, unhealthy bool, reason string) {
	for _, handle := range peers.Leases {
		if handle == nil {
			continue
		}
		select {
		case <-handle.Unhealthy:
		default:
		}
		handle.Unhealthy <- unhealthy
	}
	if !unhealthy {
		reason = ""
	}
	select {
	case <-peers.Views.Unhealthy:
	default:
	}
	peers.Views.Unhealthy <- reason
}
