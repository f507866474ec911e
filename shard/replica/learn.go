package replica

import "tandem/shard"

// learn takes a later view. A lease counts for its epoch only. Who stays leader keeps what is pending; who was replaced
// drops what its disk was not given, and whoever asked tries again at the new leader. Who becomes leader goes on from
// all that its disk was given (rule R10).
func learn(r State, e *Event, out []Effect) (State, []Effect) {
	v := e.View
	if r.Known && v.Epoch <= r.View.Epoch {
		return r, out
	}
	led, leads := r.Known && r.View.Leader == r.Self, v.Leader == r.Self
	switch {
	case v.InSync:
		r.SyncedAt = e.Now
	case r.Known && leads && e.Now-r.SyncedAt > CalmFor:
		r.Backoff, r.BackoffUntil = r.BackoffLeast, e.Now+r.BackoffLeast
	case r.Known && leads:
		r.Backoff = min(max(2*r.Backoff, r.BackoffLeast), BackoffTimes*r.BackoffLeast)
		r.BackoffUntil = e.Now + r.Backoff
	}
	// The stream goes on when the leader's wish is granted that a backup that it feeds be in sync.
	live := r.Known && led == leads && !r.View.InSync && v.InSync
	r.View, r.Known, r.Restarted, r.FreeFrom = v, true, e.Restarted, e.FreeFrom
	r.LeaseUntil, r.Draining, r.Trouble, r.LateFrom = 0, false, "", 0
	if !live {
		r.Agreed, r.AskedAt, r.AppliedSent, r.PeerStored, r.LeaderApplied, r.Upstream, r.Asked = false, 0, 0, 0, 0, nil, nil
	}
	r.Repair, r.CompleteSince, r.Compared = Repair{}, e.Now, r.Compared || leads && !e.Restarted
	refusal := shard.Reply{Refusal: shard.Unavailable, Reason: "the view has changed"}
	if !leads {
		refusal = shard.Reply{Refusal: shard.NotLeader, Reason: r.Peer + " leads the shard"}
	}
	for _, w := range r.Waiting {
		out = append(out, Effect{Kind: Answer, Caller: w.Caller, Reply: refusal})
	}
	clear(r.Waiting)
	r.Waiting = r.Waiting[:0]
	switch {
	case leads && !led:
		r.Takeover, r.Next = r.Submitted, r.Submitted
		out = append(out, Effect{Kind: TakeBackRelayed})
	case led && !leads:
		for i := range r.Pending {
			out = append(out, Effect{Kind: Answer, Caller: r.Pending[i].Caller, Reply: refusal})
		}
		r.Pending, r.Next = nil, r.Submitted
		kept := r.Order[:0]
		for _, o := range r.Order {
			if r.Window[o.Request].LSN <= r.Submitted {
				kept = append(kept, o)
				continue
			}
			delete(r.Window, o.Request)
		}
		r.Order = kept
	}
	if r.LaterEpoch == v.Epoch && !leads {
		r.Asked = r.Later
	}
	if r.LaterEpoch <= v.Epoch {
		r.Later, r.LaterEpoch = nil, 0
	}
	return r, out
}

// noteTerms takes a lease, or what the lease session or the node says about the leadership.
func noteTerms(r State, e *Event) State {
	switch {
	case e.Kind == NodeStopping:
		r.Stopping = true
	case e.Epoch != r.View.Epoch || !r.Known:
	case e.Kind == LeaseCame:
		r.LeaseUntil = max(r.LeaseUntil, e.Until)
	default:
		r.Draining = e.Kind == DrainAsked
	}
	return r
}
