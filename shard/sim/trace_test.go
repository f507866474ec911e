package sim

import (
	"fmt"
	"strings"
	"tandem/shard"
)

// The names of events and effects, by kind, for traces.
var (
	eventNames = strings.Fields("- WriteAsked ReadDone CountAsked ScanDone DiskStored DiskWiped DiskSick DataLost ViewLearnt LeaseCame DrainAsked DrainOff Retired StreamUp StreamDown " +
		"PeerPosition PeerStored PeerTrouble FeedDone FeedFailed PositionAsked EntriesCame LeaderTold SnapshotBegun SnapshotCame SnapshotEnded Ticked")
	effectNames = strings.Fields("- Answer Persist Wipe Drop PersistRecords PersistHistory SendAsk SendAppend SendApplied SendStored SendPosition SendTrouble Feed FeedSnapshot BreakStream " +
		"SetAlarm Notify Relay Reclaim")
	noticeNames = strings.Fields("- BackupTimedOut AckRequired CaughtUp Drained LogsCompared CopyDamaged CopyRestored")
)

// tellStep is a line of the trace: what came, where the replica stands, and what is to be done.
func tellStep(r *shard.Replica, e *shard.Event, out []shard.Effect) string {
	var b strings.Builder
	b.WriteString(eventNames[e.Kind])
	if e.Kind <= shard.ScanDone {
		fmt.Fprintf(&b, " %x %s", e.Change.Request[:3], e.Change.ID)
	}
	if e.LSN+e.Epoch+e.Stream > 0 {
		fmt.Fprintf(&b, " LSN %d epoch %d stream %d", e.LSN, e.Epoch, e.Stream)
	}
	for i := range e.Entries {
		fmt.Fprintf(&b, " %d@%d", e.Entries[i].LSN, e.Entries[i].Epoch)
	}
	role := "backup"
	if r.View.Leader == r.Self {
		role = "leader"
	}
	fmt.Fprintf(&b, " | %s in epoch %d, in sync %v, applied %d, handed %d, pending %d |", role, r.View.Epoch,
		r.View.InSync, r.Applied, r.Handed, len(r.Pending))
	for k := range out {
		fx := &out[k]
		fmt.Fprintf(&b, " %s", effectNames[fx.Kind])
		switch {
		case fx.Kind == shard.Notify:
			fmt.Fprintf(&b, "(%s)", noticeNames[fx.Notice])
		case fx.Kind == shard.Answer:
			fmt.Fprintf(&b, "(%d %d %s)", fx.Reply.Result, fx.Reply.Record.LSN, fx.Reply.Reason)
		case len(fx.Entries) > 0:
			fmt.Fprintf(&b, "(%d…%d)", fx.Entries[0].LSN, fx.Entries[len(fx.Entries)-1].LSN)
		case fx.LSN > 0:
			fmt.Fprintf(&b, "(%d)", fx.LSN)
		}
	}
	return b.String()
}
