package replica

import "tandem/shard"

// compareLogs learns where the backup's log ends. While it is in sync it ends between what is applied here, and what it
// has said before to be stored, and what is sequenced here; it is told at once that this fits. One that is not in sync
// is fed from there if its end lies on this log, ahead counts as off; else it is given the whole shard.
func compareLogs(r State, e *Event, out []Effect) (State, []Effect) {
	if e.Stream != r.Stream.Number || e.Epoch != r.View.Epoch || r.View.Leader != r.Self || r.Stream.Agreed ||
		r.Repair.Compared {
		return r, out
	}
	epoch := uint64(0)
	for _, h := range r.Log.History {
		if h.LSN <= e.LSN {
			epoch = h.Epoch
		}
	}
	for i := range r.Leading.Pending {
		if r.Leading.Pending[i].Entry.LSN == e.LSN {
			epoch = r.Leading.Pending[i].Entry.Epoch
		}
	}
	fits := e.LSN <= r.Leading.Next && (e.LSN == 0 || epoch == e.LastEpoch)
	r.Repair.First, r.Repair.Since, r.Repair.MovedAt = e.LSN+1, e.Now, e.Now
	switch {
	case r.View.InSync && fits && e.LSN >= max(r.Log.Applied, r.Stream.PeerStored):
		r.Stream.Agreed, r.Stream.AppliedSent = true, r.Log.Applied
		r.Stream.Sent, r.Stream.PeerStored = e.LSN, e.LSN
		out = append(out, Effect{Kind: SendApplied, Stream: r.Stream.Number, Epoch: r.View.Epoch, LSN: r.Log.Applied})
	case r.View.InSync:
		out = append(out, Effect{Kind: Notify, Notice: shard.BackupTimedOut, Epoch: r.View.Epoch})
	case fits:
		r.Repair.Compared, r.Repair.Fed, r.Stream.PeerStored = true, e.LSN, e.LSN
	default:
		r.Repair.Compared, r.Repair.Busy, r.Repair.Snapshot = true, true, true
		r.Repair.Owed, r.Repair.Fed, r.Stream.PeerStored = true, 0, 0
		out = append(out, Effect{Kind: FeedSnapshot, Stream: r.Stream.Number, Epoch: r.View.Epoch})
	}
	return r, out
}

// noteFeed notes that the shell has fed up to LSN, or that the log does not reach back and a snapshot must do.
func noteFeed(r State, e *Event, out []Effect) (State, []Effect) {
	if e.Stream != r.Stream.Number || e.Epoch != r.View.Epoch || !r.Repair.Busy {
		return r, out
	}
	if e.Kind == FeedFailed {
		r.Repair.Snapshot, r.Repair.Owed = true, true
		r.Repair.Fed, r.Stream.PeerStored = 0, 0
		return r, append(out, Effect{Kind: FeedSnapshot, Stream: r.Stream.Number, Epoch: r.View.Epoch})
	}
	r.Repair.Busy, r.Repair.Snapshot = false, false
	r.Repair.Fed, r.Repair.MovedAt = e.LSN, e.Now
	return r, out
}

// advanceRepair brings a backup that is not in sync forward: it feeds what is applied; near the end the leader sets the
// barrier (rule R7: from now on it demands "stored" for every new write and a lease for every read), feeds what was
// sequenced before, lets new writes follow, and says that the backup has caught up once it has stored all of the
// former.
func advanceRepair(r State, now int64, out []Effect) (State, []Effect) {
	m := &r.Repair
	if !r.Known || r.View.Leader != r.Self || r.View.InSync || !m.Compared || m.Busy || r.Restarted || now < r.FreeFrom {
		return r, out
	}
	if m.Owed || r.Stream.PeerStored < m.Fed {
		if now-m.MovedAt > StallFor {
			m.MovedAt = now
			out = append(out, Effect{Kind: BreakStream, Stream: r.Stream.Number})
		}
		return r, out
	}
	lag := r.Log.Applied - min(m.Fed, r.Log.Applied)
	switch {
	case !m.AckRequired && lag > NearEnd:
		m.Busy = true
		out = append(out, Effect{Kind: Feed, Stream: r.Stream.Number, Epoch: r.View.Epoch, LSN: m.Fed + 1,
			Applied: r.Log.Applied,
			History: r.Log.History})
	case !m.AckRequired && (now < r.Leading.BackoffUntil || now >= r.LeaseUntil): // not yet, or the backup is not well
	case !m.AckRequired:
		m.AckRequired, m.Barrier = true, r.Leading.Next
		out = append(out, Effect{Kind: Notify, Notice: shard.AckRequired, Epoch: r.View.Epoch})
	case m.Fed < m.Barrier && r.Log.Applied >= m.Barrier:
		m.Busy = true
		out = append(out, Effect{Kind: Feed, AtOnce: true, Stream: r.Stream.Number, Epoch: r.View.Epoch, LSN: m.Fed + 1,
			Applied: m.Barrier, History: r.Log.History})
	case m.Fed >= m.Barrier && !r.Stream.Agreed:
		r.Stream.Agreed, r.Stream.Sent, r.Stream.AppliedSent = true, m.Fed, r.Log.Applied
		out = append(out, Effect{Kind: SendApplied, Stream: r.Stream.Number, Epoch: r.View.Epoch, LSN: r.Log.Applied})
	}
	if r.Stream.Agreed && m.AckRequired && r.Stream.PeerStored >= m.Barrier && now < r.LeaseUntil &&
		now-m.AskedAt >= CaughtUpEvery {
		m.AskedAt = now
		out = append(out, Effect{Kind: Notify, Notice: shard.CaughtUp, Epoch: r.View.Epoch})
	}
	return r, out
}

// Follows tells whether an entry read from a WAL is the one that is wanted next: it has that LSN, and the epoch that
// the history gives it. Other entries of the WAL are of a former copy of the shard, or were written again after
// a torn tail (rule R16).
func Follows(history []shard.Position, want uint64, n *shard.Entry) bool {
	epoch := uint64(0)
	for _, h := range history {
		if h.LSN <= want {
			epoch = h.Epoch
		}
	}
	return n.LSN == want && n.Epoch == epoch
}
