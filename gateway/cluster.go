package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"tandem/shard"
)

// chooseAfter is how long a gateway that has just started waits for a majority of the nodes to say of which cluster
// they are.
const chooseAfter = time.Second

// said is what a node says of its cluster in its welcome; done gets an element when it is taken into account.
type said struct {
	node        int
	incarnation [16]byte
	done        chan<- struct{}
}

// refused is the error of a connection whose two sides do not fit.
type refused struct {
	in   shard.Misfit
	text string
}

func (r refused) Error() string { return r.text }

// elect puts another cluster into the cell if what the nodes have said calls for it, and returns whether it did. The
// views of a cluster that was served before say nothing about the new one.
func elect(wiring *Wiring, by [][16]byte, waited bool) bool {
	old := <-wiring.Views
	look := old
	look.Said, look.Late = tellSaid(wiring, by), waited
	if look.Cluster = shard.ChooseCluster(by, old.Cluster, waited); wiring.Config.Incarnation != "" {
		look.Cluster = uuid.MustParse(wiring.Config.Incarnation) // was checked at the start
	}
	chosen := look.Cluster != old.Cluster
	if chosen || look.Said != old.Said {
		look.Changed = make(chan struct{})
	}
	if chosen {
		look.Views = make([]shard.View, wiring.Layout.Shards)
		for s := range look.Views {
			look.Views[s] = shard.BirthView(wiring.Layout, s)
		}
	}
	wiring.Views <- look
	if look.Changed != old.Changed {
		close(old.Changed)
	}
	switch {
	case chosen && old.Cluster != [16]byte{}:
		wiring.Log.Warn("the nodes belong to another cluster now, which this gateway serves from now on",
			"incarnation", uuid.UUID(look.Cluster), "before", uuid.UUID(old.Cluster), "nodes", look.Said)
	case chosen:
		wiring.Log.Info("serving a cluster", "incarnation", uuid.UUID(look.Cluster), "nodes", look.Said)
	case waited && look.Cluster == [16]byte{} && look.Said != old.Said &&
		slices.ContainsFunc(by, func(id [16]byte) bool { return id != [16]byte{} }):
		wiring.Log.Warn("it is not known which cluster to serve; --incarnation can say so", "nodes", look.Said)
	}
	return chosen
}

// tellSaid says which incarnation each node has named, by name.
func tellSaid(wiring *Wiring, by [][16]byte) string {
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

// barred tells why a connection to a node of a cluster may carry no request, by which cluster is served; nil if it may.
func barred(look outlook, incarnation [16]byte) error {
	switch {
	case incarnation == [16]byte{}:
		return errors.New("it belongs to no cluster yet")
	case look.Cluster == [16]byte{} && !look.Late:
		return errors.New("it is not known yet which cluster to serve")
	case look.Cluster == [16]byte{}:
		return refused{shard.OtherIncarnation,
			"it is not known which cluster to serve; the nodes name as theirs: " + look.Said}
	case look.Cluster != incarnation:
		return refused{shard.OtherIncarnation,
			fmt.Sprintf("it belongs to another cluster of that name, with the incarnation %s instead of %s",
				uuid.UUID(incarnation), uuid.UUID(look.Cluster))}
	}
	return nil
}
