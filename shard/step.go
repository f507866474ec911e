package shard

// Step is the replication protocol: it takes a replica's state and an event and returns the state after it, with the effects
// appended to out. It has no clock, no disk and no network; a state that went in is spent.
//
// Each event only notes what happened. Then, whatever happened, the same four steps bring the replica forward: what is sequenced is
// sent to the backup, what the backup has stored is handed to the disk, what is applied is answered, and who asked is told.
func Step(r Replica, e *Event, out []Effect) (Replica, []Effect) {
	switch e.Kind {
	case WriteAsked:
		r = forget(r, e.Now)
		current, at := newest(r, e)
		result, record := decide(&e.Change, current)
		r, out = sequence(r, e, result, record, at, out)
	case ReadDone:
		out = answerRead(r, e, out)
	case CountAsked, ScanDone:
		r.Waiting = append(r.Waiting, Waiting{r.Handed, e.Now + WaitFor, e.Caller, Reply{Users: e.Users, Touched: 1}})
	case DiskStored:
		r, out = noteStored(r, e, out)
	case DiskSick:
		r, out = noteSick(r, e, out)
	case StreamUp, StreamDown:
		r, out = noteStream(r, e, out)
	case PeerPosition:
		r, out = compareLogs(r, e, out)
	case PeerStored:
		r = notePeerStored(r, e)
	case PeerTrouble, FeedFailed:
		r, out = noteTrouble(r, e, out)
	case PositionAsked: // what still comes in by an older stream no longer counts (rule R15)
		r.Asked, r.Upstream = e.Caller, nil
	case EntriesCame:
		r = forget(r, e.Now)
		r, out = takeEntries(r, e, out)
	case LeaderTold:
		r.LeaderApplied = max(r.LeaderApplied, e.LSN)
	case Ticked:
		r, out = tell(r, out)
	}
	r, out = send(r, out)
	r, out = hand(r, out)
	r, out = release(r, e.Now, out)
	return finish(r, out)
}

// release answers what is applied: the leader's own writes in LSN order, and whatever waited for them. A backup goes by what
// its leader has applied: its own log may run ahead of it (rule R2).
func release(r Replica, now int64, out []Effect) (Replica, []Effect) {
	horizon := r.LeaderApplied
	if r.View.Leader == r.Self {
		horizon = r.Applied
	}
	n := 0
	for n < len(r.Pending) && r.Pending[n].Entry.LSN <= r.Applied {
		p := &r.Pending[n]
		out = append(out, Effect{Kind: Answer, Caller: p.Caller, Reply: r.Window[p.Entry.Request].Reply})
		n++
	}
	clear(r.Pending[:n])
	r.Pending = r.Pending[n:]
	held := r.Waiting[:0]
	for _, w := range r.Waiting {
		switch {
		case w.LSN <= horizon:
			out = append(out, Effect{Kind: Answer, Caller: w.Caller, Reply: w.Reply})
		case w.Until > now:
			held = append(held, w)
		}
	}
	clear(r.Waiting[len(held):])
	r.Waiting = held
	return r, out
}

// finish tells the end of the log to a stream that asked once all of it is stored, and asks for a tick while the backup does not
// know the newest applied LSN.
func finish(r Replica, out []Effect) (Replica, []Effect) {
	if r.Asked != nil && r.Applied == r.Handed {
		out = append(out, Effect{Kind: SendPosition, Caller: r.Asked, Epoch: r.View.Epoch, LSN: r.Applied})
		r.Upstream, r.Asked = r.Asked, nil
	}
	if r.Agreed && r.Told < r.Applied && !r.Alarm {
		out = append(out, Effect{Kind: SetAlarm})
		r.Alarm = true
	}
	return r, out
}

// forget drops the request ids from the window that have outlived every deadline.
func forget(r Replica, now int64) Replica {
	n := 0
	for n < len(r.Order) && r.Order[n].At < now {
		delete(r.Window, r.Order[n].Request)
		n++
	}
	r.Order = r.Order[n:]
	return r
}

// answerRead answers a get from what was read before the call: RocksDB of a leader holds only committed writes (rule R1).
func answerRead(r Replica, e *Event, out []Effect) []Effect {
	reply := Reply{Result: Found, Record: e.Current, Touched: 1}
	if !e.Exists {
		reply.Result = Missing
	}
	if r.View.Leader != r.Self {
		reply = Reply{Refusal: NotLeader, Reason: r.Peer + " leads the shard"}
	}
	return append(out, Effect{Kind: Answer, Caller: e.Caller, Reply: reply})
}

// noteStored takes the disk's word for its log up to LSN.
func noteStored(r Replica, e *Event, out []Effect) (Replica, []Effect) {
	r.Applied = max(r.Applied, e.LSN)
	if r.View.Leader != r.Self && r.Upstream != nil {
		out = append(out, Effect{Kind: SendStored, Caller: r.Upstream, Epoch: r.View.Epoch, LSN: r.Applied})
	}
	if r.Catch > 0 && r.Applied >= r.Catch {
		r.Agreed, r.Trouble, r.PeerStored, r.Sent, r.Catch = true, "", r.Catch, r.Catch, 0
	}
	return r, out
}

// noteSick keeps the disk's trouble. A backup tells its leader, which would otherwise sequence writes that nobody can store.
func noteSick(r Replica, e *Event, out []Effect) (Replica, []Effect) {
	r.Sick = e.Reason
	switch {
	case r.View.Leader == r.Self || r.Upstream == nil:
	case r.Sick == "":
		out = append(out, Effect{Kind: SendStored, Caller: r.Upstream, Epoch: r.View.Epoch, LSN: r.Applied})
	default:
		out = append(out, Effect{Kind: SendTrouble, Caller: r.Upstream, Epoch: r.View.Epoch, Reply: Reply{Refusal: DiskTrouble, Reason: r.Sick}})
	}
	return r, out
}
