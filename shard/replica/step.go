package replica

import "tandem/shard"

// Step is the replication protocol: it takes a replica's state and an event and returns the state after it, with the
// effects appended to out. It has no clock, no disk and no network; a state that went in is spent.
//
// Each event only notes what happened. Then, whatever happened, the same steps bring the replica forward: a backup that
// is not in sync is fed, what is sequenced is sent to the backup, what the backup has stored is handed to the disk,
// what is applied is answered, and who asked is told.
func Step(r State, e *Event, out []Effect) (State, []Effect) {
	if r.NotServingSince > 0 && NotServing(&r, e.Now) == "" { // as time alone has brought about
		r.NotServingSince = 0
	}
	switch e.Kind {
	case WriteAsked:
		r = forget(r, e.Now)
		current, at := newest(&r, e)
		unmet := shard.Weigh(e.Change.Match, e.Change.Unless, current)
		result, record := decide(&e.Change, current, unmet)
		away := turnAway(&r, e, NotServing(&r, e.Now))
		r, out = sequence(r, e, away, result, record, at, out)
	case GetAsked:
		away := turnAway(&r, e, aged(&r, e, NotServing(&r, e.Now)))
		out = answerRead(e, away, out)
	case CountAsked, PageAsked:
		away := turnAway(&r, e, aged(&r, e, NotServing(&r, e.Now)))
		r, out = holdCount(r, e, away, out)
	case DiskStored, DiskWiped:
		r, out = noteStored(r, e, out)
	case DiskSick, DataDamaged:
		r, out = noteSick(r, e, out)
	case ViewLearnt:
		r, out = learn(r, e, out)
	case LeaseCame, DrainAsked, DrainOff, NodeStopping:
		r = noteTerms(r, e)
	case StreamUp, StreamDown:
		r = noteStream(r, e)
	case PeerPosition:
		r, out = compareLogs(r, e, out)
	case PeerStored, PeerTrouble:
		r, out = notePeer(r, e, out)
	case FeedDone, FeedFailed:
		r, out = noteFeed(r, e, out)
	case PositionAsked:
		r, out = noteAsk(r, e, out)
	case EntriesCame, LeaderTold:
		r = forget(r, e.Now)
		r, out = takeEntries(r, e, out)
	case SnapshotBegun, SnapshotCame, SnapshotEnded:
		r, out = fill(r, e, out)
	case Ticked:
		r, out = tell(r, out)
	}
	if r.View.Leader == r.Self {
		r, out = advanceRepair(r, e.Now, out)
		r, out = send(r, out)
		r, out = submit(r, e.Now, out)
	}
	reason := NotServing(&r, e.Now)
	switch {
	case reason == "":
		r.NotServingSince = 0
	case r.NotServingSince == 0:
		r.NotServingSince = e.Now
	}
	r, out = release(r, e.Now, reason == "", out)
	return finish(r, e.Now, out)
}

// NotServing says why a replica may not answer for its shard at now, and "" if it may. It is asked after what was read
// (rule R1), with a time that was sampled after it.
func NotServing(r *State, now int64) string {
	leads := r.View.Leader == r.Self
	switch {
	case !r.Known:
		return "this node has not learnt who leads the shard since it started"
	case r.Stopping:
		return "this node is stopping"
	case r.Damage != "":
		return "this node's data of the shard is damaged: " + r.Damage
	case !leads && !r.View.InSync:
		return "this replica is not in sync"
	case r.Restarted:
		return "this node restarted as the leader; the backup " + r.Peer + " takes over"
	case leads && r.Draining:
		return "the leadership is being handed to " + r.Peer
	case leads && r.Applied < r.Takeover:
		return "the new leader is storing what it was sent as backup"
	case !leads && !r.Compared && now < r.LeaseUntil: // it may lack what it once said to be stored (rule R24)
		return "this node restarted, and the leader " + r.Peer + " has not compared the logs yet"
	case r.View.InSync || r.Repair.AckRequired: // rule R4
		if now < r.LeaseUntil {
			return ""
		}
		return "no lease from " + r.Peer
	case now < r.FreeFrom: // rule R5
		return "the shard was just taken from " + r.Peer + ", which may still hold a lease"
	}
	return ""
}

