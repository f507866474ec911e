package replica

import "tandem/shard"

// answerRead answers a get from what was read before the call: RocksDB of a leader holds only committed writes (rule
// R1). A request that is turned away throws away what was read.
func answerRead(e *Event, away *Effect, out []Effect) []Effect {
	reply := shard.Reply{Result: shard.Found, Record: e.Current, Touched: 1}
	switch {
	case away != nil:
		return append(out, *away)
	case !e.Exists:
		reply.Result = shard.Missing
	}
	return append(out, Effect{Kind: Answer, Caller: e.Caller, Reply: reply})
}

// holdCount keeps a count or a page that is not turned away until the log is applied up to what it may rest on.
func holdCount(r State, e *Event, away *Effect, out []Effect) (State, []Effect) {
	if away != nil {
		return r, append(out, *away)
	}
	r.Waiting = append(r.Waiting, Waiting{r.Log.Submitted, e.Now + WaitFor, e.Caller, shard.Reply{Users: e.Users,
		Touched: 1}})
	return r, out
}

// aged refuses what was read before this replica took its part in the view, unless a reason is known already: it may
// lack acknowledged writes that the replica was given since.
func aged(r *State, e *Event, reason string) string {
	if reason == "" && e.Began > 0 && e.Began < r.CompleteSince {
		return "what was read is older than this replica's part in the view"
	}
	return reason
}

// BucketsAhead lists the buckets of a shard whose count in memory may be ahead of what a scan shows that is opened now:
// last has the LSN of the last write that was handed to the disk in each bucket, and the disk has not reported those
// beyond r.Log.Applied. The count of every other bucket is that of the scan.
func BucketsAhead(r *State, last *[256]uint64) []byte {
	list := []byte(nil)
	for bucket, lsn := range last {
		if lsn > r.Log.Applied || r.Log.Wiping > 0 {
			list = append(list, byte(bucket))
		}
	}
	return list
}
