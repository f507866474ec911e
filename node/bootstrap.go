package main

import (
	"time"

	"tandem/node/store"
	"tandem/shard"
	"tandem/shard/views"
	"tandem/wire/peer"
)

// sayWhy is how often a node that waits for the others says so.
const sayWhy = 5 * time.Second

// heardGreeting is what a node's store said of itself.
type heardGreeting struct {
	Node     int
	Greeting shard.Greeting
}

// callOthers greets the other nodes again and again, while this node's folder has no view service's state.
func callOthers(s starting) starting {
	if len(s.saved) > 0 {
		return s
	}
	heard, over := make(chan heardGreeting), make(chan struct{})
	for peer := range s.wiring.Members {
		if peer != s.wiring.Self {
			go callAround(&s.wiring.Node, &s.wiring.Peers, peer, heard, over)
		}
	}
	s.heard, s.over = heard, over
	return s
}

// awaitBootstrap is what a node does whose folder has no view service's state: it waits until the greetings of the
// others say that a cluster is bootstrapped with it or was bootstrapped without it (rules R13, R14), and hands over the
// saved entries to start from, stored, which is none for a store that has yet to join. A node that was stopped in
// between begins anew here. Greetings come again and again, the newest of a node counts; once this has handed saved
// entries over, this node's own greeting is to say so.
func awaitBootstrap(s starting) starting {
	if len(s.saved) > 0 {
		return s
	}
	defer close(s.over)
	l, log := s.wiring.Layout, s.wiring.Log
	greetings := make([]shard.Greeting, l.Nodes)
	said := time.NewTicker(sayWhy)
	defer said.Stop()
	for {
		bootstrap := views.DecideBootstrap(l, s.wiring.Member, greetings)
		switch {
		case bootstrap.Join:
			log.Info("the cluster was bootstrapped without this store: it joins")
			return s
		case bootstrap.Members != nil:
			s.saved = views.InitialEntries(l, bootstrap.Members)
			parts := []store.Part{store.SavedPart(store.RaftFamilyID(s.wiring.DB), s.saved, nil)}
			log.Info("the cluster is bootstrapped", "nodes", l.Nodes, "shards", l.Shards)
			stored := store.Store(store.Storing{DB: s.wiring.DB, Log: s.log, Parts: parts})
			s.log, s.err = stored.Log, stored.Err
			return s
		}
		select {
		case h := <-s.heard:
			if h.Node >= 0 && h.Node < l.Nodes {
				greetings[h.Node] = h.Greeting
			}
		case <-said.C:
			log.Info("waiting", "reason", bootstrap.Reason)
		}
	}
}

// callEvery is how often a node that waits for the bootstrap asks the others.
const callEvery = 100 * time.Millisecond

// callAround greets a peer again and again, and hands over what its store says of itself.
func callAround(node *Node, peers *Peers, other int, heard chan<- heardGreeting, over <-chan struct{}) {
	mine := func() shard.Greeting { return greeting(node) }
	for {
		c := peer.Dial(peers.Names[other], silence(node.Config), mine, node.Members[other].Name)
		if noteDial(node, peers, other, c.Err) == nil {
			c.Raw.Close()
			select {
			case heard <- heardGreeting{other, c.Theirs}:
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
