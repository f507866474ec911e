package replica

import "tandem/shard"

// newest returns the newest sequenced state of the user that a write is about, pending writes first and then RocksDB,
// with an empty id if there is no such user; at is the LSN of the pending write that it is taken from, 0 if from
// RocksDB.
func newest(r *State, e *Event) (current shard.Record, at uint64) {
	for i := len(r.Leading.Pending) - 1; i >= 0; i-- {
		n := &r.Leading.Pending[i].Entry
		if n.ID != e.Change.ID {
			continue
		}
		if n.Result == shard.Deleted {
			return shard.Record{}, n.LSN
		}
		return shard.Record{ID: n.ID, Name: n.Name, Email: n.Email, Group: n.Group, Epoch: n.Epoch, LSN: n.LSN}, n.LSN
	}
	if !e.Exists {
		return shard.Record{}, 0
	}
	return e.Current, 0
}

// decide says what a write does to the current record (an empty id: there is none): the result, and the record after
// it, or for a refused write the record that refuses it. Position is not set yet. A precondition that is unmet comes
// first (RFC 9110, section 13.2.1).
func decide(c *shard.Change, current shard.Record, unmet shard.Unmet) (shard.Result, shard.Record) {
	exists := current.ID != ""
	switch {
	case unmet != 0:
		return shard.Mismatch, current
	case c.Op == shard.Create && exists:
		return shard.Exists, current
	case c.Op != shard.Create && !exists:
		return shard.Missing, shard.Record{ID: c.ID}
	case c.Op == shard.Delete:
		return shard.Deleted, shard.Record{ID: c.ID}
	}
	next := current
	if c.Op == shard.Create {
		next = shard.Record{ID: c.ID, Name: c.Name, Email: c.Email, Group: c.Group}
	}
	if c.Op == shard.Update && c.Fields&shard.HasName != 0 {
		next.Name = c.Name
	}
	if c.Op == shard.Update && c.Fields&shard.HasEmail != 0 {
		next.Email = c.Email
	}
	if c.Op == shard.Update && c.Fields&shard.HasGroup != 0 {
		next.Group = c.Group
	}
	if len(next.Name)+len(next.Email) > shard.MaxText { // an update brings a part of it only, so nobody else can tell
		return shard.Oversized, current
	}
	return shard.Created + c.Op - shard.Create, next
}

// sequence gives a change the next LSN, or refuses it. A write that was done before is answered as it was then (rule
// R18); a refusal that rests on a pending write waits until that one is committed. away is what becomes of a write that
// this replica may not decide, or nil.
func sequence(r State, e *Event, away *Effect, result shard.Result, record shard.Record, at uint64,
	out []Effect) (State,
	[]Effect) {
	done, again := r.Log.Window[e.Change.Request]
	refused := shard.Reply{Touched: 1}
	switch {
	case away != nil:
		return r, append(out, *away)
	case again:
		r.Waiting = append(r.Waiting, Waiting{done.LSN, e.Now + WaitFor, e.Caller, done.Reply})
		return r, out
	case e.Now > e.Deadline:
		refused.Refusal, refused.Reason = shard.Overdue, "the deadline had passed before the write was sequenced"
	case result >= shard.Missing:
		r.Waiting = append(r.Waiting, Waiting{at, e.Now + WaitFor, e.Caller,
			shard.Reply{Result: result, Record: record, Touched: 1}})
		return r, out
	case r.Log.DiskError != "":
		refused.Refusal, refused.Reason = shard.DiskError, r.Log.DiskError
	case r.Leading.BackupError != "":
		refused.Refusal, refused.Reason = shard.DiskError, r.Leading.BackupError
	case len(r.Leading.Pending) >= MaxPending:
		refused.Refusal, refused.Reason = shard.Busy, "too many writes of the shard are pending"
	}
	if refused.Refusal != 0 {
		return r, append(out, Effect{Kind: Answer, Caller: e.Caller, Reply: refused})
	}
	r.Leading.Next++
	record.Epoch, record.LSN = r.View.Epoch, r.Leading.Next
	entry := shard.Entry{Request: e.Change.Request, Result: result, ID: record.ID, Name: record.Name,
		Email: record.Email, Group: record.Group, Epoch: record.Epoch,
		LSN: record.LSN, Wall: e.Wall}
	reply := shard.Reply{Result: result, Record: record, Touched: 2}
	if !r.View.InSync && !r.Repair.AckRequired {
		reply.Touched = 1
	}
	r.Leading.Pending = append(r.Leading.Pending, Pending{entry, e.Caller})
	r.Log.Window[entry.Request] = Done{entry.LSN, reply, entry.Wall}
	r.Log.Order = append(r.Log.Order, Expiry{e.Now + shard.RememberFor, entry.Request})
	return r, out
}

