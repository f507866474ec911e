package shard

// newest returns the newest sequenced state of the user that a write is about, pending writes first and then RocksDB, with an empty
// id if there is no such user; at is the LSN of the pending write that it is taken from, 0 if from RocksDB.
func newest(r Replica, e *Event) (current Record, at uint64) {
	for i := len(r.Pending) - 1; i >= 0; i-- {
		n := &r.Pending[i].Entry
		if n.ID != e.Change.ID {
			continue
		}
		if n.Result == Deleted {
			return Record{}, n.LSN
		}
		return Record{n.ID, n.Name, n.Email, n.Group, n.Epoch, n.LSN}, n.LSN
	}
	if !e.Exists {
		return Record{}, 0
	}
	return e.Current, 0
}

// decide says what a write does to the current record (an empty id: there is none): the result, and the record after it, or for a
// refused write the record that refuses it. Position is not set yet.
func decide(c *Change, current Record) (Result, Record) {
	exists := current.ID != ""
	switch {
	case c.Op == Create && exists:
		return Exists, current
	case c.Op != Create && !exists:
		return Missing, Record{ID: c.ID}
	case c.Op == Create:
		return Created, Record{ID: c.ID, Name: c.Name, Email: c.Email, Group: c.Group}
	}
	matches := len(c.Match) == 0
	for _, p := range c.Match {
		matches = matches || p == Position{current.Epoch, current.LSN}
	}
	switch {
	case !matches:
		return Mismatch, current
	case c.Op == Delete:
		return Deleted, Record{ID: c.ID}
	}
	if c.Fields&HasName != 0 {
		current.Name = c.Name
	}
	if c.Fields&HasEmail != 0 {
		current.Email = c.Email
	}
	if c.Fields&HasGroup != 0 {
		current.Group = c.Group
	}
	return Updated, current
}

// sequence gives a change the next LSN, or refuses it. A write that was done before is answered as it was then (rule R18); a
// refusal that rests on a pending write waits until that one is committed.
func sequence(r Replica, e *Event, result Result, record Record, at uint64, out []Effect) (Replica, []Effect) {
	done, again := r.Window[e.Change.Request]
	refused := Reply{Touched: 1}
	switch {
	case r.View.Leader != r.Self:
		refused.Refusal, refused.Reason = NotLeader, r.Peer+" leads the shard"
	case again:
		r.Waiting = append(r.Waiting, Waiting{done.LSN, e.Now + WaitFor, e.Caller, done.Reply})
		return r, out
	case e.Now > e.Deadline:
		refused.Refusal, refused.Reason = Overdue, "the deadline had passed before the write was sequenced"
	case result >= Missing:
		r.Waiting = append(r.Waiting, Waiting{at, e.Now + WaitFor, e.Caller, Reply{Result: result, Record: record, Touched: 1}})
		return r, out
	case r.Sick != "":
		refused.Refusal, refused.Reason = DiskTrouble, r.Sick
	case !r.Agreed || r.Trouble != "":
		refused.Refusal, refused.Reason = Unavailable, r.Trouble
	case len(r.Pending) >= MaxPending:
		refused.Refusal, refused.Reason = Busy, "too many writes of the shard are pending"
	}
	if refused.Refusal != 0 {
		return r, append(out, Effect{Kind: Answer, Caller: e.Caller, Reply: refused})
	}
	r.Next++
	record.Epoch, record.LSN = r.View.Epoch, r.Next
	entry := Entry{e.Change.Request, result, record.ID, record.Name, record.Email, record.Group, record.Epoch, record.LSN}
	reply := Reply{Result: result, Record: record, Touched: 2}
	r.Pending = append(r.Pending, Pending{entry, e.Caller})
	r.Window[entry.Request] = Done{entry.LSN, reply}
	r.Order = append(r.Order, Expiry{e.Now + RememberFor, entry.Request})
	return r, out
}

// send passes to the backup what is sequenced and was not sent on this stream.
func send(r Replica, out []Effect) (Replica, []Effect) {
	if !r.Agreed || r.Sent >= r.Next {
		return r, out
	}
	entries := make([]Entry, 0, r.Next-r.Sent)
	for i := range r.Pending {
		if r.Pending[i].Entry.LSN > r.Sent {
			entries = append(entries, r.Pending[i].Entry)
		}
	}
	out = append(out, Effect{Kind: SendAppend, Stream: r.Stream, Epoch: r.View.Epoch, Entries: entries, Applied: r.Applied})
	r.Sent, r.Told = r.Next, r.Applied
	return r, out
}

