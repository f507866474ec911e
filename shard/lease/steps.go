package lease

import "tandem/shard"

// noteEvent notes what an event says of the peer, its connection and this node's disk, and a pause of this process.
func noteEvent(p Session, e *Event) Session {
	switch e.Kind {
	case PingReceived:
		if known := e.Store == p.Store && e.Start >= p.PeerStart && !p.Stopped; !known {
			return p
		}
		if e.Start > p.PeerStart || e.At >= p.PeerAt {
			p.PeerUnhealthy, p.PeerLeaves, p.PeerAt = e.Unhealthy, e.Leaving, e.At
		}
		p.Pinged = e.Now
	case LinkBroken: // a broken connection is taken for silence: a leader proposes itself alone at once
		p.LastHeard = min(p.LastHeard, e.Now-p.Timing.Silent-1)
		p.Pinged = min(p.Pinged, e.Now-p.Timing.Silent-1)
		p.PeerLeaves = false // whoever is there when it stands again may be another process, and says it if it leaves
	case DiskChanged:
		p.Disk, p.Shared = e.Disk, p.Shared && e.Disk == shard.DiskDistrusted
	case Ticked:
		// to go on alone would take a whole grace once the pings that waited here have been answered
		if e.Now-p.LastTick > shard.PauseGap {
			if p.Pinged >= p.ResumedAt { // pauses alone may not put a takeover off for ever
				p.ResumedAt = e.Now
			}
			p = hearAnew(p, e.Now)
		}
		p.LastTick = e.Now
	}
	return p
}

// weighDisk decides whether this node takes part with the peer (rule R12). After a pause the peer's pings may be
// waiting here.
func weighDisk(p Session, now int64) Session {
	p.PeerThere = now-max(p.Pinged, p.ResumedAt-p.Timing.Silent/2) <= p.Timing.Silent
	p.Shared = p.Shared || p.Disk != shard.DiskHealthy && p.PeerThere && p.PeerUnhealthy
	p.Unhealthy = shard.Abstains(p.Disk, p.PeerThere && !p.PeerLeaves, p.Shared)
	return p
}

// answerPing promises leases for the shards on whose epoch both agree, but not for one that is proposed to be taken
// from the peer. A leader promises only to a backup that it takes for in sync, a backup to its leader in any case (rule
// R3). A ping of a later start of the peer frees this node from what it promised to the former one. Nothing is promised
// to a peer that would take it for longer than this node keeps to it, less by what clocks may drift apart (rule R25). A
// unhealthy node does not answer, unless the peer is unhealthy, too (rule R12).
func answerPing(p Session, e *Event, out []Effect) (Session, []Effect) {
	if e.Store != p.Store || e.Start < p.PeerStart || p.Stopped {
		return p, out
	}
	if p.Unhealthy && !p.PeerUnhealthy {
		return p, out
	}
	covered := e.Lease > 0 && shard.Covers(p.Timing.Grace, e.Lease)
	switch {
	case covered:
		p.Uncovered = 0
	case p.Uncovered != e.Lease:
		p.Uncovered = e.Lease
		out = append(out, Effect{Kind: TooLong, Lease: e.Lease})
	}
	restarted := e.Start > p.PeerStart && p.PeerStart > 0
	p.PeerStart = e.Start
	granted := make([]Claim, 0, len(e.Claims))
	for i := range p.Shares {
		s := &p.Shares[i]
		switch {
		case !restarted || !s.Known:
		case s.View.Leader == p.Peer:
			s.LeaderRestarted = s.View.InSync
		default:
			s.Answered = e.Now - p.Timing.Grace
		}
		for _, v := range e.Claims {
			leads := s.View.Leader == p.Self
			agreed := s.Known && v.Shard == s.Shard && v.Epoch == s.View.Epoch && s.Proposed.Epoch == 0 && (p.Unhealthy ||
				!e.Unhealthy || !s.View.InSync)
			if covered && agreed && !s.LeaderRestarted && !s.Damaged && (!leads || s.View.InSync) {
				s.Answered = e.Now
				granted = append(granted, v)
			}
		}
	}
	return p, append(out, Effect{Kind: SendPong, At: e.At, Claims: granted})
}