// send passes to the backup what is sequenced and was not sent on this stream.
func send(r State, out []Effect) (State, []Effect) {
	if !r.Stream.Agreed || r.Stream.Sent >= r.Leading.Next {
		return r, out
	}
	entries := make([]shard.Entry, 0, r.Leading.Next-r.Stream.Sent)
	for i := range r.Leading.Pending {
		if r.Leading.Pending[i].Entry.LSN > r.Stream.Sent {
			entries = append(entries, r.Leading.Pending[i].Entry)
		}
	}
	out = append(out, Effect{Kind: SendAppend, Stream: r.Stream.Number, Epoch: r.View.Epoch, Entries: entries,
		Applied: r.Log.Applied})
	r.Stream.Sent, r.Stream.AppliedSent = r.Leading.Next, r.Log.Applied
	return r, out
}

// submit gives the leader's disk what may be applied: while the backup is in sync what it has stored (backup first),
// from the barrier on that and what was sequenced before the barrier (rule R7), and alone everything, once the former
// promises have run out (rule R5).
func submit(r State, now int64, out []Effect) (State, []Effect) {
	stored := uint64(0)
	if r.Stream.Agreed {
		stored = r.Stream.PeerStored
	}
	until := uint64(0)
	switch {
	case !r.Known || r.View.Leader != r.Self || r.Restarted:
	case r.View.InSync:
		until = min(stored, r.Leading.Next)
	case r.Repair.AckRequired:
		until = min(max(stored, r.Repair.Barrier), r.Leading.Next)
	case now >= r.FreeFrom && r.Log.Applied >= r.Leading.Takeover:
		until = r.Leading.Next
	}
	if until <= r.Log.Submitted {
		return r, out
	}
	entries := make([]shard.Entry, 0, until-r.Log.Submitted)
	for i := range r.Leading.Pending {
		n := &r.Leading.Pending[i].Entry
		if n.LSN <= r.Log.Submitted || n.LSN > until {
			continue
		}
		entries = append(entries, *n)
		if h := len(r.Log.History); h == 0 || r.Log.History[h-1].Epoch < n.Epoch {
			r.Log.History = append(r.Log.History, shard.Position{Epoch: n.Epoch, LSN: n.LSN})
		}
	}
	r.Log.Submitted = until
	return r, append(out, Effect{Kind: Persist, Entries: entries})
}

// noteStream begins or ends a stream to the peer. Pending writes stay: a sequenced write is never abandoned. A leader
// that requires acks stays so: its proposal may have been accepted without its knowing (rule R7).
func noteStream(r State, e *Event) State {
	r.Stream = Stream{Number: e.Stream, AskedIn: r.Stream.AskedIn, Sent: r.Stream.Sent, PeerStored: r.Stream.PeerStored}
	r.Repair = Repair{AckRequired: r.Repair.AckRequired, Barrier: r.Repair.Barrier}
	if e.Kind == StreamDown {
		r.Stream.Number = 0
	}
	return r
}

// notePeer takes the backup's word for its log up to LSN, or for what keeps it from storing. A word of an epoch before
// the question where its log ends does not count (rule R15). A stream with a gap begins anew.
func notePeer(r State, e *Event, out []Effect) (State, []Effect) {
	switch {
	case e.Stream != r.Stream.Number || r.View.Leader != r.Self || e.Epoch < r.Stream.AskedIn:
	case e.Kind == PeerStreamError && e.Broken:
		out = append(out, Effect{Kind: BreakStream, Stream: r.Stream.Number})
	case e.Kind == PeerStreamError:
		r.Leading.BackupError = "the backup " + r.Peer + ": " + e.Reason
	case r.Stream.Agreed || r.Repair.Compared:
		r.Leading.BackupError, r.Repair.Owed = "", false
		if e.LSN > r.Stream.PeerStored {
			r.Stream.PeerStored, r.Leading.LateFrom, r.Repair.MovedAt = e.LSN, 0, e.Now
		}
	}
	return r, out
}

// tell notes the applied LSN to the backup, whose counts and lists wait for it.
func tell(r State, out []Effect) (State, []Effect) {
	r.Leading.Alarm = false
	if !r.Stream.Agreed || r.Stream.AppliedSent >= r.Log.Applied {
		return r, out
	}
	r.Stream.AppliedSent = r.Log.Applied
	return r, append(out, Effect{Kind: SendApplied, Stream: r.Stream.Number, Epoch: r.View.Epoch, LSN: r.Log.Applied})
}
