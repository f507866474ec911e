package shard

// answerRead answers a get from what was read before the call: RocksDB of a leader holds only committed writes (rule R1). reason says why the
// replica may not serve, "" if it may: then what was read is thrown away.
func answerRead(r Replica, e *Event, reason string, out []Effect) []Effect {
	reply := Reply{Result: Found, Record: e.Current, Touched: 1}
	switch {
	case r.Known && r.View.Leader != r.Self:
		reply = Reply{Refusal: NotLeader, Reason: r.Peer + " leads the shard"}
	case reason != "":
		reply = Reply{Refusal: Unavailable, Reason: reason}
	case !e.Exists:
		reply.Result = Missing
	}
	return append(out, Effect{Kind: Answer, Caller: e.Caller, Reply: reply})
}

// holdCount keeps a count or a page until the log is applied up to what it may rest on; a replica that may not serve refuses it.
func holdCount(r Replica, e *Event, reason string, out []Effect) (Replica, []Effect) {
	if reason != "" {
		return r, append(out, Effect{Kind: Answer, Caller: e.Caller, Reply: Reply{Refusal: Unavailable, Reason: reason}})
	}
	r.Waiting = append(r.Waiting, Waiting{r.Handed, e.Now + WaitFor, e.Caller, Reply{Users: e.Users, Touched: 1}})
	return r, out
}

// aged refuses what was read before this replica took its part in the view, unless a reason is known already: it may lack acknowledged writes that
// the replica was given since.
func aged(r Replica, e *Event, reason string) string {
	if reason == "" && e.Began > 0 && e.Began < r.Whole {
		return "what was read is older than this replica's part in the view"
	}
	return reason
}
