package views

import (
	"fmt"
	"slices"
	"tandem/shard"
	"testing"
)

func TestServiceBootstrapsAlikeEverywhere(t *testing.T) {
	l := shard.Layout{Nodes: 3, Shards: 24}
	members := []uint64{shard.MemberID(0, [16]byte{3}), shard.MemberID(1, [16]byte{2}), shard.MemberID(2, [16]byte{1})}
	if !sameEntries(InitialEntries(l, members), InitialEntries(l, slices.Clone(members))) {
		t.Error("two bootstraps differ")
	}
	c, err := Load(Process{Member: members[1], Most: InitialVersion}, l, DefaultTiming, InitialEntries(l, members), 0)
	if err != nil || c.State.Index != 1 || c.State.Views[4] != shard.InitialView(l, 4) || !slices.Equal(c.State.Members,
		members) {
		t.Errorf("%v %v", c.State, err)
	}
}

// TestServiceLeaderKilled kills the Raft leader again and again and takes the time until a change that a surviving node
// asks for is known to all survivors.
func TestServiceLeaderKilled(t *testing.T) {
	for _, nodes := range []int{3, 5} {
		t.Run(fmt.Sprint(nodes), func(t *testing.T) {
			n := newServiceNet(t, nodes, uint64(nodes))
			longest, sum := int64(0), int64(0)
			const kills = 300
			for range kills {
				n.same()
				lead := n.mustLead()
				n.run(n.chance.Int64N(60*msec), nil)
				if lead != n.leader() {
					t.Fatal("the leader changed without a cause")
				}
				n.kill(lead)
				killed := n.now
				survivor, s := (lead+1+n.chance.IntN(nodes-1))%nodes, n.chance.IntN(n.l.Shards)
				epoch := n.nodes[survivor].state.Views[s].Epoch + 1
				n.propose(survivor, s, flip)
				if !n.run(1000*msec, n.agreed(s, epoch)) {
					t.Fatal("no agreement")
				}
				longest, sum = max(longest, n.now-killed), sum+n.now-killed
				n.start(lead)
				n.run(100*msec, nil)
			}
			t.Logf("%d nodes, %d kills: agreed again after %.1f ms on average, %.1f ms at the latest", nodes, kills,
				float64(sum)/kills/msec, float64(longest)/msec)
			if longest > 200*msec { // of the 200 ms that the budget has for it
				t.Errorf("%d ms are too long", longest/msec)
			}
		})
	}
}

func TestServiceIsCalm(t *testing.T) {
	for _, disk := range []int64{4 * msec, 70 * msec} { // a slow disk alone unseats no leader
		n := newServiceNet(t, 3, 1)
		n.disk = disk
		n.same()
		n.mustLead()
		n.run(1000*msec, nil)
		elected := n.elected
		for s := range 20 {
			n.propose(s%3, s%9, flip)
			n.run(250*msec, nil)
		}
		n.same()
		if n.elected != elected {
			t.Errorf("disk of %d ms: %d elections without a cause", disk/msec, n.elected-elected)
		}
	}
}

// TestServiceThroughFaults loses messages, kills, pauses and cuts at random; the net itself holds that states agree.
func TestServiceThroughFaults(t *testing.T) {
	for seed := range uint64(12) {
		nodes := 3 + 2*int(seed%2)
		n := newServiceNet(t, nodes, seed)
		n.loss, n.disk = 0.1, 20*msec
		for range 150 {
			i, j := n.chance.IntN(nodes), n.chance.IntN(nodes)
			switch at := n.nodes[i]; n.chance.IntN(8) {
			case 0:
				if at.alive {
					n.kill(i)
				}
			case 1, 2:
				if !at.alive {
					n.start(i)
				}
			case 3:
				at.paused = n.now + n.chance.Int64N(400*msec)
			case 4:
				n.cut = func(from, to int) bool { return from == i && (to == j || j == 0) }
			case 5:
				n.cut = nil
			default:
				if at.alive && at.state.Index > 0 {
					n.propose(i, n.chance.IntN(n.l.Shards), flip)
				}
			}
			n.run(n.chance.Int64N(150*msec), nil)
		}
		n.loss, n.cut = 0, nil
		for i, at := range n.nodes {
			if !at.alive {
				n.start(i)
			}
			at.open = nil
		}
		n.run(1000*msec, nil)
		n.same()
		s := n.chance.IntN(n.l.Shards)
		epoch := n.nodes[0].state.Views[s].Epoch + 1
		n.propose(0, s, flip)
		if !n.run(1000*msec, n.agreed(s, epoch)) {
			t.Errorf("seed %d: no agreement after all is well again", seed)
		}
	}
}

func TestServiceSameSeedSameTrace(t *testing.T) {
	trace := func() uint64 {
		n := newServiceNet(t, 5, 11)
		n.loss = 0.05
		for range 30 {
			lead := n.mustLead()
			n.propose(lead, n.chance.IntN(9), flip)
			n.run(100*msec, nil)
			n.kill(lead)
			n.run(200*msec, nil)
			n.start(lead)
		}
		return n.trace
	}
	if a, b := trace(), trace(); a != b {
		t.Errorf("%x and %x", a, b)
	}
}

