package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"tandem/shard"
	"tandem/wire"
)

// errViews is the class of a frame of views that cannot be those of this cluster.
var errViews = errors.New("impossible views")

// viewReport is what a node says the views are.
type viewReport struct {
	by          string
	incarnation [16]byte // of its cluster
	views       []wire.View
}

// viewSet is the views by shard as they are known, of the cluster that is served, and a channel that is closed as soon
// as there is another view set. The slice itself never changes.
type viewSet struct {
	Views    []shard.View
	Cluster  [16]byte // its incarnation; zero while none is chosen
	Late     bool     // the nodes that can be reached have had the time to say of which they are
	Reported string   // of which cluster each node says that it is, for people
	Changed  chan struct{}
}

// currentViews returns the view set in its cell: a channel of one element, which a reader takes out and puts back.
func currentViews(cell chan viewSet) viewSet {
	set := <-cell
	cell <- set
	return set
}

// refreshViews returns the view set as it is now, without a look at the cell if it has not changed.
func refreshViews(cell chan viewSet, set viewSet) viewSet {
	select {
	case <-set.Changed:
		set = <-cell
		cell <- set
	default:
	}
	return set
}

// mergeReports is the loop that takes in what the nodes report, changes the cluster and the view set in the cell, and
// nudges the connections to the nodes concerned (rule R19). Views of any other cluster are left out.
func mergeReports(wiring *wiring) {
	logged, waited := time.Time{}, time.NewTimer(chooseClusterAfter)
	by, late := make([][16]byte, len(wiring.Members)), false
	for {
		var report viewReport
		select {
		case report = <-wiring.ViewReports:
		case s := <-wiring.ClusterReports:
			by[s.node] = s.incarnation
			if updateCluster(wiring, by, late) {
				nudge(slices.Concat(wiring.Links...))
			}
			s.done <- struct{}{}
			continue
		case <-waited.C:
			if late = true; updateCluster(wiring, by, late) {
				nudge(slices.Concat(wiring.Links...))
			}
			continue
		}
		old := <-wiring.Views
		if report.incarnation != old.Cluster || report.incarnation == [16]byte{} {
			wiring.Views <- old
			continue
		}
		views, changed, err := mergeViews(wiring.Layout, old.Views, report.views)
		set := old
		if len(changed) > 0 {
			set.Views, set.Changed = views, make(chan struct{})
		}
		wiring.Views <- set
		if len(changed) > 0 {
			close(old.Changed) // after the new ones are there: who waits looks at once
		}
		if err != nil && time.Since(logged) > logInterval {
			logged = time.Now()
			wiring.Log.Warn("a node's views are left out", "peer", report.by, "error", err)
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
func nudge(links []*linkHandle) {
	for _, link := range links {
		select {
		case link.Nudge <- struct{}{}:
		default: // it has one to come
		}
	}
}

// mergeViews returns the views with those that have a higher epoch in what a node says, and which shards they are of.
// Nodes learn of changes at different times, so what is older is no fault. Error: errViews; then nothing has changed.
func mergeViews(l shard.Layout, old []shard.View, news []wire.View) (views []shard.View, changed []int, err error) {
	if len(news) != l.Shards {
		return old, nil, fmt.Errorf("%w: expected those of %d shards, found %d", errViews, l.Shards, len(news))
	}
	views = old
	for s, v := range news {
		first, second := shard.Pair(l, s)
		straight := v.Leader == uint64(first) && v.Backup == uint64(second)
		if swapped := v.Leader == uint64(second) && v.Backup == uint64(first); !straight && !swapped {
			return old, nil, fmt.Errorf("%w: shard %d: expected nodes %d and %d, found %d and %d", errViews, s, first,
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
