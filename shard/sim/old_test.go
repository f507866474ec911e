package sim

import (
	"errors"
	"maps"
	"slices"
	"tandem/shard"
	"tandem/shard/lease"
	"tandem/shard/views"
)

// simCopy is a node's folder as it was at some moment of a start.
type simCopy struct {
	member uint64
	disk   simDisk
}

// copyDisk copies what is synced.
func copyDisk(d *simDisk) simDisk {
	c := newSimDisk(d.layout, d.slow)
	c.start, c.nonces, c.entries, c.marks, c.shards = d.start, d.nonces, maps.Clone(d.entries), maps.Clone(d.marks),
		copyShards(d.shards)
	for _, s := range c.shards {
		s.wal = slices.Clone(s.wal)
	}
	return c
}

// backUp makes a copy of a node's folder, whether its process runs or not. The last three are kept.
func (w *simWorld) backUp(n *simNode) {
	n.copies = append(n.copies[max(0, len(n.copies)-2):], simCopy{n.member, copyDisk(&n.disk)})
}

// frail tells whether an old copy runs somewhere that its start does not tell, as the store has not started since it
// was made, and that has not been found out yet: a further fault is then more than is promised to be survived.
func (w *simWorld) frail() bool {
	if w.now < w.hush {
		return true
	}
	for _, n := range w.nodes {
		n.old = n.old && !w.quiet()
		n.doomed = n.doomed && !w.quiet()
		if n.old {
			return true
		}
	}
	return false
}

// copyOf picks a copy of a node's folder that its start tells, or one that it does not; nil if there is none. All other
// nodes know the node's newest start, and all is well.
func (w *simWorld) copyOf(n *simNode, running bool) *simCopy {
	if !w.allMembers() {
		return nil
	}
	for _, m := range w.nodes {
		if m.service.State.Starts[n.number] != n.start || m.service.State.Index != n.service.State.Index {
			return nil
		}
	}
	for i := range n.copies {
		c := &n.copies[i]
		if older := c.disk.start < n.disk.start; c.member == n.member && older != running &&
			c.disk.entries["s"] != nil && !slices.ContainsFunc(c.disk.shards,
			func(s *simShard) bool { return s.rotten }) {
			return c
		}
	}
	return nil
}

// rollBack kills a node and puts an old copy of its folder in the place of the newest.
func (w *simWorld) rollBack(n *simNode, c *simCopy, down int64) {
	n.old = c.disk.start == n.disk.start
	if n.old {
		w.seen["old copy: of the newest start"]++
	} else {
		w.seen["old copy: of an older start"]++
	}
	w.kill(n, down)
	n.disk, n.rolled, n.doomed = copyDisk(&c.disk), true, true
}

// restore strikes with an old copy: of one node; with all nodes killed too; or while one node has missed what this one
// and a third decided, which goes away.
func (w *simWorld) restore(f fault, n, other *simNode, lasts int64) {
	var c *simCopy
	if !w.quiet() && w.chance(60) { // until all is well
		w.hush = w.now + 60*ms
		w.after(50*ms, func() {
			if w.hush = w.now; !w.calm {
				w.restore(f, n, other, lasts)
			}
		})
		return
	}
	if w.quiet() {
		if c = w.copyOf(n, w.chance(50) && f != oldVote); c == nil { // the next one will find one
			w.backUp(n)
			if w.chance(70) {
				w.kill(n, w.delay(20*ms))
			}
			return
		}
	}
	switch {
	case c == nil:
	case f == oldStore:
		w.rollBack(n, c, lasts)
	case f == oldAll:
		for _, m := range w.nodes {
			if m != n {
				w.kill(m, w.delay(lasts))
			}
		}
		w.rollBack(n, c, w.delay(lasts))
	case len(w.nodes) == 3:
		third := w.nodes[3-n.number-other.number]
		for _, m := range w.nodes {
			w.cut[other.number][m.number], w.cut[m.number][other.number] = true, true
		}
		w.hush = w.now + 900*ms
		w.after(150*ms+w.delay(150*ms), func() {
			if n.up && n.member == c.member && third.up && other.up {
				w.rollBack(n, c, w.delay(10*ms))
				w.kill(third, 300*ms+w.delay(300*ms))
			}
			w.mend()
		})
	}
}