// turnAway returns what becomes of a request that this replica may not answer, for a reason or because its peer leads
// the shard; nil if it may. A get or a write for the leader is passed on to it, once, so that who cannot reach the
// leader is served all the same (rule R21).
func turnAway(r *State, e *Event, reason string) *Effect {
	stuck := r.NotServingSince > 0 && e.Now-r.NotServingSince > shard.StuckFor
	elsewhere := r.Known && r.View.Leader != r.Self && (e.Kind == WriteAsked || e.Kind == GetAsked)
	reply := shard.Reply{Reason: reason}
	switch {
	case elsewhere && e.Kind == WriteAsked && !e.Relayed && e.Now > e.Deadline:
		// once it is passed on, nobody knows whether it was done
		reply.Refusal, reply.Reason = shard.Overdue, "the deadline had passed before the write was passed on"
	case elsewhere && r.Stream != 0 && !e.Relayed:
		return &Effect{Kind: Relay, Stream: r.Stream, Asked: e}
	case elsewhere && r.Stream == 0 && stuck:
		reply.Refusal, reply.Reason = shard.Stuck,
			r.Peer+", which leads the shard, cannot be reached, and this replica cannot take over: "+reason
	case elsewhere:
		reply.Refusal, reply.Reason = shard.NotLeader, r.Peer+" leads the shard"
	case reason == "":
		return nil
	case stuck:
		reply.Refusal = shard.Stuck
	default:
		reply.Refusal = shard.Unavailable
	}
	return &Effect{Kind: Answer, Caller: e.Caller, Reply: reply}
}

// release answers what is applied: the leader's own writes in LSN order, and whatever waited for them if the replica
// may answer (free). A backup goes by what its leader has applied: its own log may run ahead of it (rule R2).
func release(r State, now int64, free bool, out []Effect) (State, []Effect) {
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
		case w.LSN <= horizon && free:
			out = append(out, Effect{Kind: Answer, Caller: w.Caller, Reply: w.Reply})
		case w.Until > now:
			held = append(held, w)
		default: // nobody waits any more, but the connection's books must balance
			late := shard.Reply{Refusal: shard.Unavailable, Reason: "it could not be confirmed in time"}
			out = append(out, Effect{Kind: Answer, Caller: w.Caller, Reply: late})
		}
	}
	clear(r.Waiting[len(held):])
	r.Waiting = held
	return r, out
}

