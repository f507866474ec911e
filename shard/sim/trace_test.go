package sim

import (
	"fmt"
	"strings"
	"tandem/shard/replica"
)

// The names of events and effects, by kind, for traces.
var (
	eventNames = strings.Fields("- WriteAsked GetAsked CountAsked PageAsked DiskStored DiskWiped DiskRefuses DataDamaged ViewLearnt LeaseCame DrainAsked DrainOff NodeStopping StreamUp StreamDown " +
		"PeerPosition PeerStored PeerStreamError FeedDone FeedFailed PositionAsked EntriesCame LeaderTold SnapshotBegun SnapshotCame SnapshotEnded Ticked")
	effectNames = strings.Fields("- Answer Persist Wipe Drop PersistRecords PersistHistory SendAsk SendAppend SendApplied SendStored SendPosition SendStreamError Feed FeedSnapshot BreakStream " +
		"SetAlarm Notify Relay TakeBackRelayed")
	noticeNames = strings.Fields("- BackupTimedOut AckRequired CaughtUp Drained LogsCompared CopyDamaged CopyRestored")
)

// tellStep is a line of the trace: what came, where the replica stands, and what is to be done.
func tellStep(r *replica.State, e *replica.Event, out []replica.Effect) string {
	var b strings.Builder
	b.WriteString(eventNames[e.Kind])
	if e.Kind <= replica.PageAsked {
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
	fmt.Fprintf(&b, " | %s in epoch %d, in sync %v, applied %d, submitted %d, pending %d |", role, r.View.Epoch,
		r.View.InSync, r.Log.Applied, r.Log.Submitted, len(r.Leading.Pending))
	for k := range out {
		fx := &out[k]
		fmt.Fprintf(&b, " %s", effectNames[fx.Kind])
		switch {
		case fx.Kind == replica.Notify:
			fmt.Fprintf(&b, "(%s)", noticeNames[fx.Notice])
		case fx.Kind == replica.Answer:
			fmt.Fprintf(&b, "(%d %d %s)", fx.Reply.Result, fx.Reply.Record.LSN, fx.Reply.Reason)
		case len(fx.Entries) > 0:
			fmt.Fprintf(&b, "(%d…%d)", fx.Entries[0].LSN, fx.Entries[len(fx.Entries)-1].LSN)
		case fx.LSN > 0:
			fmt.Fprintf(&b, "(%d)", fx.LSN)
		}
	}
	return b.String()
}