func TestServiceLogIsCutShort(t *testing.T) {
	n := newServiceNet(t, 3, 3)
	n.mustLead()
	for i := range 3 * compactEvery {
		n.propose(i%3, i%9, flip)
		n.run(12*msec, nil)
		if i == compactEvery/2 {
			n.kill(2)
		}
	}
	n.same()
	for i, at := range n.nodes[:2] {
		if at.state.Index < 3*compactEvery/2 || len(at.disk) > compactEvery+keepEntries+100 {
			t.Errorf("node %d keeps %d entries at index %d", i, len(at.disk), at.state.Index)
		}
	}
	n.loss = 0.3 // snapshots that are lost are sent again
	n.start(2)
	n.run(2000*msec, nil)
	n.loss = 0
	n.same()
	for i := range n.nodes {
		n.kill(i)
	}
	for i := range n.nodes {
		n.start(i)
	}
	n.same()
}

func TestServiceUnhealthyDiskLooksDead(t *testing.T) {
	n := newServiceNet(t, 3, 6)
	lead := n.mustLead()
	n.propose(lead, 0, flip)
	n.run(2*msec, nil) // a write is under way
	n.add(0, happening{node: lead, event: Event{Kind: DiskChanged, Unhealthy: true}})
	if !n.run(200*msec, func() bool {
		return n.leader() >= 0 && n.leader() != lead &&
			n.nodes[n.leader()].state.Index > 0
	}) {
		t.Fatal("nobody took over")
	}
	n.run(300*msec, nil)
	n.add(0, happening{node: lead, event: Event{Kind: DiskChanged}})
	term := n.nodes[(lead+1)%3].service.Term
	n.run(500*msec, nil)
	n.same()
	if n.nodes[lead].service.Term != term {
		t.Error("a node that is well again unseats the leader")
	}
}

// TestServiceTailIsOverwritten has a leader that is cut off store entries that the others never see.
func TestServiceTailIsOverwritten(t *testing.T) {
	n := newServiceNet(t, 3, 12)
	lead := n.mustLead()
	n.same()
	n.cut = func(from, to int) bool { return from == lead || to == lead }
	n.propose(lead, 0, flip)
	n.run(90*msec, nil)
	n.nodes[lead].open = nil
	n.run(400*msec, nil)
	n.propose(n.mustLead(), 1, flip)
	n.run(100*msec, nil)
	long := n.nodes[lead].service.high
	n.cut = nil
	n.same()
	if now := n.nodes[lead].service.high; now >= long {
		t.Fatalf("nothing was overwritten: the log went up to %d and does to %d", long, now)
	}
	n.kill(lead)
	n.start(lead) // refuses a log in which terms go back
	n.same()
}

func TestServicePausedFollowerDisturbsNobody(t *testing.T) {
	n := newServiceNet(t, 3, 8)
	lead := n.mustLead()
	n.run(200*msec, nil)
	elected := n.elected
	for range 10 {
		n.nodes[(lead+1)%3].paused = n.now + 300*msec
		n.run(600*msec, nil)
	}
	if n.leader() != lead || n.elected != elected {
		t.Errorf("%d elections", n.elected-elected)
	}
}

func TestServiceRefusesDamage(t *testing.T) {
	n := newServiceNet(t, 3, 10)
	n.mustLead()
	for range 5 {
		n.propose(0, 0, flip)
		n.run(100*msec, nil)
	}
	at := n.nodes[0]
	load := func(change func(disk map[string][]byte)) error {
		disk, entries := map[string][]byte{}, []SavedEntry{}
		for key, value := range at.disk {
			disk[key] = value
		}
		change(disk)
		for key, value := range disk {
			entries = append(entries, SavedEntry{Key: key, Value: value})
		}
		_, err := Load(n.process(0), n.l, DefaultTiming, entries, 0)
		return err
	}
	entry := func(i byte) string { return keyEntry + "\x00\x00\x00\x00\x00\x00\x00" + string(i) }
	cases := []struct {
		name   string
		change func(map[string][]byte)
		fine   bool
	}{
		{"whole", func(map[string][]byte) {}, true},
		{"gap", func(d map[string][]byte) { delete(d, entry(4)) }, false},
		{"no beginning", func(d map[string][]byte) { delete(d, entry(2)) }, false},
		{"committed tail lost", func(d map[string][]byte) {
			for i := byte(3); i < 20; i++ {
				delete(d, entry(i))
			}
		}, false},
		{"no snapshot", func(d map[string][]byte) { delete(d, keySnapshot) }, false},
		{"garbled snapshot", func(d map[string][]byte) { d[keySnapshot] = []byte("garbage") }, false},
		{"garbled entry", func(d map[string][]byte) { d[entry(3)] = []byte("garbage") }, false},
		{"moved entry", func(d map[string][]byte) { d[entry(3)] = d[entry(2)] }, false},
		{"another key", func(d map[string][]byte) { d["x"] = nil }, false},
	}
	for _, c := range cases {
		if err := load(c.change); (err == nil) != c.fine {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := Load(n.process(0), shard.Layout{Nodes: 3, Shards: 30}, DefaultTiming, InitialEntries(n.l,
		[]uint64{1, 2, 3}), 0); err == nil {
		t.Error("another layout is taken")
	}
}

// Two nodes that stand within a vote's time of each other may split the votes of those that are left, and then nobody
// leads for as long again.
func TestTurnsLieApart(t *testing.T) {
	for _, nodes := range []int{3, 5, 9} {
		c := Service{Layout: shard.Layout{Nodes: nodes, Shards: nodes}, Timing: DefaultTiming, last: 1}
		before := int64(0)
		for rank := range nodes - 1 {
			c.Node = (c.last + 1 + rank) % nodes
			turn := turnOf(c)
			if rank > 0 && rank < 4 && turn < before+c.Timing.Rank || turn > 200e6 {
				t.Errorf("%d nodes: rank %d stands after %d ms, the one before after %d ms", nodes, rank, turn/1e6, before/1e6)
			}
			before = turn
		}
	}
}
