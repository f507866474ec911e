package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"tandem/shard"
	"tandem/wire/peer"
)

// chooseClusterAfter is how long a gateway that has just started waits for a majority of the nodes to report their
// cluster.
const chooseClusterAfter = time.Second

// clusterReport is what a node says of its cluster in its welcome; done gets an element when it is taken into account.
type clusterReport struct {
	node        int
	incarnation [16]byte
	done        chan<- struct{}
}

// updateCluster puts another cluster into the cell if what the nodes have reported calls for it, and returns whether it
// did. The views of a cluster that was served before say nothing about the new one.
func updateCluster(wiring *wiring, by [][16]byte, waited bool) bool {
	old := <-wiring.Views
	set := old
	set.Reported, set.Late = listReports(wiring, by), waited
	if set.Cluster = shard.ChooseCluster(by, old.Cluster, waited); wiring.Config.Incarnation != "" {
		set.Cluster = uuid.MustParse(wiring.Config.Incarnation) // was checked at the start
	}
	chosen := set.Cluster != old.Cluster
	if chosen || set.Reported != old.Reported {
		set.Changed = make(chan struct{})
	}
	if chosen {
		set.Views = make([]shard.View, wiring.Layout.Shards)
		for s := range set.Views {
			set.Views[s] = shard.InitialView(wiring.Layout, s)
		}
	}
	wiring.Views <- set
	if set.Changed != old.Changed {
		close(old.Changed)
	}
	switch {
	case chosen && old.Cluster != [16]byte{}:
		wiring.Log.Warn("the nodes belong to another cluster now, which this gateway serves from now on",
			"incarnation", uuid.UUID(set.Cluster), "before", uuid.UUID(old.Cluster), "nodes", set.Reported)
	case chosen:
		wiring.Log.Info("serving a cluster", "incarnation", uuid.UUID(set.Cluster), "nodes", set.Reported)
	case waited && set.Cluster == [16]byte{} && set.Reported != old.Reported &&
		slices.ContainsFunc(by, func(id [16]byte) bool { return id != [16]byte{} }):
		wiring.Log.Warn("it is not known which cluster to serve; --incarnation can say so", "nodes", set.Reported)
	}
	return chosen
}

// listReports says which incarnation each node has reported, by name.
func listReports(wiring *wiring, by [][16]byte) string {
	var parts []string
	for node, id := range by {
		text := "none"
		if id != [16]byte{} {
			text = uuid.UUID(id).String()
		}
		parts = append(parts, wiring.Members[node].Name+" "+text)
	}
	return strings.Join(parts, ", ")
}

// checkCluster tells why a connection to a node of a cluster may carry no request, by which cluster is served; nil if
// it may.
func checkCluster(set viewSet, incarnation [16]byte) error {
	switch {
	case incarnation == [16]byte{}:
		return errors.New("it belongs to no cluster yet")
	case set.Cluster == [16]byte{} && !set.Late:
		return errors.New("it is not known yet which cluster to serve")
	case set.Cluster == [16]byte{}:
		return peer.MisfitError{In: shard.OtherIncarnation,
			Text: "it is not known which cluster to serve; the nodes name as theirs: " + set.Reported}
	case set.Cluster != incarnation:
		return peer.MisfitError{In: shard.OtherIncarnation,
			Text: fmt.Sprintf("it belongs to another cluster of that name, with the incarnation %s instead of %s",
				uuid.UUID(incarnation), uuid.UUID(set.Cluster))}
	}
	return nil
}
