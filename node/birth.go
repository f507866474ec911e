package main

import (
	"errors"
	"time"

	"github.com/google/uuid"

	"tandem/shard"
	"tandem/shard/views"
)

// ErrMember is the class of a store id that is no UUID.
var ErrMember = errors.New("bad store id")

// memberID returns the member id of a node's store. Error: ErrMember.
func memberID(self int, facts Facts) (uint64, error) {
	store, err := uuid.Parse(facts.Store)
	if err != nil {
		return 0, errors.Join(ErrMember, err)
	}
	return shard.MemberOf(shard.MemberID(self, store), facts.Generation), nil
}

// sayWhy is how often a node that waits for the others says so.
const sayWhy = 5 * time.Second

// heardGreeting is what a node's store said of itself.
type heardGreeting struct {
	Node     int
	Greeting shard.Greeting
}

// awaitBirth is what a node does whose folder has no council's state: it waits until the greetings of the others say
// that a cluster is born with it or was born without it (rules R13, R14), and hands over the saved state to start from,
// stored, which is none for a store that has yet to join. A node that was stopped in between begins anew here.
// Greetings come again and again, the newest of a node counts; once this has handed facts over, this node's own
// greeting is to say so.
func awaitBirth(room *Room, w written, heard <-chan heardGreeting, out chan<- opened) {
	l, log := room.Layout, room.Log
	greetings := make([]shard.Greeting, l.Nodes)
	said := time.NewTicker(sayWhy)
	defer said.Stop()
	for {
		birth := views.DecideBootstrap(l, room.Member, greetings)
		switch {
		case birth.Join:
			log.Info("the cluster was born without this store: it joins")
			out <- opened{written: w}
			return
		case birth.Members != nil:
			facts := views.InitialEntries(l, birth.Members)
			parts := []Part{{}, buildFacts(room.Store.raftID, facts, nil)}
			w, parts[0] = headPart(w, parts[1:])
			log.Info("the cluster is born", "nodes", l.Nodes, "shards", l.Shards)
			err := writeBatch(room.Store, joinParts(nil, parts))
			out <- opened{saved: facts, written: w, err: err}
			return
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

// callEvery is how often a node that waits for the birth asks the others.
const callEvery = 100 * time.Millisecond

// callAround greets a peer again and again, and hands over what its store says of itself.
func callAround(room *Room, peer int, heard chan<- heardGreeting, over <-chan struct{}) {
	for {
		dialled := make(chan call, 1)
		go dial(room, peer, dialled)
		if c := <-dialled; c.err == nil {
			c.raw.Close()
			select {
			case heard <- heardGreeting{peer, c.theirs}:
			case <-over:
				return
			}
		}
		select {
		case <-time.After(callEvery):
		case <-over:
			return
		}
	}
}
