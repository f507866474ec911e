package main

import (
	"testing"

	"tandem/shard"
	"tandem/shard/replica"
)

// Before the views are learnt a replica has no role.
func TestARoleIsUnknownUntilTheViewsAreLearnt(t *testing.T) {
	handle := newReplicaHandle()
	states := []replica.State{{Shard: 0}, {Shard: 1, Known: true, View: shard.View{Leader: 0, Backup: 1}},
		{Shard: 2, Known: true, View: shard.View{Leader: 1, Backup: 0}}}
	go func() {
		for asks := range handle.Inspect {
			list := []inspection{}
			for _, s := range states {
				list = append(list, inspection{State: s})
			}
			asks <- list
		}
	}()
	for i, h := range holdings(&Node{}, &Handles{Loops: []*replicaHandle{handle}}) {
		if want := []string{unknownRole, "leader", "backup"}[i]; h.Role != want {
			t.Errorf("shard %d: the role is %s, expected %s", h.Shard, h.Role, want)
		}
	}
}
