package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"tandem/shard"
	"tandem/wire"
)

// ErrViews is the class of a frame of views that cannot be those of this cluster.
var ErrViews = errors.New("impossible views")

// told is what a node says the views are.
type told struct {
	by          string
	incarnation [16]byte // of its cluster
	views       []wire.View
}

// outlook is the views by shard as they are known, of the cluster that is served, and a channel that is closed as soon
// as there is another outlook. The slice itself never changes.
type outlook struct {
	Views   []shard.View
	Cluster [16]byte // its incarnation; zero while none is chosen
	Late    bool     // the nodes that can be reached have had the time to say of which they are
	Said    string   // of which cluster each node says that it is, for people
	Changed chan struct{}
}

// viewsIn looks at the views in their cell: a channel of one element, which who reads it takes out and puts back.
func viewsIn(cell chan outlook) outlook {
	look := <-cell
	cell <- look
	return look
}

// lookAgain returns the views as they are known now, without a look at the cell if they have not changed.
func lookAgain(cell chan outlook, look outlook) outlook {
	select {
	case <-look.Changed:
		look = <-cell
		cell <- look
	default:
	}
	return look
}

// learnViews takes in what the nodes say, changes the cluster and the views in the cell, and nudges the connections to
// the nodes concerned (rule R19). Views of any other cluster are left out.
func learnViews(wiring *Wiring) {
	logged, waited := time.Time{}, time.NewTimer(chooseAfter)
	by, late := make([][16]byte, len(wiring.Members)), false
	for {
		var t told
		select {
		case t = <-wiring.Told:
		case s := <-wiring.Said:
			by[s.node] = s.incarnation
			if elect(wiring, by, late) {
				nudge(slices.Concat(wiring.Links...))
			}
			s.done <- struct{}{}
			continue
		case <-waited.C:
			if late = true; elect(wiring, by, late) {
				nudge(slices.Concat(wiring.Links...))
			}
			continue
		}
		old := <-wiring.Views
		if t.incarnation != old.Cluster || t.incarnation == [16]byte{} {
			wiring.Views <- old
			continue
		}
		views, changed, err := mergeViews(wiring.Layout, old.Views, t.views)
		look := old
		if len(changed) > 0 {
			look.Views, look.Changed = views, make(chan struct{})
		}
		wiring.Views <- look
		if len(changed) > 0 {
			close(old.Changed) // after the new ones are there: who waits looks at once
		}
		if err != nil && time.Since(logged) > logEvery {
			logged = time.Now()
			wiring.Log.Warn("a node's views are left out", "peer", t.by, "error", err)
		}
		wiring.Metrics.ViewChanges.Add(float64(len(changed)))
		concerned := make([]bool, wiring.Layout.Nodes)
		for _, s := range changed {
			concerned[views[s].Leader], concerned[views[s].Backup] = true, true
		}
		for node, is := range concerned {
			if is {
				nudge(wiring.Links[node])
			}
		}
	}
}

// nudge has connections look at once whether they work, or be dialled.
func nudge(links []*Link) {
	for _, link := range links {
		select {
		case link.Nudge <- struct{}{}:
		default: // it has one to come
		}
	}
}

// mergeViews returns the views with those that have a higher epoch in what a node says, and which shards they are of.
// Nodes learn of changes at different times, so what is older is no fault. Error: ErrViews; then nothing has changed.
func mergeViews(l shard.Layout, old []shard.View, news []wire.View) (views []shard.View, changed []int, err error) {
	if len(news) != l.Shards {
		return old, nil, fmt.Errorf("%w: expected those of %d shards, found %d", ErrViews, l.Shards, len(news))
	}
	views = old
	for s, v := range news {
		first, second := shard.Pair(l, s)
		straight := v.Leader == uint64(first) && v.Backup == uint64(second)
		if swapped := v.Leader == uint64(second) && v.Backup == uint64(first); !straight && !swapped {
			return old, nil, fmt.Errorf("%w: shard %d: expected nodes %d and %d, found %d and %d", ErrViews, s, first,
				second, v.Leader, v.Backup)
		}
		if v.Epoch <= old[s].Epoch {
			continue
		}
		if len(changed) == 0 {
			views = slices.Clone(old)
		}
		views[s] = shard.View{Epoch: v.Epoch, Leader: int(v.Leader), Backup: int(v.Backup), InSync: v.InSync}
		changed = append(changed, s)
	}
	return views, changed, nil
}