// noteLastEntries takes from a leader's ping where its log ends, if it has restarted, as a backup that has restarted
// too must know: all that was ever acknowledged in the view is in the leader's log, so one that ends before it is not
// what this node once said it was (rule R24).
func noteLastEntries(p Session, e *Event, out []Effect) (Session, []Effect) {
	if e.Store != p.Store || e.Start != p.PeerStart || p.Stopped {
		return p, out
	}
	for i := range p.Shares {
		s := &p.Shares[i]
		for _, end := range e.LastEntries {
			if end.Shard != s.Shard || end.Epoch != s.View.Epoch || s.View.Leader != p.Peer || !s.Unverified ||
				s.LeaderLastKnown {
				continue
			}
			s.LeaderLastKnown, s.Behind = true, end.At.Epoch > s.Last.Epoch || end.At.Epoch == s.Last.Epoch &&
				end.At.LSN > s.Last.LSN
			if s.Behind {
				out = append(out, Effect{Kind: LogBehind, Shard: s.Shard, Epoch: s.View.Epoch,
					LastEntry: LastEntry{s.Shard, s.View.Epoch, end.At}})
			}
		}
	}
	return p, out
}

// takePong takes the leases that the peer promised: they run from the sending of the ping (Gray and Cheriton, SOSP
// 1989).
func takePong(p Session, e *Event, out []Effect) (Session, []Effect) {
	if e.Store != p.Store || p.Stopped {
		return p, out
	}
	p.LastHeard = max(p.LastHeard, e.At)
	for i := range p.Shares {
		s := &p.Shares[i]
		for _, v := range e.Claims {
			if !s.Known || v.Shard != s.Shard || v.Epoch != s.View.Epoch {
				continue
			}
			s.Heard = max(s.Heard, e.At)
			out = append(out, Effect{Kind: TellLease, Shard: s.Shard, Epoch: v.Epoch, Until: e.At + p.Timing.Lease})
			if s.Steady == 0 && s.View.InSync {
				s.Steady = e.Now
			}
		}
	}
	return p, out
}

// takeViews learns later views. Whoever led before this process began, or was told of no other view since, has
// restarted: it may not serve in the view that it remembers (rules R8, R9).
func takeViews(p Session, e *Event, out []Effect) (Session, []Effect) {
	if e.Store != p.Store { // nothing that the old store's process said is true of the new one's
		p.Store, p.PeerStart, p.PeerAt = e.Store, 0, 0
		p.PeerUnhealthy, p.PeerLeaves = false, false
		p.Pinged, p.Uncovered = 0, 0
	}
	for i := range p.Shares {
		s := &p.Shares[i]
		v := e.Views[s.Shard]
		if s.Known && v.Epoch <= s.View.Epoch {
			continue
		}
		s.Restarted = v.Leader == p.Self && (!s.Known || s.Restarted && v.InSync)
		s.Unverified = v.Backup == p.Self && v.InSync && (!s.Known || s.Unverified)
		s.View, s.Known, s.Since = v, true, e.Now
		s.LeaderRestarted, s.AckRequired = false, false
		s.Proposed, s.Drain, s.Steady = shard.View{}, 0, 0
		s.LeaderLastKnown, s.Behind = false, false
		out = append(out, Effect{Kind: TellView, Shard: s.Shard, View: v, FreeFrom: s.Answered + p.Timing.Grace,
			Restarted: s.Restarted})
	}
	return p, out
}

