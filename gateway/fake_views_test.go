package main

import (
	"slices"
	"time"

	"tandem/shard"
	"tandem/wire"
)

// setViews changes the views that the nodes act by; epochs are raised where a view has changed.
func (r *rig) setViews(change func(s int, v shard.View) shard.View) {
	r.store.lock.Lock()
	defer r.store.lock.Unlock()
	for s, v := range r.store.views {
		if next := change(s, v); next != v {
			next.Epoch = v.Epoch + 1
			r.store.views[s] = next
		}
	}
}

// without is the change of views after a node has died.
func without(node int) func(s int, v shard.View) shard.View {
	return func(_ int, v shard.View) shard.View {
		if v.Leader == node {
			v.Leader, v.Backup = v.Backup, v.Leader
		}
		v.InSync = v.InSync && v.Backup != node
		return v
	}
}

// swapped is the change that lets all backups lead.
func swapped(_ int, v shard.View) shard.View {
	v.Leader, v.Backup = v.Backup, v.Leader
	return v
}

// current is the views that the nodes act by, as they are told.
func (s *fakeStore) current() []wire.View {
	s.lock.Lock()
	defer s.lock.Unlock()
	return frameOf(s.views)
}

// frameOf is what a frame says of views.
func frameOf(views []shard.View) (all []wire.View) {
	for _, v := range views {
		all = append(all, wire.View{Epoch: v.Epoch, Leader: uint64(v.Leader), Backup: uint64(v.Backup), InSync: v.InSync})
	}
	return all
}

// sendViews sends views on all open connections of a node, and after each welcome from now on.
func (n *fakeNode) sendViews(views []wire.View) {
	n.lock.Lock()
	defer n.lock.Unlock()
	n.views = slices.Clone(views)
	for _, conn := range n.open {
		// some have been closed
		_, _ = conn.Write(wire.NewCodec().AppendFrame(nil, &wire.Message{Kind: wire.Views, Views: views}))
	}
}

// setDeaf makes a node deaf, or hear again.
func (n *fakeNode) setDeaf(deaf bool) {
	n.lock.Lock()
	defer n.lock.Unlock()
	n.deaf = deaf
}

// awaitViews polls until the gateway has the views that the nodes act by.
func (r *rig) awaitViews() {
	r.t.Helper()
	for end := time.Now().Add(patience); !slices.Equal(frameOf(currentViews(r.wiring.Views).Views),
		r.store.current()); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("the gateway has the views %v", currentViews(r.wiring.Views).Views)
		}
	}
}
