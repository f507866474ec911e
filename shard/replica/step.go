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
	case DiskRefuses, DataDamaged:
		r, out = noteDisk(r, e, out)
	case ViewLearnt:
		r, out = learn(r, e, out)
	case LeaseCame, DrainAsked, DrainOff, NodeStopping:
		r = noteTerms(r, e)
	case StreamUp, StreamDown:
		r = noteStream(r, e)
	case PeerPosition:
		r, out = compareLogs(r, e, out)
	case PeerStored, PeerStreamError:
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
	case r.Damage.Reason != "":
		return "this node's data of the shard is damaged: " + r.Damage.Reason
	case !leads && !r.View.InSync:
		return "this replica is not in sync"
	case r.Restarted:
		return "this node restarted as the leader; the backup " + r.Peer + " takes over"
	case leads && r.Leading.Draining:
		return "the leadership is being handed to " + r.Peer
	case leads && r.Log.Applied < r.Leading.Takeover:
		return "the new leader is storing what it was sent as backup"
	case !leads && !r.Backing.Compared && now < r.LeaseUntil: // it may lack what it once said to be stored (rule R24)
		return "this node restarted, and the leader " + r.Peer + " has not compared the logs yet"
	case r.View.InSync || r.Repair.AckRequired: // rule R4
		if now < r.LeaseUntil {
			return ""
		}
		return "no lease from " + r.Peer
	case now < r.FreeFrom: // rule R5
		return "this node has just begun to lead alone, and " + r.Peer + " may still hold a lease"
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
	case elsewhere && r.Stream.Number != 0 && !e.Relayed:
		return &Effect{Kind: Relay, Stream: r.Stream.Number, Asked: e}
	case elsewhere && r.Stream.Number == 0 && stuck:
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
	horizon := r.Backing.LeaderApplied
	if r.View.Leader == r.Self {
		horizon = r.Log.Applied
	}
	n := 0
	for n < len(r.Leading.Pending) && r.Leading.Pending[n].Entry.LSN <= r.Log.Applied {
		p := &r.Leading.Pending[n]
		out = append(out, Effect{Kind: Answer, Caller: p.Caller, Reply: r.Log.Window[p.Entry.Request].Reply})
		n++
	}
	clear(r.Leading.Pending[:n])
	r.Leading.Pending = r.Leading.Pending[n:]
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
	if r.Damage.Reason != "" && r.Known && r.Damage.Epoch == 0 {
		r.Damage.Epoch = r.View.Epoch
		out = append(out, Effect{Kind: Notify, Notice: shard.CopyDamaged, Epoch: r.Damage.Epoch})
	}
	// nothing rests on this replica: it begins with nothing
	if r.Damage.Reason != "" && r.Known && !leads && !r.View.InSync && r.View.Epoch > r.Damage.Epoch {
		r.Damage = Damage{At: r.Damage.At}
		r.Log = Log{DiskError: r.Log.DiskError, Wiping: r.Log.Wiping + 1, Window: map[shard.RequestID]Done{}}
		r.Backing.Upstream, r.Backing.Filling = nil, false
		out = append(out, Effect{Kind: Drop}, Effect{Kind: Notify, Notice: shard.CopyRestored, Epoch: r.View.Epoch})
	}
	if r.Backing.Asked != nil && r.Damage.Reason == "" && r.Log.Applied == r.Log.Submitted && r.Log.Wiping == 0 {
		ends := uint64(0)
		if n := len(r.Log.History); n > 0 {
			ends = r.Log.History[n-1].Epoch
		}
		out = append(out, Effect{Kind: SendPosition, Caller: r.Backing.Asked, Epoch: r.View.Epoch, LSN: r.Log.Applied,
			LastEpoch: ends})
		r.Backing.Upstream, r.Backing.UpstreamEpoch, r.Backing.Asked = r.Backing.Asked, r.View.Epoch, nil
	}
	if !leads || r.Restarted {
		return r, out
	}
	owes := len(r.Leading.Pending) > 0 && r.Stream.PeerStored < r.Leading.Next && (r.View.InSync || r.Repair.AckRequired)
	comparing := r.Stream.Number != 0 && !r.Stream.Agreed && !r.Repair.Compared
	gap := now - r.Leading.LookedAt
	r.Leading.LookedAt = now
	switch {
	case !owes:
		r.Leading.LateFrom = 0
	case r.Leading.LateFrom == 0:
		r.Leading.LateFrom = now
	case gap > shard.PauseGap: // this process was paused: the backup's word may have been waiting here
		r.Leading.LateFrom = min(now, r.Leading.LateFrom+gap)
	case now-r.Leading.LateFrom > r.Leading.StoredFor:
		out = append(out, Effect{Kind: Notify, Notice: shard.BackupTimedOut, Epoch: r.View.Epoch})
	}
	if comparing && (r.Stream.AskedAt == 0 || now-r.Stream.AskedAt >= AskEvery) {
		r.Stream.AskedAt, r.Stream.AskedIn = now, r.View.Epoch
		out = append(out, Effect{Kind: SendAsk, Stream: r.Stream.Number, Epoch: r.View.Epoch})
	}
	if r.Leading.Draining && len(r.Leading.Pending) == 0 && r.Log.Applied == r.Leading.Next && r.Stream.Agreed &&
		r.Stream.PeerStored >= r.Leading.Next {
		out = append(out, Effect{Kind: Notify, Notice: shard.Drained, Epoch: r.View.Epoch})
	}
	untold := r.Stream.Agreed && r.Stream.AppliedSent < r.Log.Applied
	if !r.Leading.Alarm && (untold || owes || comparing || r.Repair.AckRequired || r.Repair.Compared ||
		r.Leading.Draining) {
		r.Leading.Alarm = true
		out = append(out, Effect{Kind: SetAlarm})
	}
	return r, out
}

