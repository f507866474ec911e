package main

import (
	"testing"
	"time"

	"tandem/shard"
	"tandem/shard/replica"
)

// A node that leaves does not give a shard up because the other node is being dialled anew just then.
func TestALeaverWaitsForWhoIsDialledAnew(t *testing.T) {
	led, backed := shard.View{Epoch: 3, Leader: 1, Backup: 2, InSync: true}, shard.View{Epoch: 3, Leader: 2, Backup: 1}
	for name, c := range map[string]struct {
		view       shard.View
		peerLeaves bool
		unreached  time.Duration
		want       bool
	}{
		"connected":                   {led, false, 0, true},
		"dialled anew":                {led, false, redialMost, true},
		"out of reach for long":       {led, false, reachFor, false},
		"the other one leaves, too":   {led, true, 0, false},
		"the other one leads":         {backed, false, 0, false},
		"the other one leads, leaves": {backed, true, reachFor, false},
	} {
		r := &replica.State{Known: true, View: c.view}
		if got := waitsFor(r, 1, c.peerLeaves, c.unreached); got != c.want {
			t.Errorf("%s: found %v, expected %v", name, got, c.want)
		}
		if waitsFor(&replica.State{View: c.view}, 1, c.peerLeaves, c.unreached) {
			t.Errorf("%s: it waits before it knows a view", name)
		}
	}
}
