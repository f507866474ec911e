package shard

import (
	"strings"
	"testing"
)

// copiesOf gives shards a damaged copy, whose other one is at db-1.
func copiesOf(c DamagedCopy, shards ...int) (all []DamagedCopy) {
	c.Peer = "db-1"
	for _, c.Shard = range shards {
		all = append(all, c)
	}
	return all
}

func TestNodeChecks(t *testing.T) {
	well := NodePart{Learnt: true, Leader: true, NotServing: []string{"", "this replica is not in sync"}}
	for _, c := range []struct {
		name          string
		strike        func(*NodePart)
		check, reason string
		ready         bool
	}{
		{"well", func(*NodePart) {}, "", "", true},
		{"not open", func(p *NodePart) { *p = NodePart{Waiting: "it waits"} }, "data", "it waits", false},
		{"no view", func(p *NodePart) { p.Learnt = false }, "views", "has not learnt", false},
		{"no view and no Raft leader", func(p *NodePart) { p.Learnt, p.Leader = false, false }, "views",
			"knows no Raft leader", false},
		{"replaced", func(p *NodePart) { p.Learnt, p.Replaced = false, "another store has taken its place" }, "views",
			"another store", false},
		{"serves nothing", func(p *NodePart) { p.NotServing[0] = "no lease from db-1" }, "shards", "none of its 2 shards",
			false},
		{"an unhealthy disk", func(p *NodePart) { p.Silent = "no space left" }, "disk", "no space left", false},
		{"no member yet", func(p *NodePart) { p.Learnt, p.Joins = false, true }, "views",
			"no member of the cluster yet", false},
		{"the only copy", func(p *NodePart) { p.Damaged = copiesOf(DamagedCopy{Leads: true}, 3, 9) }, "copies",
			"[3 9] is here and damaged", true},
		{"filled by the leader", func(p *NodePart) { p.Damaged = copiesOf(DamagedCopy{For: 1 << 60}, 3) }, "copies", "",
			true},
		{"taken over by the backup", func(p *NodePart) {
			p.Damaged = copiesOf(DamagedCopy{Leads: true, InSync: true, PeerUp: true, For: StuckFor}, 3)
		}, "copies", "", true},
		{"the peer is down", func(p *NodePart) { p.Damaged = copiesOf(DamagedCopy{Leads: true, InSync: true}, 3) },
			"copies", "[3] are damaged here, and db-1, which", true},
		{"the leader is down", func(p *NodePart) { p.Damaged = copiesOf(DamagedCopy{InSync: true}, 3) }, "copies",
			"cannot be reached", true},
		{"damaged on both", func(p *NodePart) {
			p.Damaged = copiesOf(DamagedCopy{InSync: true, PeerUp: true, For: StuckFor + 1}, 3)
		}, "copies", "db-1 does not serve them either", true},
		{"a peer that is refused",
			func(p *NodePart) { p.Refused = map[string]string{"node db-1": "ring: another order"} }, "peers",
			"node db-1: ring", true},
	} {
		p := well
		p.NotServing = append([]string(nil), well.NotServing...)
		c.strike(&p)
		checks := NodeChecks(p)
		if waits := c.check == "copies" && c.reason != ""; AwaitsOperator(checks) != waits {
			t.Errorf("%s: waits for an operator: %v", c.name, !waits)
		}
		if Ready(checks) != c.ready {
			t.Errorf("%s: ready is %v: %+v", c.name, !c.ready, checks)
		}
		for _, check := range checks {
			if said := check.Reason != ""; check.Name == c.check && !strings.Contains(check.Reason, c.reason) || said &&
				c.reason == "" {
				t.Errorf("%s: %+v, expected %q", c.name, check, c.reason)
			}
		}
	}
}

func TestGatewayChecks(t *testing.T) {
	names := []string{"db-0", "db-1"}
	p := GatewayPart{Up: []bool{true, true}, Refused: []string{"", ""}, Lacks: []string{"", ""}}
	if checks := GatewayChecks(p, names, 0); !Ready(checks) {
		t.Errorf("well: %+v", checks)
	}
	p.Lacks[1], p.Refused[0] = "disk: no space left", "its ring has another order"
	checks := GatewayChecks(p, names, 0)
	if text := checks[2].Reason + checks[3].Reason; !Ready(checks) || !strings.Contains(text, "db-0: its ring") ||
		!strings.Contains(text, "db-1: disk: no space") {
		t.Errorf("what only warns: %+v", checks)
	}
	if checks = GatewayChecks(p, names, 4); Ready(checks) {
		t.Errorf("4 shards without a leader: %+v", checks)
	}
	p.Unknown = "no node has told"
	if checks = GatewayChecks(p, names, 0); Ready(checks) {
		t.Errorf("no cluster is known: %+v", checks)
	}
	if n := UnderReplicated([]View{{Leader: 1}, {Leader: 1, InSync: true}, {Leader: 0}}, 1); n != 1 {
		t.Errorf("%d shards without a backup in sync", n)
	}
	if n := Leaderless([]View{{Leader: 0}, {Leader: 1}, {Leader: 1}}, []bool{true, false}); n != 2 {
		t.Errorf("%d shards without a leader", n)
	}
}
