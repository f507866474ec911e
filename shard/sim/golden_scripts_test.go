package sim

import "tandem/shard"

// The scripts of the golden traces. What a scene says stands above its lines in the trace.
var goldenScripts = map[string][]scene{
	"takeover": {
		{says: `TAKEOVER: the leader of a shard is killed. Its backup takes over and serves.

			Three nodes and one shard: db-0 leads shard 0, db-1 is its backup, and db-2 only votes on views. The
			state machines are the real ones (replica.Step, lease.Step, views.Step). Time is virtual: a frame
			takes 1 ms, a sync 1.3 ms. A client asks, and a gateway tries until it is answered. Epochs 1 to 3 have
			passed while the cluster started.

			A line has: the time in ms, the node, the part of the node that the event comes to, the event, and
			after each arrow an effect, which is what the node is to do about it. The parts: "replica 0" is the
			node's replica of shard 0, "lease with db-1" its lease session with that neighbour, "views" its view
			service, which is Raft on three nodes. Times in brackets are times of this trace, too.

			Left out: what says the same as a line before (pings, pongs, leases, tries of a request), and ticks
			and heartbeats of which nothing comes. Where that leaves a gap of 20 ms, a line counts it. R3, I1 and
			so on are the rules and invariants of docs/protocol.md. This file is written by: go test ./shard/sim
			-run TestTraces -update`},
		{says: `1. All is well. A write goes to the backup first: the leader hands it to its own disk when the backup
			has stored it, and answers when its own disk has stored it, too (I1). Meanwhile leases are renewed:
			each of the two asks with a ping, and promises with a pong. A lease runs for 100 ms from the sending
			of the ping, the promise behind it for 120 ms from the answering (R3). So every lease has ended before
			the promise that it rests on does.`,
			does: func(g *goldenTrace) { g.ask(shard.Create, "ada") }, until: []string{"client", "answered"}},
		{says: `2. db-0 is killed, which led the shard, and Raft, too. A broken connection proves nothing: db-0 may be
			alive and hold a lease. db-1 has promised not to replace it, and keeps that promise. It answers that
			it does not lead the shard, and the gateway goes on trying.`,
			does:  func(g *goldenTrace) { g.kill(0, 9000*ms); g.ask(shard.Create, "bob") },
			until: []string{"db-1", "write asked", "not leader"}},
		{says: `3. Raft's leader has been silent for more than 60 ms: db-1 stands for leader, and db-2 votes for it.
			Each stores its vote before it tells of it. The state only gets the new leader's empty entry: the view
			is what it was.`,
			until: []string{"db-1", "MsgAppResp from db-2, stored up to 9"}},
		{says: `4. db-1's last promise is 120 ms ago. No lease of db-0's can still run, and without one db-0 serves
			nothing (R4). So db-1 proposes itself. That is a compare-and-set on the epoch: of two proposals only
			one can win (R6). From now on db-1 promises no lease of the shard (R3).`,
			until: []string{"db-1", "propose"}},
		{says: `5. The view service decides: two of three nodes have stored the proposal, so it is part of the state.`,
			until: []string{"db-1", "replica 0", "view learnt"}},
		{says: `6. db-1 leads alone. It has all that was ever acknowledged (I1), and its disk has all that it was
			handed (R10). It is free from the time at which its last promise ran out. That has passed, so it
			serves at once; alone it needs no lease (R5). The gateway's next try is sequenced in the new epoch,
			and answered when this disk has stored it.`,
			until: []string{"client", "answered"}},
		{says: `7. What was acknowledged in the old epoch is still there.`,
			does: func(g *goldenTrace) { g.ask(0, "ada") }, until: []string{"client", "answered"}},
	},
	"repair": {
		{says: `REPAIR: a backup was away. It comes back, is compared, is fed from the log, and is in sync again.

			takeover.txt says how to read this. Of the view service only proposals and new states are written
			here. Before this trace begins, ada was created with LSN 1 and is on both disks.`, mute: true,
			does: func(g *goldenTrace) { g.ask(shard.Create, "ada") }, until: []string{"client", "answered"}},
		{says: `1. db-1, the backup, is killed. A leader takes a broken connection for silence and proposes itself
			alone. Until that is decided, its disk gets nothing that the backup has not stored (I1). A write that
			it has sequenced stays pending all the while (I5).`, brief: true,
			does:  func(g *goldenTrace) { g.kill(1, 300*ms); g.ask(shard.Create, "bob") },
			until: []string{"db-0", "replica 0", "view learnt"}},
		{says: `2. db-0 leads alone. But it had promised db-1 not to act without it, so it waits until that promise
			has run out (R5). Then what is pending goes to its disk without the backup; it keeps the epoch in
			which it was sequenced (R11). All tries of the gateway are one request: it is done once (R18), and
			each try that was not refused is answered.`,
			brief: true, until: []string{"client", "answered"}},
		{says: `3. 70 more writes follow, which are left out. The log ends at LSN 72 now.`, mute: true,
			does: func(g *goldenTrace) {
				for range 70 {
					g.ask(shard.Update, "ada")
				}
			}, until: []string{"client", "answered", "LSN 72"}},
		{says: `4. db-1 starts again; its pings tell the number of the new start. It acts on no view before its own
			start has gone through Raft: what it remembers may be old (R8). The leader asks where its log ends.
			The answer waits until db-1 has learnt the view of the leader's epoch (R15).`, brief: true,
			until: []string{"db-1", "send position"}},
		{says: `5. db-1's log ends at LSN 1 of epoch 4. The leader's history has that position, too, so db-1 can be
			fed from there; else it would be sent the whole shard (R15). The leader reads its log piece by piece,
			and looks at each entry: LSN and epoch must be those that the history wants (R16). This holds up
			nobody, and goes on until db-1 lacks 64 writes or less.`, brief: true,
			until: []string{"db-0", "peer stored", "LSN 21"}},
		{says: `6. A backup that was away is let in no sooner than 400 ms after the leader went on alone, and later
			each time (R17). Then comes the barrier, in three steps whose order matters (R7). The first: the
			leader sets the barrier ("ack required"). From now on it treats the backup as in sync: new writes wait for it,
			and a lease is needed. For the view that it is about to propose may be in force before it hears of
			that.`,
			brief: true, until: []string{"db-0", "notify (ack required"}},
		{says: `7. The second step: what was sequenced before the barrier is fed. A write that comes in meanwhile is
			sequenced; it is sent once the backup has been fed all that stands before it.`, brief: true,
			does: func(g *goldenTrace) { g.ask(shard.Create, "cat") }, until: []string{"db-0", "notify (caught up"}},
		{says: `8. The third step: the backup has stored all that was sequenced before the barrier, and now the leader
			proposes it in sync. The new write takes the usual way, backup first, whatever becomes of the proposal.`,
			brief: true,
			until: []string{"client", "answered"}},
		{says: `9. In sync again. db-1, too, asks for leases now and is promised them. From now on it may take over.`,
			brief: true, until: []string{"db-1", "replica 0", "lease came"}},
	},
	"handover": {
		{says: `HANDOVER: a leader that is to stop hands its leadership over, says good-bye, and ends.

			takeover.txt says how to read this. Of the view service only proposals and new states are written
			here. Before this trace begins, ada was created with LSN 1 and is on both disks.`, mute: true,
			does: func(g *goldenTrace) { g.ask(shard.Create, "ada") }, until: []string{"client", "answered"}},
		{says: `1. db-0 is asked to leave just when a write comes in. Its lease session tells the replica to drain
			(rule "stop").`,
			brief: true,
			does: func(g *goldenTrace) {
				g.line("db-0", "process", "is asked to stop")
				g.w.term(g.w.nodes[0], 9000*ms)
				g.ask(shard.Create, "bob")
			}, until: []string{"db-0", "drain asked"}},
		{says: `2. A leader that drains takes nothing new: the next write is refused, and will be tried elsewhere.
			What is pending is finished. When nothing is pending any more, both disks have the same log.`, brief: true,
			does: func(g *goldenTrace) { g.ask(shard.Create, "cat") }, until: []string{"db-0", "notify (drained"}},
		{says: `3. So the two can change places without a repair: db-0 proposes a view in which db-1 leads and it is
			the backup itself, in sync. From proposing on it promises no lease of the shard (R3), nor asks for
			one. Its pings say that it is leaving, so that no leadership is handed to it.`, brief: true,
			until: []string{"db-1", "replica 0", "view learnt"}},
		{says: `4. db-1 leads, with db-0 in sync, and serves nothing without a lease from it (R4). It takes back the
			request that it had passed on to db-0 (R21). db-0 leads nothing any more. It answers nothing from here
			on, and then says good-bye: a ping with the number of the start after its own. So db-1 knows that no
			promise to db-0 counts any more.`,
			brief: true, until: []string{"db-1", "ping received", "leaving"}},
		{says: `5. db-0 ends, and its connections break. It was Raft's leader, so that another is elected (left out
			here). db-1 allows its backup 80 ms of silence, counted from when it learnt the view. Then it proposes
			itself alone.`,
			brief: true, until: []string{"db-1", "replica 0", "view learnt"}},
		{says: `6. db-1 leads alone. By the good-bye it has been free since it heard of it, and does not wait for a
			grace (R5). The write that was refused is done.`, brief: true, until: []string{"client", "answered"}},
	},
}