// hand gives the leader's disk what the backup has stored: backup first.
func hand(r Replica, out []Effect) (Replica, []Effect) {
	until := min(r.PeerStored, r.Next)
	if !r.Agreed || until <= r.Handed {
		return r, out
	}
	entries := make([]Entry, 0, until-r.Handed)
	for i := range r.Pending {
		if n := &r.Pending[i].Entry; n.LSN > r.Handed && n.LSN <= until {
			entries = append(entries, *n)
		}
	}
	r.Handed = until
	return r, append(out, Effect{Kind: Persist, Entries: entries})
}

// noteStream begins a stream with the question where the backup's log ends, or notes that there is none. Pending writes stay: a
// sequenced write is never abandoned.
func noteStream(r Replica, e *Event, out []Effect) (Replica, []Effect) {
	if r.View.Leader != r.Self {
		return r, out
	}
	r.Agreed, r.Catch, r.Stream, r.Told = false, 0, 0, 0
	r.Trouble = "the backup " + r.Peer + " cannot be reached"
	if e.Kind == StreamDown {
		return r, out
	}
	r.Stream, r.Trouble = e.Stream, "the logs of leader and backup "+r.Peer+" are being compared"
	return r, append(out, Effect{Kind: SendAsk, Stream: r.Stream, Epoch: r.View.Epoch})
}

// compareLogs learns where the backup's log ends. It is the longer one when this leader died before it applied what the backup
// had stored: those writes are fetched. It is the shorter one only when the backup has lost stored writes: they are fed from the WAL.
func compareLogs(r Replica, e *Event, out []Effect) (Replica, []Effect) {
	switch {
	case e.Stream != r.Stream:
	case e.LSN > r.Next:
		r.Catch, r.Trouble = e.LSN, "the leader is fetching writes that only the backup "+r.Peer+" has"
		out = append(out, Effect{Kind: SendFetch, Stream: r.Stream, Epoch: r.View.Epoch, LSN: r.Handed + 1})
	case e.LSN < r.Applied:
		r.Trouble = "the backup " + r.Peer + " is replaying writes that it lacks"
		out = append(out, Effect{Kind: Feed, Stream: r.Stream, Epoch: r.View.Epoch, LSN: e.LSN + 1, Applied: r.Applied})
	default:
		r.Agreed, r.Trouble, r.PeerStored, r.Sent = true, "", e.LSN, e.LSN
	}
	return r, out
}

// notePeerStored takes the backup's word for its log up to LSN; a backup that was fed is level once it has what is applied here.
func notePeerStored(r Replica, e *Event) Replica {
	if e.Stream != r.Stream {
		return r
	}
	r.PeerStored = max(r.PeerStored, e.LSN)
	if r.Agreed {
		r.Trouble = ""
	}
	if !r.Agreed && r.Catch == 0 && e.LSN >= r.Applied {
		r.Agreed, r.Trouble, r.PeerStored, r.Sent = true, "", e.LSN, e.LSN
	}
	return r
}

// noteTrouble keeps why the shard cannot be written. A stream with a gap begins anew.
func noteTrouble(r Replica, e *Event, out []Effect) (Replica, []Effect) {
	if e.Stream != r.Stream {
		return r, out
	}
	r.Trouble = "the backup " + r.Peer + ": " + e.Reason
	if e.Kind == FeedFailed {
		r.Trouble = e.Reason
	}
	if !e.Broken {
		return r, out
	}
	r.Agreed = false
	return r, append(out, Effect{Kind: SendAsk, Stream: r.Stream, Epoch: r.View.Epoch})
}

// tell notes the applied LSN to the backup, whose counts and lists wait for it.
func tell(r Replica, out []Effect) (Replica, []Effect) {
	r.Alarm = false
	if !r.Agreed || r.Told >= r.Applied {
		return r, out
	}
	r.Told = r.Applied
	return r, append(out, Effect{Kind: SendApplied, Stream: r.Stream, Epoch: r.View.Epoch, LSN: r.Applied})
}
