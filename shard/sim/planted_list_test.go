//go:build planted

package sim

// plantedBugs is the table of bugs, by rule. The simulator finds each, but for those that say why it cannot.
var plantedBugs = []planted{
	{rule: "I1", name: "the leader answers before its disk has the write", seed: 4, edits: []edit{
		{"../replica/step.go", "r.Leading.Pending[n].Entry.LSN <= r.Log.Applied {", "r.Leading.Pending[n].Entry.LSN <= r.Log.Submitted {"}}},
	{rule: "I1", name: "the backup says stored before it is synced", seed: 44, edits: []edit{
		{"../replica/backup.go", "out = append(out, Effect{Kind: Persist, Entries: fresh})", "out = append(out, Effect{Kind: Persist, Entries: fresh}, Effect{Kind: SendStored, Caller: e.Caller, Epoch: r.View.Epoch, LSN: r.Log.Submitted})"}}},
	{rule: "I1", name: "handed to the disk before the backup has stored it", seed: 10, edits: []edit{
		{"../replica/leader.go", "until = min(stored, r.Leading.Next)", "until = r.Leading.Next"}}},
	{rule: "I3", name: "outcomes are decided without the pending writes", seed: 4, edits: []edit{
		{"../replica/leader.go", "if n.ID != e.Change.ID {", "if n.LSN > 0 {"}}},
	{rule: "I3", name: "preconditions are decided without the pending writes", seed: 4, edits: []edit{
		{"../replica/step.go", "shard.Weigh(e.Change.Match, e.Change.Unless, current)", "shard.Weigh(e.Change.Match, e.Change.Unless, e.Current)"}}},
	{rule: "I4", name: "a refusal does not wait for the pending write that it rests on", seed: 4, edits: []edit{
		{"../replica/leader.go", "Waiting{at, e.Now + WaitFor,", "Waiting{0, e.Now + WaitFor,"}}},
	{rule: "I5", name: "pending writes are dropped when the leader goes on alone", seed: 10, edits: []edit{
		{"../replica/learn.go", "	case led && !leads:\n", "	case led && leads && !v.InSync:\n		r.Leading.Pending, r.Leading.Next = nil, r.Log.Submitted\n	case led && !leads:\n"}}},
	{rule: "R1", name: "a get is read after the check", seed: 0, slow: true, edits: []edit{
		{"client_test.go", "		e.Current, e.Exists = disk.lookUp(op.change.ID)\n", "		w.step(n, e)\n		return\n"},
		{"replica_test.go", "		w.answer(n, fx.Caller, fx.Reply)\n", "		reply := fx.Reply\n		try, direct := fx.Caller.(*simTry)\n		if !direct || try.op.kind != opGet || reply.Refusal != 0 {\n			w.answer(n, fx.Caller, reply)\n			break\n		}\n		w.on(n, w.delay(40*ms), func() {\n			reply.Result = shard.Missing\n			if current, exists := n.disk.shards[s].lookUp(try.op.change.ID); exists {\n				reply.Result, reply.Record = shard.Found, current\n			}\n			w.reply(n, try, reply)\n		})\n"}}},
	{rule: "R1", name: "a get is checked by a clock that was sampled long before", seed: 3044, slow: true, edits: []edit{
		{"replica_test.go", "	var out []replica.Effect\n	*r, out = replica.Step(*r, e, nil)\n", "	if e.Kind == replica.GetAsked {\n		e.Now -= 50 * ms\n	}\n	var out []replica.Effect\n	*r, out = replica.Step(*r, e, nil)\n"}}},
	{rule: "R1", name: "what was read before the replica had all acknowledged writes is given out", seed: 528, slow: true, edits: []edit{
		{"../replica/read.go", "e.Began > 0 && e.Began < r.CompleteSince", "e.Began > 0 && r.CompleteSince < 0"}}},
	{rule: "R1", name: "a page begins by counts that run ahead of its scan", seed: 86, edits: []edit{
		{"../replica/read.go", "if lsn > r.Log.Applied || r.Log.Wiping > 0 {", "if lsn == shard.Unsettled {"}}},
	{rule: "R1", name: "a list is read on from a later scan", seed: 1068, slow: true, edits: []edit{
		{"list_test.go", "	rows, op := c.view, c.try.op\n", "	rows, op := inOrder(n.disk.shards[c.try.op.shard].records), c.try.op\n"}}},
	{rule: "R2", name: "a count at a backup does not wait for its leader", seed: 36, edits: []edit{
		{"../replica/step.go", "	horizon := r.Backing.LeaderApplied\n", "	horizon := r.Log.Applied\n"}}},
	{rule: "R2", name: "a count at a backup needs no lease", seed: 56, edits: []edit{
		{"../replica/step.go", "		if now < r.LeaseUntil {\n			return", "		if now < r.LeaseUntil || !leads {\n			return"}}},
	{rule: "R2", name: "what a former leader had applied still counts", unreached: "what one leader has applied every later one has, so the smaller number is only the more careful one", edits: []edit{
		{"../replica/learn.go", "r.Backing.LeaderApplied, r.Backing.Upstream, r.Backing.Asked = 0, nil, nil", "r.Backing.Upstream, r.Backing.Asked = nil, nil"}}},
	{rule: "R3", name: "a lease runs from the answer", seed: 1302, edits: []edit{
		{"../lease/steps.go", "Until: e.At + p.Timing.Lease", "Until: e.Now + p.Timing.Lease"}}},
	{rule: "R3", name: "a promise is forgotten with its view", seed: 754, edits: []edit{
		{"../lease/steps.go", "s.Proposed, s.Drain, s.Steady = shard.View{}, 0, 0\n", "s.Proposed, s.Drain, s.Steady = shard.View{}, 0, 0\n		s.Answered = e.Now - p.Timing.Grace\n"}}},
	{rule: "R3", name: "a promise is forgotten with its process", unreached: "not met in some thousand seeds: the backup must restart, learn its view and win within 100 ms, just when its leader is cut off; TestStartIsTakenForAPromise holds it", edits: []edit{
		{"../lease/session.go", "Preferred: preferred, Answered: now}", "Preferred: preferred, Answered: now - timing.Grace}"}}},
	{rule: "R3", name: "the grace leaves nothing for drifting clocks", seed: 754, slow: true, edits: []edit{
		{"../lease/session.go", "Grace: 120 * ms", "Grace: 92 * ms"},
		{"../greeting.go", "grace >= lease && grace-lease >= lease/Drift", "lease < 1<<62"},
		{"../lease/steps.go", "shard.Covers(p.Timing.Grace, e.Lease)", "e.Lease < 1<<62"}}},
	{rule: "R25", name: "a lease longer than the neighbour's grace is promised", seed: 618, edits: []edit{
		{"../lease/steps.go", "shard.Covers(p.Timing.Grace, e.Lease)", "e.Lease < 1<<62"}}},
	{rule: "R25", name: "a node whose grace was lowered forgets what it promised before it restarted", seed: 33540, slow: true, edits: []edit{
		{"../lease/session.go", "	if former > grace {\n		return former\n	}\n	return 0\n", "	return 0\n"}}},
	{rule: "R25", name: "greetings with other lease times fit, and pings do not say theirs", seed: 386, edits: []edit{
		{"../greeting.go", "grace >= lease && grace-lease >= lease/Drift", "lease < 1<<62"},
		{"../lease/steps.go", "At: now, Lease: p.Timing.Lease, Unhealthy", "At: now, Lease: 1, Unhealthy"}}},
	{rule: "R3", name: "pings are answered after proposing", seed: 7, single: true, slow: true, edits: []edit{
		{"../lease/steps.go", "v.Epoch == s.View.Epoch && s.Proposed.Epoch == 0", "v.Epoch == s.View.Epoch"}}},
	{rule: "R3", name: "a lease of any epoch counts", unreached: "promises are free of epochs and outlast every lease, so that a lease of an older epoch is still backed by one", edits: []edit{
		{"../lease/steps.go", "agreed := s.Known && v.Shard == s.Shard && v.Epoch == s.View.Epoch &&", "agreed := s.Known && v.Shard == s.Shard &&"},
		{"../lease/steps.go", "if !s.Known || v.Shard != s.Shard || v.Epoch != s.View.Epoch {", "if !s.Known || v.Shard != s.Shard {"},
		{"../lease/steps.go", "Epoch: v.Epoch, Until: e.At", "Epoch: s.View.Epoch, Until: e.At"}}},
	{rule: "R3", name: "a lease is kept over a change of views", unreached: "promises are free of epochs and outlast every lease, so that a lease of an older view is still backed by one", edits: []edit{
		{"../replica/learn.go", "r.FreeFrom, r.LeaseUntil = e.FreeFrom, 0", "r.FreeFrom = e.FreeFrom"}}},
	{rule: "R4", name: "a leader in sync needs no lease", seed: 56, edits: []edit{
		{"../replica/step.go", "		if now < r.LeaseUntil {\n			return", "		if now < r.LeaseUntil || leads {\n			return"}}},
	{rule: "R5", name: "alone, it serves at once", seed: 754, edits: []edit{
		{"../lease/steps.go", "FreeFrom: s.Answered + p.Timing.Grace", "FreeFrom: 0"}}},
	{rule: "R5", name: "the backup takes over without waiting for its promise", seed: 206, edits: []edit{
		{"../lease/steps.go", "now > max(max(s.Answered, s.Since)+p.Timing.Grace,", "now > max(s.Answered+p.Timing.Grace/2,"},
		{"../lease/steps.go", "FreeFrom: s.Answered + p.Timing.Grace", "FreeFrom: s.Answered"}}},
	{rule: "R6", name: "a proposal wins whatever the epoch is", seed: 462, edits: []edit{
		{"../views/state.go", "old.Epoch == p.Epoch && p.View.Epoch == p.Epoch+1 &&", "old.Epoch >= p.Epoch &&"},
		{"../views/state.go", "views[p.Shard] = p.View", "views[p.Shard] = shard.View{old.Epoch + 1, p.View.Leader, p.View.Backup, p.View.InSync}"}}},
	{rule: "R6", name: "a replica out of sync becomes leader", seed: 0, edits: []edit{
		{"../lease/steps.go", "		case s.View.InSync && !p.Leaving:", "		default:"},
		{"../views/state.go", "p.View.Backup == old.Leader && old.InSync", "p.View.Backup == old.Leader"}}},
	{rule: "R6", name: "an open proposal is not repeated", seed: 1, single: true, edits: []edit{
		{"../lease/steps.go", "(s.AskedAt == 0 || now-s.AskedAt >= p.Timing.AskEvery)", "s.AskedAt == 0"},
		{"../lease/steps.go", "		p.Shares[i].AskedAt = 0\n", "		_ = i\n"}}},
	{rule: "R7", name: "a leader that has set the re-admission barrier needs no lease", seed: 286, edits: []edit{
		{"../replica/step.go", "	case r.View.InSync || r.Repair.AckRequired: // rule R4", "	case r.View.InSync:"}}},
	{rule: "R7", name: "a leader that has set the re-admission barrier does not wait for stored", seed: 22, edits: []edit{
		{"../replica/leader.go", "until = min(max(stored, r.Repair.Barrier), r.Leading.Next)", "until = r.Leading.Next"}}},
	{rule: "R7", name: "in sync is asked before the backup has caught up", unreached: "not met in some thousand seeds: the leader must die, with what it had sent, in the few ms between the notice and the last stored; TestCaughtUpWaitsForTheBarrier holds it", edits: []edit{
		{"../replica/repair.go", "m.AckRequired && r.Stream.PeerStored >= m.Barrier &&", "m.AckRequired &&"}}},
	{rule: "R7", name: "a broken stream undoes the re-admission barrier", seed: 36, edits: []edit{
		{"../replica/leader.go", "r.Repair = Repair{AckRequired: r.Repair.AckRequired, Barrier: r.Repair.Barrier}", "r.Repair = Repair{}"}}},
	{rule: "R8", name: "a restarted leader goes on", seed: 570, edits: []edit{
		{"../lease/steps.go", "s.Restarted = v.Leader == p.Self && (!s.Known || s.Restarted && v.InSync)", "s.Restarted = false"}}},
	{rule: "R8", name: "a restarted leader that is alone keeps its epoch", seed: 30, slow: true, edits: []edit{
		{"../lease/steps.go", "s.Restarted = v.Leader == p.Self && (!s.Known || s.Restarted && v.InSync)", "s.Restarted = v.Leader == p.Self && v.InSync && (!s.Known || s.Restarted)"}}},
	{rule: "R8", name: "the views on its own disk are trusted", seed: 2650, slow: true, edits: []edit{
		{"../views/bootstrap.go", "CatchingUp: true,", ""}}},
	{rule: "R9", name: "a restarted leader asks for leases, and its backup promises on", seed: 1, single: true, edits: []edit{
		{"../lease/steps.go", "s.LeaderRestarted = s.View.InSync", "s.LeaderRestarted = false"},
		{"../lease/steps.go", "s.Proposed.Epoch == 0 && !s.Restarted &&", "s.Proposed.Epoch == 0 &&"}}},
	{rule: "R9", name: "a restarted leader waits for its backup for ever", seed: 28, edits: []edit{
		{"../lease/steps.go", "due = !s.View.InSync || now-s.Since > p.Timing.FreshFor", "due = !s.View.InSync"}}},
	{rule: "R10", name: "a new leader serves before its disk has all", unreached: "a disk that takes as long as a grace is unhealthy by then (R12), and a leadership is handed over only when all is stored", edits: []edit{
		{"../replica/learn.go", "r.Leading.Takeover, r.Leading.Next = r.Log.Submitted, r.Log.Submitted", "r.Leading.Takeover, r.Leading.Next = 0, r.Log.Submitted"}}},
	{rule: "R10", name: "a new leader forgets the request ids of what it was sent", seed: 10, edits: []edit{
		{"../replica/backup.go", "n.Wall}\n		r.Log.Order = append(r.Log.Order, Expiry{e.Now + shard.RememberFor, n.Request})\n	}\n	r.Backing.LeaderApplied", "n.Wall}\n		delete(r.Log.Window, n.Request)\n	}\n	r.Backing.LeaderApplied"}}},
	{rule: "R11", name: "a write takes the epoch in which it is stored", seed: 12, edits: []edit{
		{"../replica/leader.go", "		entries = append(entries, *n)\n		if h", "		n.Epoch = r.View.Epoch\n		entries = append(entries, *n)\n		if h"}}},
	{rule: "R11", name: "a leader's history misses an epoch", seed: 34, slow: true, edits: []edit{
		{"../replica/leader.go", "			r.Log.History = append(r.Log.History, shard.Position{Epoch: n.Epoch, LSN: n.LSN})\n", ""}}},
	{rule: "R12", name: "a node with a slow disk goes on promising", seed: 27, single: true, edits: []edit{
		{"../diskhealth.go", "return disk == DiskSlow ||", "return"}}},
	{rule: "R12", name: "a disk is distrusted though its neighbour's was slow, too", seed: 2787, single: true, slow: true, edits: []edit{
		{"../diskhealth.go", "there && !shared", "there"}}},
	{rule: "R12", name: "a disk is distrusted though no neighbour is there", seed: 1067, single: true, slow: true, edits: []edit{
		{"../diskhealth.go", "there && !shared", "!shared"}}},
	{rule: "R12", name: "a leader alone abstains, though nobody could take over", unreached: "a backup whose disk was well while its leader's stalled must be about to be let in just then; TestWhoseDiskIsDistrusted holds it", edits: []edit{
		{"../lease/steps.go", "p.PeerUnhealthy || !s.View.InSync) && s.Known", "p.PeerUnhealthy) && s.Known"},
		{"../lease/steps.go", "!e.Unhealthy || !s.View.InSync)", "!e.Unhealthy)"}}},
	{rule: "R12", name: "a leader blames its backup for a stall of both disks", seed: 921, single: true, slow: true, edits: []edit{
		{"../lease/steps.go", "(p.Unhealthy || !p.PeerThere || e.Now-p.TurnedAt > p.Timing.Silent/2)", "e.Now >= p.TurnedAt"}}},
	{rule: "R12", name: "a leader whose disk is distrusted lets its backup in at once", seed: 8609, single: true, slow: true, edits: []edit{
		{"../lease/steps.go", "(!p.Unhealthy || e.Now-p.TurnedAt > 2*p.Timing.FreshFor):", "e.Now >= p.TurnedAt:"}}},
	{rule: "R12", name: "a disk is trusted as soon as its write is done", unreached: "a disk must be slow again and again, each time for less than a takeover takes, which no run is judged by; TestWhoseDiskIsDistrusted holds it", edits: []edit{
		{"../diskhealth.go", "disk == DiskDistrusted && there && !shared", "disk > DiskSlow && there && !shared"}}},
	{rule: "R13", name: "a wiped store keeps its roles", unreached: "not met in some thousand seeds since a store is not heard before the greetings are compared: its peer has taken over by the time at which it takes its place; TestServiceWipedNodeJoins holds it", edits: []edit{
		{"../views/membership.go", "			if v.Leader == node && (v.InSync || !same) {", "			if v.Leader == node && !v.InSync && !same {"},
		{"../views/membership.go", "shard.View{Epoch: v.Epoch + 1, Leader: v.Leader, Backup: v.Backup}", "shard.View{Epoch: v.Epoch + 1, Leader: v.Leader, Backup: v.Backup, InSync: v.InSync}"}}},
	{rule: "R13", name: "pings of another store count", unreached: "not met in some thousand seeds: a store that is no member knows no view and lists no shard, and frames of a dead store seldom outlive its place; TestAnotherStoreIsNotHeard holds it", edits: []edit{
		{"../lease/steps.go", "if e.Store != p.Store || e.Start < p.PeerStart || p.Stopped {", "if e.Start < p.PeerStart || p.Stopped {"},
		{"../lease/steps.go", "if e.Store != p.Store || p.Stopped {", "if p.Stopped {"}}},
	{rule: "R15", name: "a log that ends ahead counts as fitting", seed: 702, slow: true, edits: []edit{
		{"../replica/repair.go", "fits := e.LSN <= r.Leading.Next && (e.LSN == 0 || epoch == e.LastEpoch)", "fits := e.LSN == 0 || epoch == e.LastEpoch"}}},
	{rule: "R15", name: "the epoch of a position is not compared", seed: 862, slow: true, edits: []edit{
		{"../replica/repair.go", "fits := e.LSN <= r.Leading.Next && (e.LSN == 0 || epoch == e.LastEpoch)", "fits := e.LSN <= r.Leading.Next && (epoch < 1<<62)"}}},
	{rule: "R15", name: "stored of an older stream counts", unreached: "not met in some thousand seeds: what a backup has stored it keeps, unless a snapshot wipes it in the same epoch; TestStoredOfAnotherStream holds it", edits: []edit{
		{"../replica/leader.go", "	case e.Stream != r.Stream.Number || r.View.Leader != r.Self || e.Epoch < r.Stream.AskedIn:", "	case r.View.Leader != r.Self:"}}},
	{rule: "R15", name: "entries of an older stream count", unreached: "not met in some thousand seeds: LSNs and epochs refuse them in almost every case; TestBackupRefusesGaps holds it", edits: []edit{
		{"../replica/backup.go", "	case e.Caller != r.Backing.Upstream || e.Epoch < r.Backing.UpstreamEpoch || !r.Known ||", "	case r.Backing.Upstream == nil || !r.Known ||"}}},
	{rule: "R15", name: "a stream begins before its epoch is known", seed: 16, slow: true, edits: []edit{
		{"../replica/backup.go", "	case !r.Known || e.Epoch > r.View.Epoch:\n", "	case !r.Known:\n"},
		{"../replica/repair.go", "if e.Stream != r.Stream.Number || e.Epoch != r.View.Epoch || r.View.Leader != r.Self || r.Stream.Agreed", "if e.Stream != r.Stream.Number || r.View.Leader != r.Self || r.Stream.Agreed"},
		{"../replica/leader.go", " || e.Epoch < r.Stream.AskedIn:", ":"}}},
	{rule: "R15", name: "a snapshot is acknowledged before the wipe is stored", unreached: "not met in some thousand seeds: both must crash within one sync of the backup's disk; TestNothingIsStoredBeforeTheWipe and TestSnapshotIsOwedUntilStored hold it", edits: []edit{
		{"../replica/step.go", "	case r.Log.Wiping > 0: // of what was there before\n		return r, out\n", ""},
		{"../replica/step.go", "!r.Backing.Filling && r.Log.Wiping == 0 {", "!r.Backing.Filling {"},
		{"../replica/repair.go", "if m.Owed || r.Stream.PeerStored < m.Fed {", "if r.Stream.PeerStored < m.Fed {"}}},
	{rule: "R15", name: "a snapshot that was broken off is taken for whole", unreached: "the log of a leader that had to send a snapshot does not reach back, so that another snapshot follows, which wipes", edits: []edit{
		{"../replica/backup.go", "		r.Backing.Filling, r.Backing.Filled, r.Log.Wiping = false, nil, r.Log.Wiping+1\n		out = append(out, Effect{Kind: Wipe})\n	}\n	return r, out", "		r.Backing.Filling, r.Backing.Filled = false, nil\n	}\n	return r, out"}}},
	{rule: "R16", name: "entries are not checked against the history", seed: 4670, slow: true, edits: []edit{
		{"../replica/repair.go", "return n.LSN == want && n.Epoch == epoch", "return n.LSN == want && epoch > 0"}}},
	{rule: "R16", name: "the first LSN that is read is not checked", seed: 4, edits: []edit{
		{"disk_test.go", "if n := &s.wal[i]; replica.Follows(history, first, n) {", "if n := &s.wal[i]; replica.Follows(history, first, n) || len(list) == 0 && n.LSN > first && n.LSN <= last {"},
		{"disk_test.go", "list, first = append(list, *n), first+1\n		}\n	}\n	return list", "list, first = append(list, *n), n.LSN+1\n		}\n	}\n	return list"}}},
	{rule: "R17", name: "a repair that stands still is left so", unreached: "a connection brings everything in order or breaks, so that no repair stands still; TestStreamsThatBeginAnew holds the rule", edits: []edit{
		{"../replica/repair.go", "			out = append(out, Effect{Kind: BreakStream, Stream: r.Stream.Number})\n", ""}}},
	{rule: "R18", name: "request ids are forgotten", seed: 0, edits: []edit{
		{"../replica/leader.go", "	case again:\n", "	case again && at < 0:\n"}}},
	{rule: "R18", name: "request ids are dropped by count", seed: 4, edits: []edit{
		{"../replica/step.go", "for n < len(r.Log.Order) && r.Log.Order[n].At < now {", "for n < len(r.Log.Order) && (r.Log.Order[n].At < now || len(r.Log.Order)-n > 2) {"}}},
	{rule: "R18", name: "request ids are forgotten at a restart", seed: 8, edits: []edit{
		{"node_test.go", "d.window(), w.clock(n))\n", "nil, w.clock(n))\n"}}},
	{rule: "R18", name: "request ids are not sent with a snapshot", unreached: "not met in some thousand seeds since a gateway has two tries at a node: a write must be tried again, within its deadline, at a backup that a snapshot has filled and that has become the leader; TestEndFramesFit and TestSnapshotsAreStored hold that the window is sent and stored", edits: []edit{
		{"node_test.go", "d.window(), w.clock(n))\n", "nil, w.clock(n))\n"}}},
	{rule: "R18", name: "an overdue write is sequenced", seed: 78, edits: []edit{
		{"../replica/leader.go", "	case e.Now > e.Deadline:\n", "	case e.Deadline == 0:\n"}}},
	{rule: "R20", name: "a refusal is believed while another try may still be done", seed: 4, edits: []edit{
		{"client_test.go", "(t.done || t.sent < op.overdue)", "t.done"}}},
	{rule: "R21", name: "a write whose answer was lost on the way back counts as refused", seed: 11180, slow: true, edits: []edit{
		{"client_test.go", "			t.op.overdue = max(t.op.overdue, t.sent+tryFor) // it may yet be done\n", ""}}},
	{rule: "R21", name: "what was passed on is left with a leader that hangs", seed: 37, single: true, slow: true, edits: []edit{
		{"../replica/learn.go", "		out = append(out, Effect{Kind: TakeBackRelayed})\n", ""},
		{"client_test.go", "r.asked.Kind == replica.WriteAsked {\n", "r.asked.Kind == replica.WriteAsked && w.now < 0 {\n"}}},
	{rule: "R21", name: "a write that is passed on has no deadline", seed: 446, edits: []edit{
		{"client_test.go", "w.clock(s.to) - w.clock(n) - w.delay(2*ms)", "w.clock(s.to) - w.clock(n) + 1000*ms"}}},
	{rule: "R21", name: "the other replica answers a get itself", seed: 206, slow: true, edits: []edit{
		{"../replica/step.go", "&& (e.Kind == WriteAsked || e.Kind == GetAsked)\n", "&& e.Kind == WriteAsked\n"}}},
	{rule: "R22", name: "a kind of entry is proposed before its version is in force", seed: 10, edits: []edit{
		{"../views/entry.go", "if rule, known := c.Mine.Rules[numbers[1]]; !known || rule.Since > c.State.Version {", "if _, known := c.Mine.Rules[numbers[1]]; !known {"}}},
	{rule: "R22", name: "an older node takes an entry that it cannot read for void", seed: 10, edits: []edit{
		{"../views/entry.go", "if rule, known := c.Mine.Rules[numbers[1]]; !known || rule.Since > c.State.Version {", "if _, known := c.Mine.Rules[numbers[1]]; !known {"},
		{"../views/entry.go", "if err = fmt.Errorf(\"it is of kind %d\", numbers[1]); known {", "if known {"}}},
	{rule: "R23", name: "the start of an old copy is believed", seed: 2, slow: true, edits: []edit{
		{"../views/entry.go", "return known.Number > 0 && !slices.Contains(own, known)", "return false"},
		{"../views/ready.go", "		m.Commit = proto.Uint64(stored)\n", "		m.Commit, c.older = proto.Uint64(stored), \"\"\n"}}},
	{rule: "R23", name: "starts of an old copy become later ones by being many", seed: 290, slow: true, edits: []edit{
		{"../views/entry.go", "return known.Number > 0 && !slices.Contains(own, known)", "return own[0].Number <= known.Number && own[0] != known"},
		{"../views/ready.go", "		m.Commit = proto.Uint64(stored)\n", "		m.Commit, c.older = proto.Uint64(stored), \"\"\n"}}},
	{rule: "R23", name: "an old copy that does not know the leader as a member is not found by its log", seed: 1795907352161086, slow: true, edits: []edit{
		{"../views/ready.go", "		m.Commit = proto.Uint64(stored)\n", "		m.Commit = proto.Uint64(stored)\n		if !member {\n			c.older = \"\"\n		}\n"}}},
	{rule: "R23", name: "an old copy votes", seed: 2, slow: true, edits: []edit{
		{"../views/entry.go", "case e.Kind == PeerGreeted && isOldCopy(c.own, e.Start):", "case e.Kind == PeerGreeted && e.To < 0 && isOldCopy(c.own, e.Start):"}}},
	{rule: "R24", name: "a backup that lacks what its leader has takes over", seed: 12, slow: true, edits: []edit{
		{"../lease/steps.go", "due = due && !s.Behind && (s.LeaderLastKnown || !there)", "due = due && (s.LeaderLastKnown || !there)"},
		{"../lease/steps.go", "s.Proposed.Epoch > 0 && !s.Behind && (s.AskedAt", "s.Proposed.Epoch > 0 && (s.AskedAt"}}},
	{rule: "R24", name: "a backup that comes back takes over before its leader has told", seed: 7246, slow: true, edits: []edit{
		{"../lease/steps.go", "due = due && !s.Behind && (s.LeaderLastKnown || !there)", "due = due && !s.Behind && (s.LeaderLastKnown || !there || s.Unverified)"}}},
	{rule: "R24", name: "a leader's silence is counted from before the views were learnt", seed: 342, slow: true, edits: []edit{
		{"../lease/steps.go", "max(max(s.Answered, s.Since)+p.Timing.Grace,", "max(s.Answered+p.Timing.Grace,"}}},
	{rule: "R24", name: "a backup that comes back counts before it was compared", seed: 100, slow: true, edits: []edit{
		{"../replica/step.go", "	case !leads && !r.Backing.Compared && now < r.LeaseUntil:", "	case !leads && !r.Backing.Compared && now < 0:"}}},
	{rule: "R24", name: "a backup that comes back with less than it has said to be stored fits", unreached: "not met in some thousand seeds: the leader must die within the ms in which what it has applied is sent again; TestBackupThatComesBackWithLess holds it", edits: []edit{
		{"../replica/repair.go", "e.LSN >= max(r.Log.Applied, r.Stream.PeerStored):", "e.LSN >= r.Log.Applied:"}}},
	{rule: "R24", name: "a leadership is handed to a backup that was not compared", unreached: "not met in some thousand seeds: an old copy of a backup must come back just when its leader hands over, between the connection and the comparison; TestHandingOver holds it", edits: []edit{
		{"../replica/step.go", "r.Log.Applied == r.Leading.Next && r.Stream.Agreed &&\n		r.Stream.PeerStored >= r.Leading.Next {", "r.Log.Applied == r.Leading.Next {"}}},
	{rule: "pause", name: "a leader that was paused blames its backup", seed: 20197, single: true, slow: true, edits: []edit{
		{"../replica/step.go", "	case gap > shard.PauseGap:", "	case gap < 0:"}}},
	{rule: "stop", name: "good-bye is said while requests are still served", unreached: "not met in some thousand seeds: the leaver's last lease ends within 20 ms of its peer going on alone; the order is the shell's", edits: []edit{
		{"deeds_test.go", "			w.step(n, &replica.Event{Kind: replica.NodeStopping, Shard: s})\n", "			_ = s\n"}}},
	{rule: "stop", name: "a leader that hands over serves on", seed: 4378, slow: true, edits: []edit{
		{"../replica/step.go", "	case leads && r.Leading.Draining:\n", "	case leads && r.Leading.Draining && now < 0:\n"}}},
	{rule: "stop", name: "a leadership is handed over with writes pending", seed: 11782, slow: true, edits: []edit{
		{"../replica/step.go", "if r.Leading.Draining && len(r.Leading.Pending) == 0 && r.Log.Applied == r.Leading.Next && r.Stream.Agreed &&\n		r.Stream.PeerStored >= r.Leading.Next {", "if r.Leading.Draining {"},
		{"../replica/step.go", "	case leads && r.Leading.Draining:\n", "	case leads && r.Leading.Draining && now < 0:\n"}}},
	{rule: "pause", name: "a leader that was paused goes on alone at once", seed: 17291, slow: true, single: true, edits: []edit{
		{"../lease/steps.go", "if e.Now-p.LastTick > shard.PauseGap {", "if p.LastTick < 0 {"}}},
	{rule: "damage", name: "a damaged replica serves on", seed: 39, single: true, edits: []edit{
		{"../replica/step.go", "	case r.Damage.Reason != \"\":\n		return", "	case r.Damage.Reason != \"\" && now < 0:\n		return"}}},
	{rule: "damage", name: "batches that are missing in the log are not noticed", seed: 104, edits: []edit{
		{"../recovery.go", "if lost[s] || unsure[s] || behind || short {", "if s == RaftPart && (lost[s] || unsure[s] || behind || short) {"}}},
	{rule: "damage", name: "the log's end is believed, whatever was noted", seed: 222, slow: true, edits: []edit{
		{"../recovery.go", "if lost[s] || unsure[s] || behind || short {", "if lost[s] || unsure[s] || behind {"}}},
	{rule: "damage", name: "a damaged backup says where its log ends, and is fed", unreached: "it is let in, but promises nothing and is dropped as soon as it is out of sync, so that no write is lost; TestDamagedBackupIsNotFed holds it", edits: []edit{
		{"../replica/step.go", "if r.Backing.Asked != nil && r.Damage.Reason == \"\" && r.Log.Applied", "if r.Backing.Asked != nil && r.Log.Applied"}}},
	{rule: "damage", name: "a mark speaks of any copy", unreached: "a whole copy is taken for damaged and filled again, which costs a fill and no write; TestMarksSpeakOfOneCopy holds it", edits: []edit{
		{"../recovery.go", "(m.Copy == at || m.Accepting)", "(m.Copy <= at || m.Accepting)"}}},
	{rule: "damage", name: "a damaged backup begins anew in the same epoch", seed: 56, edits: []edit{
		{"../replica/step.go", "!r.View.InSync && r.View.Epoch > r.Damage.Epoch {", "!r.View.InSync && r.View.Epoch >= r.Damage.Epoch {"}}},
	{rule: "damage", name: "a damaged replica goes on promising", seed: 39, single: true, edits: []edit{
		{"../lease/steps.go", "			s.Damaged, s.DamagedIn = e.Notice == shard.CopyDamaged, e.Epoch\n", ""}}},
}
