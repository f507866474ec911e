package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"tandem/shard"
	"tandem/wire/peer"
)

const (
	refusedFor  = 5 * time.Second // a refusal counts for so long: whoever is refused comes again and again
	refusedMost = 64              // refusals that are kept at a time: anybody can say any name
)

// refusal is a greeting that did not fit, or with an empty Misfit one that did after all.
type refusal struct {
	Peer    string // role and name of the other side
	Misfit  shard.Misfit
	Text    string
	at      time.Time
	said    time.Time
	further int // of the same kind since it was said
}

// runRefusals is the loop that knows who was refused, and by whom this node was: it says so in the log, about each side
// every ten seconds at most, and tells STATUS.
func runRefusals(node *Node, peers *Peers) {
	known := map[string]refusal{}
	for {
		select {
		case r := <-peers.Refused:
			now := time.Now()
			isOver := func(_ string, old refusal) bool { return now.Sub(old.at) > max(refusedFor, sayEvery) }
			maps.DeleteFunc(known, isOver)
			old, again := known[r.Peer]
			if r.Misfit == "" {
				if delete(known, r.Peer); again {
					node.Log.Info("a connection that was refused fits now", "peer", r.Peer)
				}
				continue
			}
			if !again && len(known) >= refusedMost {
				continue
			}
			r.at, r.said, r.further = now, old.said, old.further+1
			if r.Misfit != old.Misfit || now.Sub(old.said) > sayEvery {
				node.Log.Warn("a connection is refused", "peer", r.Peer, "reason", r.Misfit, "detail", r.Text, "times",
					r.further)
				r.said, r.further = now, 0
			}
			known[r.Peer] = r
		case ask := <-peers.Refusals:
			list, now := map[string]string{}, time.Now()
			for _, peer := range slices.Sorted(maps.Keys(known)) {
				if r := known[peer]; now.Sub(r.at) < refusedFor {
					list[peer] = string(r.Misfit) + ": " + r.Text
				}
			}
			ask <- list
		}
	}
}

// noteRefusal hands a refusal to the loop that knows them; what does not fit its queue comes again.
func noteRefusal(peers *Peers, peer string, misfit shard.Misfit, text string) {
	select {
	case peers.Refused <- refusal{Peer: peer, Misfit: misfit, Text: text}:
	default:
	}
}

// noteDial tells the loop that knows refusals what came of a dial to node other, and returns the dial's error in this
// node's words, as errPeer if the two do not work together. What nobody answered says nothing of a refusal.
func noteDial(node *Node, peers *Peers, other int, err error) error {
	member, misfit := node.Members[other], peer.MisfitError{}
	if err != nil && !errors.As(err, &misfit) {
		return err
	}
	text := misfit.Text
	if misfit.Refused {
		text = member.Name + " refuses this node: " + text
	}
	if err == nil || misfit.In != "" {
		noteRefusal(peers, "to node "+member.Name, misfit.In, text)
	}
	switch {
	case misfit.Refused:
		return fmt.Errorf("%w: %s", errPeer, text)
	case err != nil:
		return fmt.Errorf("%w at %s: %s", errPeer, member.Address, text)
	}
	return nil
}