// noteWant takes what a replica here asks for.
func noteWant(p Session, e *Event, out []Effect) (Session, []Effect) {
	for i := range p.Shares {
		s := &p.Shares[i]
		if s.Shard != e.Shard {
			continue
		}
		s.Unverified = s.Unverified && e.Notice != shard.LogsCompared
		if e.Notice == shard.CopyDamaged || e.Notice == shard.CopyRestored {
			s.Damaged, s.DamagedIn = e.Notice == shard.CopyDamaged, e.Epoch
		}
		if e.Epoch != s.View.Epoch || s.View.Leader != p.Self || s.Restarted {
			continue
		}
		next := shard.View{Epoch: s.View.Epoch + 1, Leader: p.Self, Backup: p.Peer, InSync: true}
		switch {
		case e.Notice == shard.AckRequired:
			s.AckRequired, s.Heard = true, max(s.Heard, e.Now-p.Timing.Silent/2)
		case e.Notice == shard.BackupTimedOut && !abstains(&p, s) && (s.View.InSync || s.AckRequired) &&
			(p.Unhealthy || !p.PeerThere || e.Now-p.TurnedAt > p.Timing.Silent/2) && (s.Proposed.Epoch == 0 ||
			s.Proposed.InSync):
			next.InSync = false
			s.Proposed, s.AskedAt = next, 0
		case e.Notice == shard.CaughtUp && s.AckRequired && s.Proposed.Epoch == 0 &&
			(!p.Unhealthy || e.Now-p.TurnedAt > 2*p.Timing.FreshFor): // it would take over by silence
			out = append(out, Effect{Kind: Propose, Proposals: []shard.Proposal{{Shard: s.Shard, Epoch: s.View.Epoch,
				View: next}}})
		case e.Notice == shard.Drained && !p.Unhealthy && s.Drain > 0 && s.Proposed.Epoch == 0:
			next.Leader, next.Backup = p.Peer, p.Self
			s.Proposed, s.AskedAt = next, 0
		}
	}
	return p, out
}

// abstains tells whether this node keeps from proposing another view of a shard because of its disk: while that is slow
// nothing could come of it, and until it is trusted again the peer may take over, if it is in sync (rule R12).
func abstains(p *Session, s *Share) bool {
	return p.Disk == shard.DiskSlow || p.Unhealthy && s.View.InSync
}

// hearAnew counts the peer's silence anew, for the most part: its answers may still be on their way.
func hearAnew(p Session, now int64) Session {
	p.LastHeard = max(p.LastHeard, now-p.Timing.Silent/2)
	for i := range p.Shares {
		p.Shares[i].Heard = max(p.Shares[i].Heard, now-p.Timing.Silent/2)
	}
	return p
}

// watch proposes what silence and time call for. A leader proposes itself alone when its backup no longer promises, a
// restarted one what it needs to serve again. A backup proposes itself when its promise has run out, but not at once
// after a pause, since the leader's pings may be waiting here, nor while it is leaving. One that has restarted does not
// while its leader is there and has not compared the logs, nor if its log is behind the leader's (rule R24). A damaged
// backup that is not in sync proposes a new epoch, so that no proposal of this one can be accepted once it has begun
// with nothing. And watch hands over what placement wants elsewhere.
func watch(p Session, now int64, out []Effect) (Session, []Effect) {
	if p.Stopped {
		return p, out
	}
	for i := range p.Shares {
		s := &p.Shares[i]
		if abstains(&p, s) {
			continue
		}
		leads := s.Known && s.View.Leader == p.Self
		wanted := s.View.InSync || s.AckRequired
		silent := now-max(s.Heard, s.Since) > p.Timing.Silent || min(now-p.LastHeard, now-s.Since) > p.Timing.Silent
		due := false
		switch {
		case s.Known && s.Damaged && !leads && !s.View.InSync && s.DamagedIn == s.View.Epoch && s.Proposed.Epoch == 0:
			// what it said of its log is void
			s.Proposed, s.AskedAt = shard.View{Epoch: s.View.Epoch + 1, Leader: p.Peer, Backup: p.Self, InSync: false}, 0
		case !s.Known || s.Damaged || s.Proposed.Epoch > 0 && !s.Proposed.InSync:
		case leads && s.Restarted:
			due = !s.View.InSync || now-s.Since > p.Timing.FreshFor
		case leads:
			due = wanted && silent
		case s.View.InSync && !p.Leaving:
			// in a view that was just learnt the leader may have had no reason yet to ask for a promise
			due = s.LeaderRestarted || now > max(max(s.Answered, s.Since)+p.Timing.Grace, p.ResumedAt+p.Timing.Silent/4)
			// to be asked where its log ends
			there := now-p.Pinged <= p.Timing.Grace && now-s.Since <= p.Timing.FreshFor
			if s.Unverified {
				due = due && !s.Behind && (s.LeaderLastKnown || !there)
			}
		}
		if due {
			s.Proposed, s.AskedAt = shard.View{Epoch: s.View.Epoch + 1, Leader: p.Self, Backup: p.Peer, InSync: false}, 0
		}
		elsewhere := s.Steady > 0 && !p.PeerLeaves && (p.Leaving || !s.Preferred && now-s.Steady > p.Timing.SteadyFor)
		switch {
		case !leads || !s.View.InSync || s.Restarted || s.Proposed.Epoch > 0:
		case s.Drain == 0 && elsewhere:
			s.Drain = now
			out = append(out, Effect{Kind: TellDrain, Shard: s.Shard, Epoch: s.View.Epoch, Until: now + p.Timing.DrainFor})
		case s.Drain > 0 && now-s.Drain > p.Timing.DrainFor:
			s.Drain, s.Steady = 0, now
			out = append(out, Effect{Kind: TellDrain, Shard: s.Shard, Epoch: s.View.Epoch})
		}
	}
	return p, out
}

