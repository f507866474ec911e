package replica

import (
	"slices"

	"tandem/shard"
)

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
		r.Leading.SyncedAt = e.Now
	case r.Known && leads && e.Now-r.Leading.SyncedAt > CalmFor:
		r.Leading.Backoff, r.Leading.BackoffUntil = r.Leading.BackoffLeast, e.Now+r.Leading.BackoffLeast
	case r.Known && leads:
		r.Leading.Backoff = min(max(2*r.Leading.Backoff, r.Leading.BackoffLeast), BackoffTimes*r.Leading.BackoffLeast)
		r.Leading.BackoffUntil = e.Now + r.Leading.Backoff
	}
	// The stream goes on when the leader's proposal is accepted that a backup that it feeds be in sync.
	live := r.Known && led == leads && !r.View.InSync && v.InSync
	r.View, r.Known, r.Restarted = v, true, e.Restarted
	r.FreeFrom, r.LeaseUntil = e.FreeFrom, 0
	r.Leading.Draining, r.Leading.BackupError, r.Leading.LateFrom = false, "", 0
	if !live {
		r.Stream = Stream{Number: r.Stream.Number, AskedIn: r.Stream.AskedIn, Sent: r.Stream.Sent}
		r.Backing.LeaderApplied, r.Backing.Upstream, r.Backing.Asked = 0, nil, nil
	}
	r.Repair, r.CompleteSince, r.Backing.Compared = Repair{}, e.Now, r.Backing.Compared || leads && !e.Restarted
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
		r.Leading.Takeover, r.Leading.Next = r.Log.Submitted, r.Log.Submitted
		out = append(out, Effect{Kind: TakeBackRelayed})
	case led && !leads:
		for i := range r.Leading.Pending {
			out = append(out, Effect{Kind: Answer, Caller: r.Leading.Pending[i].Caller, Reply: refusal})
		}
		r.Leading.Pending, r.Leading.Next = nil, r.Log.Submitted
		r.Log.Order = slices.DeleteFunc(r.Log.Order, func(o Expiry) bool {
			lost := r.Log.Window[o.Request].LSN > r.Log.Submitted
			if lost {
				delete(r.Log.Window, o.Request)
			}
			return lost
		})
	}
	if r.Backing.LaterEpoch == v.Epoch && !leads {
		r.Backing.Asked = r.Backing.Later
	}
	if r.Backing.LaterEpoch <= v.Epoch {
		r.Backing.Later, r.Backing.LaterEpoch = nil, 0
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
		r.Leading.Draining = e.Kind == DrainAsked
	}
	return r
}