// forget drops the request ids from the window that have outlived every deadline.
func forget(r State, now int64) State {
	n := 0
	for n < len(r.Log.Order) && r.Log.Order[n].At < now {
		delete(r.Log.Window, r.Log.Order[n].Request)
		n++
	}
	r.Log.Order = r.Log.Order[n:]
	return r
}

// noteStored takes the disk's word for its log up to LSN. A backup says so to its leader, by the stream on which it was
// compared (rule R15).
func noteStored(r State, e *Event, out []Effect) (State, []Effect) {
	switch {
	case e.Kind == DiskWiped:
		r.Log.Wiping--
	case r.Log.Wiping > 0: // of what was there before
		return r, out
	}
	late := r.Log.Applied < r.Leading.Takeover
	r.Log.Applied = min(max(r.Log.Applied, e.LSN), r.Log.Submitted)
	if late {
		r.CompleteSince = e.Now
	}
	if r.View.Leader != r.Self && r.Backing.Upstream != nil && !r.Backing.Filling && r.Log.Wiping == 0 {
		out = append(out, Effect{Kind: SendStored, Caller: r.Backing.Upstream, Epoch: r.View.Epoch, LSN: r.Log.Applied})
	}
	return r, out
}

// noteDisk keeps the disk's error. A backup tells its leader, which would otherwise sequence writes that nobody can
// store. A replica whose data is damaged serves nothing until it has been filled again.
func noteDisk(r State, e *Event, out []Effect) (State, []Effect) {
	if e.Kind == DataDamaged {
		if r.Damage.Reason == "" {
			r.Damage.At = e.Now
			out = append(out, Effect{Kind: Notify, Notice: shard.CopyDamaged, Epoch: r.View.Epoch})
		}
		r.Damage.Reason, r.Backing.Upstream = e.Reason, nil // nothing is added to what is damaged
		return r, out
	}
	r.Log.DiskError = e.Reason
	switch {
	case r.View.Leader == r.Self || r.Backing.Upstream == nil || r.Backing.Filling:
	case r.Log.DiskError == "":
		out = append(out, Effect{Kind: SendStored, Caller: r.Backing.Upstream, Epoch: r.View.Epoch, LSN: r.Log.Applied})
	default:
		out = append(out, Effect{Kind: SendStreamError, Caller: r.Backing.Upstream, Epoch: r.View.Epoch,
			Reply: shard.Reply{Refusal: shard.DiskError, Reason: r.Log.DiskError}})
	}
	return r, out
}