// ping asks the peer for leases: of every shard that is led here, so that a leader has one when it sets the barrier,
// and of those that are backed in sync. An unhealthy node asks for none, unless the peer is unhealthy, too, and says
// how it is. A leader that has restarted says where its logs end. Pings go by the beat of the clock, so that those to
// all neighbours go together.
func ping(p Session, now int64, out []Effect) (Session, []Effect) {
	if p.Stopped || now/p.Timing.PingEvery == p.LastPing/p.Timing.PingEvery {
		return p, out
	}
	p.LastPing = now
	claims, last := make([]Claim, 0, len(p.Shares)), []LastEntry(nil)
	for i := range p.Shares {
		s := &p.Shares[i]
		if s.Known && s.Restarted && s.View.InSync && !s.Damaged {
			last = append(last, LastEntry{s.Shard, s.View.Epoch, s.Last})
		}
		if (!p.Unhealthy || p.PeerUnhealthy || !s.View.InSync) && s.Known && s.Proposed.Epoch == 0 && !s.Restarted &&
			!s.Damaged && (s.View.InSync || s.View.Leader == p.Self) {
			claims = append(claims, Claim{s.Shard, s.View.Epoch})
		}
	}
	return p, append(out, Effect{Kind: SendPing, Start: p.Start, At: now, Lease: p.Timing.Lease, Unhealthy: p.Unhealthy,
		Leaving: p.Leaving, Claims: claims, LastEntries: last})
}

// propose repeats every open proposal until its outcome is learnt (rule R6), all shards in one. A backup that has heard
// since that its log is behind repeats its own no more. It still promises nothing to others, as the proposal may have
// been granted.
func propose(p Session, now int64, out []Effect) (Session, []Effect) {
	if p.Stopped {
		return p, out
	}
	var list []shard.Proposal
	for i := range p.Shares {
		s := &p.Shares[i]
		if !abstains(&p, s) && s.Proposed.Epoch > 0 && !s.Behind && (s.AskedAt == 0 || now-s.AskedAt >= p.Timing.AskEvery) {
			s.AskedAt = now
			list = append(list, shard.Proposal{Shard: s.Shard, Epoch: s.View.Epoch, View: s.Proposed})
		}
	}
	if len(list) > 0 {
		out = append(out, Effect{Kind: Propose, Proposals: list})
	}
	return p, out
}

// askAgain makes every open proposal due.
func askAgain(p Session) Session {
	for i := range p.Shares {
		p.Shares[i].AskedAt = 0
	}
	return p
}
