package shard

import "fmt"

// takeEntries hands entries of the peer's log to this node's disk: on a backup what its leader appends, on a leader that is
// catching up what it fetched. Entries that are here already are passed over; a gap or another epoch is refused.
func takeEntries(r Replica, e *Event, out []Effect) (Replica, []Effect) {
	leads := r.View.Leader == r.Self
	trouble := Reply{Refusal: Unavailable}
	switch {
	case leads && (r.Catch == 0 || e.Stream != r.Stream), !leads && e.Caller != r.Upstream:
		return r, out
	case e.Epoch != r.View.Epoch:
		trouble.Reason = fmt.Sprintf("an append of epoch %d in epoch %d", e.Epoch, r.View.Epoch)
	case r.Sick != "":
		trouble = Reply{Refusal: DiskTrouble, Reason: r.Sick}
	}
	fresh := make([]Entry, 0, len(e.Entries))
	for i := range e.Entries {
		n := &e.Entries[i]
		if n.LSN > r.Handed+1 && trouble.Reason == "" {
			trouble.Reason = fmt.Sprintf("an append of LSN %d where %d was due", n.LSN, r.Handed+1)
		}
		if n.LSN != r.Handed+1 || e.Epoch != r.View.Epoch {
			continue
		}
		fresh = append(fresh, *n)
		r.Handed = n.LSN
		reply := Reply{Result: n.Result, Touched: 2, Record: Record{n.ID, n.Name, n.Email, n.Group, n.Epoch, n.LSN}}
		r.Window[n.Request] = Done{n.LSN, reply}
		r.Order = append(r.Order, Expiry{e.Now + RememberFor, n.Request})
	}
	if leads {
		r.Next = max(r.Next, r.Handed)
	} else {
		r.LeaderApplied = max(r.LeaderApplied, e.Applied)
	}
	switch {
	case len(fresh) > 0:
		out = append(out, Effect{Kind: Persist, Entries: fresh})
	case !leads && trouble.Reason == "" && r.Applied == r.Handed:
		out = append(out, Effect{Kind: SendStored, Caller: e.Caller, Epoch: r.View.Epoch, LSN: r.Applied})
	}
	if !leads && trouble.Reason != "" {
		out = append(out, Effect{Kind: SendTrouble, Caller: e.Caller, Epoch: r.View.Epoch, Reply: trouble})
	}
	return r, out
}
