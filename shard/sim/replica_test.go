package sim

import (
	"fmt"

	"tandem/shard"
	"tandem/shard/lease"
	"tandem/shard/replica"
)

// tell hands an event from a lease session to a replica; what one lease session says arrives in order.
func (w *simWorld) tell(n *simNode, peer int, e *replica.Event) {
	p := &n.disk.lanes[peer]
	*p = max(*p+1, w.now+w.delay(ms/5))
	w.on(n, *p-w.now, func() { w.step(n, e) })
}

// step gives an event to a replica. What a get or a write reads is read before the clock is sampled (rule R1).
func (w *simWorld) step(n *simNode, e *replica.Event) {
	r := n.replicas[e.Shard]
	if r == nil {
		return
	}
	e.Now = w.clock(n)
	if e.Kind == replica.WriteAsked {
		if n.disk.shards[e.Shard].rotten {
			w.feelRot(n, e.Shard)
		}
		e.Current, e.Exists = n.disk.shards[e.Shard].lookUp(e.Change.ID)
	}
	var out []replica.Effect
	*r, out = replica.Step(*r, e, nil)
	if w.observer != nil {
		w.observer(n, fmt.Sprint("replica ", e.Shard), e, out)
	}
	if w.trace != nil && (w.only < 0 || w.only == e.Shard) {
		w.note("node %d shard %d %s", n.number, e.Shard, tellStep(r, e, out))
	}
	w.checkBounds(n, r)
	for k := range out {
		w.act(n, e.Shard, &out[k])
	}
}

func (w *simWorld) act(n *simNode, s int, fx *replica.Effect) {
	peer := w.peerOf(n, s)
	switch fx.Kind {
	case replica.Answer:
		w.answer(n, fx.Caller, fx.Reply)
	case replica.Relay:
		w.relay(n, peer, fx)
	case replica.TakeBackRelayed:
		w.reclaim(n, peer, s)
	case replica.Persist, replica.Wipe, replica.Drop, replica.PersistRecords, replica.PersistHistory:
		w.persist(n, s, fx)
	case replica.SendAsk:
		w.toBackup(n, peer, fx.Stream, replica.Event{Kind: replica.PositionAsked, Shard: s, Epoch: fx.Epoch})
	case replica.SendAppend:
		w.toBackup(n, peer, fx.Stream, replica.Event{Kind: replica.EntriesCame, Shard: s, Epoch: fx.Epoch,
			Entries: fx.Entries,
			Applied: fx.Applied})
	case replica.SendApplied:
		w.toBackup(n, peer, fx.Stream, replica.Event{Kind: replica.LeaderTold, Shard: s, Epoch: fx.Epoch, LSN: fx.LSN})
	case replica.SendStored:
		w.toLeader(fx.Caller.(*simStream), replica.Event{Kind: replica.PeerStored, Shard: s, Epoch: fx.Epoch, LSN: fx.LSN})
	case replica.SendPosition:
		w.toLeader(fx.Caller.(*simStream), replica.Event{Kind: replica.PeerPosition, Shard: s, Epoch: fx.Epoch, LSN: fx.LSN,
			LastEpoch: fx.LastEpoch})
	case replica.SendStreamError:
		w.toLeader(fx.Caller.(*simStream), replica.Event{Kind: replica.PeerStreamError, Shard: s, Epoch: fx.Epoch,
			Reason: fx.Reply.Reason, Broken: fx.Reply.Refusal == shard.Unavailable})
	case replica.Feed:
		w.seen["repair: fed from the WAL"]++
		w.moment(feeding, n.number, peer)
		w.on(n, w.delay(ms), func() { w.feed(n, s, peer, fx) })
	case replica.FeedSnapshot:
		w.seen["repair: snapshot"]++
		w.moment(snapshots, n.number, peer)
		w.feedSnapshot(n, s, peer, fx)
	case replica.BreakStream:
		w.seen["repair: stream begins anew"]++
		if s := n.links[peer]; s != nil && s.number == fx.Stream {
			w.sever(s)
		}
	case replica.SetAlarm:
		w.on(n, replica.TellEvery, func() { w.step(n, &replica.Event{Kind: replica.Ticked, Shard: s}) })
	case replica.Notify:
		notice, epoch := fx.Notice, fx.Epoch
		if a, aimed := map[shard.Notice]aim{shard.AckRequired: flipped, shard.CaughtUp: wished,
			shard.Drained: drained}[notice]; aimed {
			w.moment(a, n.number, peer)
		}
		at := &n.disk.wants[peer] // what replicas ask of a lease session arrives in order
		*at = max(*at+1, w.now+w.delay(ms/5))
		w.on(n, *at-w.now, func() {
			w.stepSession(n, peer, &lease.Event{Kind: lease.NoticeGiven, Shard: s, Epoch: epoch, Notice: notice})
		})
	}
}

func (w *simWorld) peerOf(n *simNode, s int) int {
	first, second := shard.Pair(w.plan.layout, s)
	return first + second - n.number
}

// persist hands a replica's effect to the disk, and counts the users as the shell does.
func (w *simWorld) persist(n *simNode, s int, fx *replica.Effect) {
	part := simPart{shard: s, effect: *fx}
	n.counts[s] = n.counts[s].handed(fx)
	switch fx.Kind {
	case replica.Persist:
		for i := range fx.Entries {
			switch fx.Entries[i].Result {
			case shard.Created:
				n.users[s]++
			case shard.Deleted:
				n.users[s]--
			}
		}
	case replica.Wipe, replica.Drop:
		n.users[s] = 0
		w.moment(filling, n.number, w.peerOf(n, s))
	case replica.PersistRecords:
		n.users[s] += len(fx.Records)
	}
	w.write(n, part)
}

// feed sends what the backup lacks from the WAL, up to 20 entries at a time.
func (w *simWorld) feed(n *simNode, s, peer int, fx *replica.Effect) {
	if n.disk.shards[s].rotten {
		w.feelRot(n, s)
		return
	}
	entries := n.disk.shards[s].collect(fx.History, fx.LSN, min(fx.Applied, fx.LSN+19))
	if len(entries) == 0 {
		w.seen["repair: the WAL does not reach back"]++
		w.note("node %d: shard %d cannot be fed from LSN %d on", n.number, s, fx.LSN)
		w.step(n, &replica.Event{Kind: replica.FeedFailed, Shard: s, Stream: fx.Stream, Epoch: fx.Epoch})
		return
	}
	w.toBackup(n, peer, fx.Stream, replica.Event{Kind: replica.EntriesCame, Shard: s, Epoch: fx.Epoch, Entries: entries})
	w.step(n, &replica.Event{Kind: replica.FeedDone, Shard: s, Stream: fx.Stream, Epoch: fx.Epoch,
		LSN: entries[len(entries)-1].LSN})
}
