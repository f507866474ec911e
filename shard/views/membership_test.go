package views

import (
	"math/rand/v2"
	"slices"
	"strings"
	"tandem/shard"
	"testing"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// joined says whether node i's store is a member as all living nodes know it, and their quorum is whole again.
func (n *serviceNet) joined(i int) func() bool {
	return func() bool {
		for _, at := range n.nodes {
			if at.alive && (len(at.state.Members) == 0 || at.state.Members[i] != n.nodes[i].member ||
				len(at.service.Conf.VotersOutgoing)+len(at.service.Conf.Learners) > 0) {
				return false
			}
		}
		return true
	}
}

// hello has the store of node i say hello to all, as its node does.
func (n *serviceNet) hello(i int) {
	for to, at := range n.nodes {
		if to != i && at.alive {
			n.add(msec, happening{node: to, event: Event{Kind: JoinAsked, Member: n.nodes[i].member}})
		}
	}
}

func TestServiceWipedNodeJoins(t *testing.T) {
	for seed := range uint64(30) {
		n := newServiceNet(t, 3+2*int(seed%2), seed)
		n.loss = 0.1 * float64(seed%3)
		n.run(n.chance.Int64N(1000*msec), nil)
		n.mustLead()
		n.run(300*msec, nil)
		i := n.chance.IntN(n.l.Nodes)
		old, disk := n.nodes[i].member, n.nodes[i].disk
		before := n.nodes[(i+1)%n.l.Nodes].state
		n.wipe(i)
		n.start(i)
		for tries := 0; !n.joined(i)(); tries++ {
			if tries == 60 {
				t.Fatalf("seed %d: store %x did not become a member", seed, n.nodes[i].member)
			}
			n.hello(i)
			switch { // a fault in the middle
			case seed%5 == 1 && tries == 7+int(seed)%3:
				n.wipe(i)
				n.start(i)
			case seed%5 == 2 && tries == 6+int(seed)%5:
				lead := n.mustLead()
				n.kill(lead)
				n.start(lead)
			case seed%5 == 3 && tries == 8:
				n.kill(i)
				n.start(i)
			}
			n.run(80*msec, n.joined(i))
		}
		n.loss = 0
		n.same()
		for s, v := range n.nodes[i].state.Views {
			was := before.Views[s]
			want := was
			if was.Leader == i || was.Backup == i {
				want = shard.View{Epoch: was.Epoch + uint64(len(n.nodes[i].state.Replaced)), Leader: was.Leader + was.Backup - i,
					Backup: i, InSync: false}
			}
			if v != want {
				t.Errorf("seed %d: shard %d has %v after %v", seed, s, v, was)
			}
		}
		// the new store counts: with it one node of the others can be lost
		n.kill((i + 1) % n.l.Nodes)
		s := i // its view is alone now
		epoch := n.nodes[i].state.Views[s].Epoch + 1
		n.propose(i, s, flip)
		if !n.run(1000*msec, n.agreed(s, epoch)) {
			t.Fatalf("seed %d: no agreement with the new member", seed)
		}
		n.start((i + 1) % n.l.Nodes)
		n.same()
		// the old folder put back is heard by nobody
		n.kill(i)
		newest := n.nodes[i].disk
		n.nodes[i].member, n.nodes[i].disk = old, disk
		n.start(i)
		term := n.nodes[n.mustLead()].service.Term
		for range 10 {
			n.hello(i)
			n.run(100*msec, nil)
		}
		if at := n.nodes[n.mustLead()]; at.service.Term != term && seed%5 != 2 || at.state.Members[i] == old {
			t.Errorf("seed %d: the old store disturbs: term %d after %d", seed, at.service.Term, term)
		}
		n.kill(i)
		n.nodes[i].member, n.nodes[i].disk = slices.Max([]uint64{n.nodes[(i+1)%n.l.Nodes].state.Members[i]}), newest
		n.start(i)
		n.same()
	}
}

// A change of membership that is over is over after a start of all nodes, too, whatever else is stored since or not: in
// the midst of it the lost store's vote counts.
func TestServiceKeepsThatAChangeIsOver(t *testing.T) {
	n := newServiceNet(t, 3, 31)
	n.mustLead()
	n.run(300*msec, nil)
	n.wipe(1)
	n.start(1)
	for range 30 {
		n.hello(1)
		n.run(80*msec, n.joined(1))
	}
	if !n.joined(1)() {
		t.Fatal("not joined")
	}
	n.run(50*msec, nil) // for what was decided to be stored
	for i := range n.nodes {
		n.kill(i)
	}
	n.kill(0)
	n.nodes[0].disk = map[string][]byte{} // what node 0 could say of it is lost
	n.start(1)
	n.start(2)
	if !n.run(2000*msec, func() bool { return n.nodes[1].state.Index > 0 && n.nodes[2].state.Index > 0 }) {
		t.Errorf("the two others do not agree: %v and %v", n.nodes[1].service.Conf, n.nodes[2].service.Conf)
	}
}

func TestServiceRefusesToLoseTheOnlyCopy(t *testing.T) {
	n := newServiceNet(t, 3, 5)
	n.mustLead()
	n.propose(1, 1, func(v shard.View) shard.View { v.InSync = false; return v }) // node 1 leads shard 1 alone
	n.run(200*msec, nil)
	n.wipe(1)
	n.start(1)
	for range 20 {
		n.hello(1)
		n.run(100*msec, nil)
	}
	if n.nodes[0].state.Members[1] == n.nodes[1].member {
		t.Error("the new store became a member")
	}
	if notes := slices.Concat(n.nodes[0].notes, n.nodes[2].notes); len(notes) != 1 {
		t.Errorf("noted: %q", notes)
	}
}

// TestServiceHearsOnlyItsOwn sends messages that are well-formed and not for this store, or not from a member.
func TestServiceHearsOnlyItsOwn(t *testing.T) {
	n := newServiceNet(t, 3, 13)
	n.mustLead()
	n.run(300*msec, nil)
	n.wipe(1)
	n.start(1)
	other := n.nodes[1].member + 1<<16
	for range 3 {
		n.hello(1)
		n.add(0, happening{node: 0, event: Event{Kind: JoinAsked, Member: other - 1}}) // node 0 has its store
		n.run(400*msec, nil)
	}
	n.same()
	if !n.joined(1)() || n.joined(0)() != n.joined(1)() {
		t.Fatal("not joined")
	}
	to := n.nodes[0]
	ask := func(self, from uint64) int {
		c := to.service
		m := &raftpb.Message{Type: raftpb.MsgPreVote.Enum(), To: proto.Uint64(self), From: proto.Uint64(from),
			Term: proto.Uint64(c.Term + 5), LogTerm: proto.Uint64(c.Term + 4), Index: proto.Uint64(1 << 20)}
		data, _ := proto.Marshal(m)
		_, out := Step(c, &Event{Kind: MessageReceived, Now: n.now, Data: data}, nil)
		return len(out)
	}
	n.kill(1)
	n.kill(2)
	n.run(70*msec, nil) // node 0 has forgotten the leader or leads no more
	n.run(400*msec, nil)
	old := to.state.Replaced[0]
	if got := []int{ask(to.member, n.nodes[2].member), ask(to.member, old),
		ask(to.member+1<<16, n.nodes[2].member)}; !slices.Equal(got, []int{1, 0, 0}) {
		t.Errorf("answers: %d", got)
	}
	fresh, err := Load(Process{Member: shard.MemberID(0, [16]byte{99}), Most: InitialVersion}, n.l, DefaultTiming, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	to.service = fresh
	if got := ask(fresh.Self, n.nodes[2].member); got != 0 {
		t.Error("a new store votes")
	}
}

func TestServiceKeepsAStoreThatIsThere(t *testing.T) {
	n := newServiceNet(t, 3, 14)
	lead := n.mustLead()
	for range 10 {
		for node := range 3 {
			n.add(0, happening{node: lead, event: Event{Kind: JoinAsked, Member: shard.MemberID(node, [16]byte{77})}})
		}
		n.run(100*msec, nil)
	}
	if at := n.nodes[lead]; len(at.service.Conf.Learners) > 0 || len(at.state.Replaced) > 0 {
		t.Errorf("%v %v", at.service.Conf, at.state)
	}
}

// TestServiceHostileMail makes up messages and changes some at random places; nothing of it may stop a node.
func TestServiceHostileMail(t *testing.T) {
	n := newServiceNet(t, 3, 9)
	n.mustLead()
	chance := rand.New(rand.NewPCG(2, 2))
	kinds := slices.Sorted(func(yield func(int32) bool) {
		for k := range raftpb.MessageType_name {
			if !yield(k) {
				return
			}
		}
	})
	number := func() *uint64 {
		return proto.Uint64([]uint64{0, 1, 2, 3, 1 << 40, 1 << 62, 1<<64 - 1, n.nodes[0].service.Term}[chance.IntN(8)])
	}
	for range 20000 {
		to := chance.IntN(3)
		m := &raftpb.Message{Type: raftpb.MessageType(kinds[chance.IntN(len(kinds))]).Enum(),
			To: proto.Uint64(n.nodes[to].member), From: proto.Uint64(n.nodes[(to+1)%3].member),
			Term: proto.Uint64(uint64(chance.IntN(3))), Index: number(), LogTerm: number(), Commit: number(),
			RejectHint: number(), Reject: proto.Bool(chance.IntN(2) == 0)}
		if chance.IntN(2) == 0 {
			m.Entries = []*raftpb.Entry{{Type: raftpb.EntryType(chance.IntN(3)).Enum(), Index: number(), Term: number(),
				Data: []byte("garbage")}}
		}
		if chance.IntN(2) == 0 {
			m.Snapshot = &raftpb.Snapshot{Data: []byte("garbage"), Metadata: &raftpb.SnapshotMetadata{Index: number(),
				Term: number(), ConfState: &raftpb.ConfState{Voters: []uint64{*number(), *number()}}}}
		}
		if chance.IntN(4) == 0 {
			m.Context = []byte("x")
		}
		// a member is believed that says what it heard to be stored here (TestServiceLostItsLog)
		if m.GetType() == raftpb.MsgHeartbeat {
			m.Commit = nil
		}
		data, _ := proto.Marshal(m)
		if chance.IntN(2) == 0 {
			data[chance.IntN(len(data))] = byte(chance.Uint32())
		}
		n.add(0, happening{node: to, event: Event{Kind: MessageReceived, Data: data}})
		n.run(msec/10, nil)
	}
	n.run(1000*msec, nil)
	for i, at := range n.nodes {
		if at.service.Over {
			t.Errorf("node %d: %q", i, at.notes)
		}
	}
	n.same()
}

// A store that joins anew, in its next generation, takes nobody's place, and the log does not say so.
func TestAStoreThatJoinsAnewTakesNobodysPlace(t *testing.T) {
	n := newServiceNet(t, 3, 5)
	n.same()
	at := n.nodes[2]
	n.kill(2)
	n.run(800*msec, nil)
	at.member, at.disk = shard.MemberOf(at.member, 1), map[string][]byte{}
	n.start(2)
	for range 40 { // it says hello until it is a member
		for i := range 2 {
			n.add(0, happening{node: i, event: Event{Kind: JoinAsked, Member: at.member, Start: at.service.Mine.Start}})
		}
		n.run(50*msec, nil)
	}
	notes := strings.Join(slices.Concat(n.nodes[0].notes, n.nodes[1].notes), "\n")
	if n.nodes[0].state.Members[2] != at.member || strings.Contains(notes, "the place of") ||
		!strings.Contains(notes, "is to join anew, with its data") || !strings.Contains(notes, "has joined anew, with its data") {
		t.Errorf("members %x: %s", n.nodes[0].state.Members, notes)
	}
}