// setAside is what a node does whose store is an old copy of itself: a new and empty one takes its place.
func (w *simWorld) setAside(n *simNode, why string) {
	w.seen["old copy: set aside"]++
	w.note("node %d: %s", n.number, why)
	if !n.rolled {
		w.fail("node %d: %s, and it is not", n.number, why)
	}
	w.on(n, 0, func() { w.wipe(n, w.delay(20*ms)) })
}

// overtakes notes that an old copy which its start does not tell is about to lead, without the other replica being
// there to be asked: then both copies are hit.
func (w *simWorld) overtakes(n *simNode, peer int, proposals []shard.Proposal) {
	t := lease.DefaultTiming()
	for _, p := range proposals {
		for _, s := range n.sessions[peer].Shares {
			silent := w.clock(n)-max(n.sessions[peer].Pinged, s.Since) > t.Grace
			unasked := s.Restarted || s.Unverified && !s.LeaderLastKnown && (silent || w.clock(n)-s.Since > t.FreshFor)
			if n.old && s.Shard == p.Shard && p.View.Leader == n.number && unasked {
				w.beyond = true
				w.seen["old copy: the other replica was not there to be asked"]++
			}
		}
	}
}

// entryRenew is a kind of entry of the next version, which only the simulator knows: a shard's view gets the next
// epoch, if it is still of this one.
const entryRenew = 50

func applyRenew(b views.State, numbers []uint64) (views.State, error) {
	if len(numbers) != 2 || numbers[0] >= uint64(len(b.Views)) {
		return b, views.ErrState
	}
	if v := b.Views[numbers[0]]; v.Epoch == numbers[1] {
		v.Epoch++
		b.Views = slices.Clone(b.Views)
		b.Views[numbers[0]] = v
	}
	return b, nil
}

// load makes a node's view service, with the binary that the node has now. An operator who is told that the binary is
// too old brings the newer one.
func (w *simWorld) load(n *simNode) {
	if w.plan.raise > 0 && w.chance(60) && !w.calm {
		n.most = views.InitialVersion + min(uint64(w.rng.IntN(4)), 1)
	}
	timing := views.DefaultTiming
	timing.RaiseAfter = max(w.plan.raise, ms)
	for {
		p := views.Process{Member: n.member, Start: n.start, Former: n.former, Least: views.InitialVersion, Most: n.most,
			Rules: views.EntryRules}
		if n.most > views.InitialVersion {
			p.Rules = maps.Clone(views.EntryRules)
			p.Rules[entryRenew] = views.EntryRule{Since: views.InitialVersion + 1, Apply: applyRenew}
		}
		service, err := views.Load(p, w.plan.layout, timing, n.disk.savedEntries(), w.clock(n))
		n.service = service
		if errors.Is(err, views.ErrVersion) && w.raised && n.most == views.InitialVersion {
			w.seen["versions: too old a binary at the start"]++
			n.most++
			continue
		}
		if err != nil {
			w.fail("node %d: %v", n.number, err)
		}
		return
	}
}

// halted is what comes of a node whose binary may take no part.
func (w *simWorld) halted(n *simNode, why string) {
	w.seen["versions: too old a binary stops"]++
	if !w.raised || n.most > views.InitialVersion {
		w.fail("node %d: %s", n.number, why)
	}
	n.most++
	w.on(n, 0, func() { w.kill(n, w.delay(20*ms)) })
}

// renew has nodes of the next version ask for what only that has, whatever version is in force.
func (w *simWorld) renew(n *simNode) {
	if w.plan.raise == 0 || n.most == views.InitialVersion || !w.chance(3) || w.calm {
		return
	}
	s := w.rng.IntN(w.plan.layout.Shards)
	if s < len(n.service.State.Views) {
		w.stepService(n, &views.Event{Kind: views.ProposalAsked, Entry: views.EncodeEntry(entryRenew, uint64(s),
			n.service.State.Views[s].Epoch)})
	}
}
