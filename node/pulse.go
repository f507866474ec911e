package main

import (
	"fmt"
	"time"

	"tandem/shard"
)

// beat is what the disk's loop says: since when a write has been under way (0: none is), or why it refuses writes.
type beat struct {
	Since int64 // ns on the node's clock
	Told  bool  // Full counts
	Full  string
}

// runPulse is the loop that looks how long writes take. A node whose disk is slow or full asks for no lease, promises
// none and takes no part in Raft until the disk has been quick for a while, and says so in its pings; two neighbours
// that are sick together go on (rule R12).
func runPulse(room *Room) {
	ticks := time.NewTicker(shard.DiskLookEvery)
	pulse := shard.DiskHealth{SlowAfter: int64(room.Config.SlowDisk), LookedAt: clock()}
	since, full, sick := int64(0), "", false
	for {
		select {
		case b := <-room.Pulse:
			if b.Told {
				full = b.Full
			} else {
				since = b.Since
			}
			continue
		case <-ticks.C:
		}
		pulse = shard.JudgeDisk(pulse, since, clock())
		if (pulse.Sick || full != "") == sick {
			continue
		}
		sick = !sick
		reason := full
		if pulse.Sick && full == "" {
			reason = fmt.Sprintf("a write takes the disk more than %v", room.Config.SlowDisk)
		}
		if sick {
			room.Log.Warn("the disk is slow or full: this node promises and asks nothing", "reason", reason)
		} else {
			room.Log.Info("the disk is well again: this node takes part again")
		}
		tellSick(room, sick, reason)
	}
}

// tellSick tells the pacts and the council how the disk is; the newest word counts.
func tellSick(room *Room, sick bool, reason string) {
	for _, desk := range room.Pacts {
		if desk == nil {
			continue
		}
		select {
		case <-desk.Sick:
		default:
		}
		desk.Sick <- sick
	}
	if !sick {
		reason = ""
	}
	select {
	case <-room.Council.Sick:
	default:
	}
	room.Council.Sick <- reason
}
