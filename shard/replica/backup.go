package replica

import (
	"fmt"
	"tandem/shard"
)

// noteAsk begins a stream of the leader's; what still comes in by an older one no longer counts (rule R15). A stream of
// an epoch that is not known here yet waits until it is; one of an older epoch is passed over, as its leader will
// learn, and so is a question that was asked twice. A snapshot that was broken off is dropped.
func noteAsk(r State, e *Event, out []Effect) (State, []Effect) {
	switch {
	case !r.Known || e.Epoch > r.View.Epoch:
		r.Backing.Later, r.Backing.LaterEpoch = e.Caller, e.Epoch
		return r, out
	case e.Epoch < r.View.Epoch || r.View.Leader == r.Self || r.Backing.Upstream == e.Caller &&
		r.Backing.UpstreamEpoch == e.Epoch:
		return r, out
	}
	r.Backing.Asked, r.Backing.Upstream = e.Caller, nil
	if r.Backing.Filling {
		r.Backing.Filling, r.Backing.Filled, r.Log.Wiping = false, nil, r.Log.Wiping+1
		out = append(out, Effect{Kind: Wipe})
	}
	return r, out
}

// takeEntries hands what the leader appends to this node's disk, and notes what the leader has applied. Entries that
// are here already are passed over; a gap is refused.
func takeEntries(r State, e *Event, out []Effect) (State, []Effect) {
	failed := shard.Reply{Refusal: shard.Unavailable}
	switch {
	case e.Caller != r.Backing.Upstream || e.Epoch < r.Backing.UpstreamEpoch || !r.Known || r.View.Leader == r.Self ||
		r.Backing.Filling:
		return r, out
	case !r.Backing.Compared:
		r.Backing.Compared = true
		out = append(out, Effect{Kind: Notify, Notice: shard.LogsCompared, Epoch: r.View.Epoch})
	}
	switch {
	case e.Kind == LeaderTold:
		r.Backing.LeaderApplied = max(r.Backing.LeaderApplied, e.LSN)
		return r, out
	case r.Log.DiskError != "":
		failed = shard.Reply{Refusal: shard.DiskError, Reason: r.Log.DiskError}
	}
	fresh := make([]shard.Entry, 0, len(e.Entries))
	for i := range e.Entries {
		n := &e.Entries[i]
		if n.LSN > r.Log.Submitted+1 && failed.Reason == "" {
			failed.Reason = fmt.Sprintf("an append of LSN %d where %d was due", n.LSN, r.Log.Submitted+1)
		}
		if n.LSN != r.Log.Submitted+1 {
			continue
		}
		fresh = append(fresh, *n)
		r.Log.Submitted = n.LSN
		if h := len(r.Log.History); h == 0 || r.Log.History[h-1].Epoch < n.Epoch {
			r.Log.History = append(r.Log.History, shard.Position{Epoch: n.Epoch, LSN: n.LSN})
		}
		r.Log.Window[n.Request] = Done{n.LSN, shard.Reply{Result: n.Result, Touched: 2,
			Record: shard.Record{ID: n.ID, Name: n.Name, Email: n.Email, Group: n.Group, Epoch: n.Epoch, LSN: n.LSN}}, n.Wall}
		r.Log.Order = append(r.Log.Order, Expiry{e.Now + shard.RememberFor, n.Request})
	}
	r.Backing.LeaderApplied = max(r.Backing.LeaderApplied, e.Applied)
	switch {
	case len(fresh) > 0:
		out = append(out, Effect{Kind: Persist, Entries: fresh})
	case failed.Reason == "" && r.Log.Applied == r.Log.Submitted:
		out = append(out, Effect{Kind: SendStored, Caller: e.Caller, Epoch: r.View.Epoch, LSN: r.Log.Applied})
	}
	if failed.Reason != "" {
		out = append(out, Effect{Kind: SendStreamError, Caller: e.Caller, Epoch: r.View.Epoch, Reply: failed})
	}
	return r, out
}

// fill takes a snapshot of the whole shard from the leader: what was here is dropped, the records are stored as they
// come, and the position is written only with the last of them, so that a snapshot that was broken off is known for
// what it is.
func fill(r State, e *Event, out []Effect) (State, []Effect) {
	if e.Caller != r.Backing.Upstream || e.Epoch < r.Backing.UpstreamEpoch || !r.Known || r.View.Leader == r.Self ||
		r.View.InSync ||
		e.Kind != SnapshotBegun && !r.Backing.Filling {
		return r, out
	}
	switch e.Kind {
	case SnapshotBegun:
		r.Log = Log{DiskError: r.Log.DiskError, Wiping: r.Log.Wiping, Window: map[shard.RequestID]Done{}}
		r.Backing.LeaderApplied = 0
		r.Backing.Filling, r.Backing.Filled, r.Log.Wiping = true, nil, r.Log.Wiping+1
		return r, append(out, Effect{Kind: Wipe})
	case SnapshotCame:
		return r, append(out, Effect{Kind: PersistRecords, Records: e.Records})
	}
	r.Backing.Filled = append(r.Backing.Filled, e.Entries...)
	switch {
	case e.LSN == 0 && len(e.Entries) > 0: // more of the window follows
		return r, out
	case e.LSN == 0: // the shard is empty
		r.Backing.Filling, r.Backing.Filled = false, nil
		if r.Log.Wiping == 0 {
			out = append(out, Effect{Kind: SendStored, Caller: r.Backing.Upstream, Epoch: r.View.Epoch})
		}
		return r, out
	}
	for i := range r.Backing.Filled {
		n := &r.Backing.Filled[i]
		r.Log.Window[n.Request] = Done{n.LSN, shard.Reply{Result: n.Result, Touched: 2,
			Record: shard.Record{ID: n.ID, Name: n.Name, Email: n.Email, Group: n.Group, Epoch: n.Epoch, LSN: n.LSN}}, n.Wall}
		r.Log.Order = append(r.Log.Order, Expiry{e.Now + shard.RememberFor, n.Request})
	}
	r.Log.Submitted, r.Log.History = e.LSN, e.History
	out = append(out, Effect{Kind: PersistHistory, LSN: e.LSN, LastEpoch: e.History[len(e.History)-1].Epoch,
		History: e.History, Entries: r.Backing.Filled})
	r.Backing.Filling, r.Backing.Filled = false, nil
	return r, out
}
