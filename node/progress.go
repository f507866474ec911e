package main

import (
	"log/slog"
	"time"

	"tandem/wire/proc"
)

const (
	progressEvery = time.Second // between two looks at the repairs
	progressSaid  = 5           // looks between two lines about one that goes on
)

// repairing is the repairs of one backup's shards together.
type repairing struct {
	Looks  int     // at which it went on
	Since  int64   // ns on the node's clock of the first look
	Shards int     // that are left
	ToGo   uint64  // writes that are left
	Most   uint64  // the most that were left at a look
	Rate   float64 // writes a second
	Left   float64 // seconds
}

// runProgress is the loop that writes to the log how the repairs go on which this node feeds, and when a backup has
// been brought in sync again.
func runProgress(node *Node, handles *Handles) {
	under := map[string]repairing{} // by backup
	ticks := time.NewTicker(progressEvery)
	for range ticks.C {
		held := holdings(node, handles)
		now := sumUp(under, repairs(node, held), proc.Clock())
		for backup, r := range now {
			if r.Looks%progressSaid == 1 {
				node.Log.Info("repairing a backup", "backup", backup, "shards", r.Shards, "to go", r.ToGo, "per second",
					int(r.Rate), "seconds left", int(r.Left+1))
			}
		}
		for backup, r := range under {
			if _, goesOn := now[backup]; !goesOn {
				node.Log.Info("a backup is repaired, or lost again", "backup", backup, "writes", r.Most,
					slog.Duration("took", time.Duration(proc.Clock()-r.Since)))
			}
		}
		under = now
	}
}

// sumUp adds up the repairs of each backup's shards, with what is known from the look before.
func sumUp(before map[string]repairing, list []repairLine, now int64) map[string]repairing {
	sums := map[string]repairing{}
	for _, one := range list {
		r, seen := sums[one.Backup]
		if !seen {
			r = repairing{Looks: before[one.Backup].Looks + 1, Since: before[one.Backup].Since, Most: before[one.Backup].Most}
			if r.Looks == 1 {
				r.Since = now
			}
		}
		r.Shards, r.ToGo, r.Rate = r.Shards+1, r.ToGo+one.ToGo, r.Rate+one.Rate
		r.Most = max(r.Most, r.ToGo)
		if r.Left = 0; r.Rate > 0 {
			r.Left = float64(r.ToGo) / r.Rate
		}
		sums[one.Backup] = r
	}
	return sums
}
