package main

import (
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"tandem/shard"
)

// ErrMember is the class of a store id that is no UUID.
var ErrMember = errors.New("bad store id")

// memberID returns the member id of a node's store. Error: ErrMember.
func memberID(self int, facts Facts) (uint64, error) {
	store, err := uuid.Parse(facts.Store)
	if err != nil {
		return 0, errors.Join(ErrMember, err)
	}
	return shard.MemberID(self, store), nil
}

// sayWhy is how often a node that waits for the others says so.
const sayWhy = 5 * time.Second

// heardGreeting is what a node's store said of itself.
type heardGreeting struct {
	Node     int
	Greeting shard.Greeting
}

// awaitBirth is what a node does whose folder has no council's state: it waits until the greetings of the others say that a cluster is born
// with it or was born without it (rules R13, R14), and returns the saved state to start from, stored, which is none for a store that
// has yet to join. A node that was stopped in between begins anew here. Greetings come again and again, the newest of a node counts;
// once this has returned facts, this node's own greeting is to say so.
func awaitBirth(st Store, l shard.Layout, self uint64, heard <-chan heardGreeting, log *slog.Logger) ([]shard.Fact, error) {
	greetings := make([]shard.Greeting, l.Nodes)
	said := time.NewTicker(sayWhy)
	defer said.Stop()
	for {
		birth := shard.DecideBirth(l, self, greetings)
		switch {
		case birth.Join:
			log.Info("the cluster was born without this store: it joins")
			return nil, nil
		case birth.Members != nil:
			facts := shard.Born(l, birth.Members)
			part := buildFacts(st.raftID, facts, nil)
			log.Info("the cluster is born", "nodes", l.Nodes, "shards", l.Shards)
			return facts, writeBatch(st, joinParts(nil, []Part{part}))
		}
		select {
		case h := <-heard:
			if h.Node >= 0 && h.Node < l.Nodes {
				greetings[h.Node] = h.Greeting
			}
		case <-said.C:
			log.Info("waiting", "reason", birth.Reason)
		}
	}
}