// finish tells the end of the log to a stream that asked once all of it is stored, asks where the backup's log ends,
// says that the backup has owed a "stored" for too long, and asks for a tick while more of that may be due.
func finish(r State, now int64, out []Effect) (State, []Effect) {
	leads := r.Known && r.View.Leader == r.Self
	if r.Damage != "" && r.Known && r.DamagedIn == 0 {
		r.DamagedIn = r.View.Epoch
		out = append(out, Effect{Kind: Notify, Notice: shard.CopyDamaged, Epoch: r.DamagedIn})
	}
	// nothing rests on this replica: it begins with nothing
	if r.Damage != "" && r.Known && !leads && !r.View.InSync && r.View.Epoch > r.DamagedIn {
		r.Damage, r.DamagedIn, r.Applied, r.Submitted, r.History, r.Window, r.Order, r.Upstream, r.Filling, r.Wiping = "",
			0, 0,
			0, nil, map[shard.RequestID]Done{}, nil, nil, false, r.Wiping+1
		out = append(out, Effect{Kind: Drop}, Effect{Kind: Notify, Notice: shard.CopyRestored, Epoch: r.View.Epoch})
	}
	if r.Asked != nil && r.Damage == "" && r.Applied == r.Submitted && r.Wiping == 0 {
		ends := uint64(0)
		if n := len(r.History); n > 0 {
			ends = r.History[n-1].Epoch
		}
		out = append(out, Effect{Kind: SendPosition, Caller: r.Asked, Epoch: r.View.Epoch, LSN: r.Applied, LastEpoch: ends})
		r.Upstream, r.UpstreamEpoch, r.Asked = r.Asked, r.View.Epoch, nil
	}
	if !leads || r.Restarted {
		return r, out
	}
	owes := len(r.Pending) > 0 && r.PeerStored < r.Next && (r.View.InSync || r.Repair.AckRequired)
	comparing := r.Stream != 0 && !r.Agreed && !r.Repair.Compared
	gap := now - r.LookedAt
	r.LookedAt = now
	switch {
	case !owes:
		r.LateFrom = 0
	case r.LateFrom == 0:
		r.LateFrom = now
	case gap > shard.PauseGap: // this process was paused: the backup's word may have been waiting here
		r.LateFrom = min(now, r.LateFrom+gap)
	case now-r.LateFrom > r.StoredFor:
		out = append(out, Effect{Kind: Notify, Notice: shard.BackupTimedOut, Epoch: r.View.Epoch})
	}
	if comparing && (r.AskedAt == 0 || now-r.AskedAt >= AskEvery) {
		r.AskedAt, r.AskedIn = now, r.View.Epoch
		out = append(out, Effect{Kind: SendAsk, Stream: r.Stream, Epoch: r.View.Epoch})
	}
	if r.Draining && len(r.Pending) == 0 && r.Applied == r.Next && r.Agreed && r.PeerStored >= r.Next {
		out = append(out, Effect{Kind: Notify, Notice: shard.Drained, Epoch: r.View.Epoch})
	}
	untold := r.Agreed && r.AppliedSent < r.Applied
	if !r.Alarm && (untold || owes || comparing || r.Repair.AckRequired || r.Repair.Compared || r.Draining) {
		r.Alarm = true
		out = append(out, Effect{Kind: SetAlarm})
	}
	return r, out
}

// forget drops the request ids from the window that have outlived every deadline.
func forget(r State, now int64) State {
	n := 0
	for n < len(r.Order) && r.Order[n].At < now {
		delete(r.Window, r.Order[n].Request)
		n++
	}
	r.Order = r.Order[n:]
	return r
}

// noteStored takes the disk's word for its log up to LSN. A backup says so to its leader, by the stream on which it was
// compared (rule R15).
func noteStored(r State, e *Event, out []Effect) (State, []Effect) {
	switch {
	case e.Kind == DiskWiped:
		r.Wiping--
	case r.Wiping > 0: // of what was there before
		return r, out
	}
	late := r.Applied < r.Takeover
	r.Applied = min(max(r.Applied, e.LSN), r.Submitted)
	if late {
		r.CompleteSince = e.Now
	}
	if r.View.Leader != r.Self && r.Upstream != nil && !r.Filling && r.Wiping == 0 {
		out = append(out, Effect{Kind: SendStored, Caller: r.Upstream, Epoch: r.View.Epoch, LSN: r.Applied})
	}
	return r, out
}

// noteSick keeps the disk's trouble. A backup tells its leader, which would otherwise sequence writes that nobody can
// store. A replica whose data is damaged serves nothing until it has been filled again.
func noteSick(r State, e *Event, out []Effect) (State, []Effect) {
	if e.Kind == DataDamaged {
		if r.Damage == "" {
			r.DamagedAt = e.Now
			out = append(out, Effect{Kind: Notify, Notice: shard.CopyDamaged, Epoch: r.View.Epoch})
		}
		r.Damage, r.Upstream = e.Reason, nil // nothing is added to what is damaged
		return r, out
	}
	r.SickReason = e.Reason
	switch {
	case r.View.Leader == r.Self || r.Upstream == nil || r.Filling:
	case r.SickReason == "":
		out = append(out, Effect{Kind: SendStored, Caller: r.Upstream, Epoch: r.View.Epoch, LSN: r.Applied})
	default:
		out = append(out, Effect{Kind: SendTrouble, Caller: r.Upstream, Epoch: r.View.Epoch,
			Reply: shard.Reply{Refusal: shard.DiskTrouble, Reason: r.SickReason}})
	}
	return r, out
}
