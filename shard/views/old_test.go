package views

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"tandem/shard"
)

// A store that comes back as it was before is told so by whoever knows a later start of it, before it has said
// anything; and by its own start, which is void.
func TestOldCopiesAreFoundOut(t *testing.T) {
	for _, told := range []bool{true, false} {
		n := newServiceNet(t, 3, 23)
		n.same()
		i := (n.mustLead() + 1) % 3
		copied := map[string][]byte{}
		for key, value := range n.nodes[i].disk {
			copied[key] = value
		}
		nonces := n.nodes[i].nonces
		n.kill(i)
		n.run(50*msec, nil)
		n.start(i)
		n.same()
		known := n.nodes[i].service.Mine.Start
		n.kill(i)
		n.nodes[i].disk, n.nodes[i].nonces = copied, nonces // the copy counts on from what it knows
		n.start(i)
		if !told { // nobody says what it knows
			for k := range n.queue {
				if h := &n.queue[k]; h.node == i && h.event.Kind == PeerGreeted {
					h.event.Start = Start{}
				}
			}
		}
		n.run(1000*msec, func() bool { return n.nodes[i].service.Over })
		at := n.nodes[i]
		if at.state.Index > 0 || !at.service.Over || !strings.Contains(strings.Join(at.notes, " "), "and this is start") {
			t.Errorf("told %v: %q, state %d", told, at.notes, at.state.Index)
		}
		if told && !strings.Contains(at.notes[0], fmt.Sprintf("node %d knows start", (i+1)%3)) &&
			!strings.Contains(at.notes[0], fmt.Sprintf("node %d knows start", (i+2)%3)) {
			t.Errorf("it was not told: %q", at.notes)
		}
		if last := n.nodes[(i+1)%3].service.State.Starts[i]; last != known {
			t.Errorf("the others know start %v, not %v", last, known)
		}
	}
}

// Nothing is sent to a node that has not said what it knows of this store.
func TestNothingIsSaidBeforeTheGreeting(t *testing.T) {
	members := []uint64{shard.MemberID(0, [16]byte{1}), shard.MemberID(1, [16]byte{2}), shard.MemberID(2, [16]byte{3})}
	c, err := Load(Process{members[0], Start{1, 1}, nil, InitialVersion, InitialVersion, EntryRules},
		shard.Layout{Nodes: 3, Shards: 3},
		DefaultTiming, InitialEntries(shard.Layout{Nodes: 3, Shards: 3}, members), 0)
	if err != nil {
		t.Fatal(err)
	}
	sent := []int{}
	feed := func(kind EventKind, to int, now int64) {
		var out []Effect
		c, out = Step(c, &Event{Kind: kind, To: to, Now: now}, nil)
		for ; len(out) > 0; out = out[1:] {
			if out[0].Kind == SendMessage {
				sent = append(sent, out[0].To)
			}
			if out[0].Kind == Save {
				var more []Effect
				c, more = Step(c, &Event{Kind: Saved, Now: now}, nil)
				out = append(out, more...)
			}
		}
	}
	run := func(from, to int64) []int {
		sent = nil
		for now := from; now < to; now += 10 * msec {
			feed(Ticked, 0, now)
		}
		slices.Sort(sent)
		return slices.Compact(sent)
	}
	if to := run(0, 500*msec); len(to) > 0 {
		t.Errorf("before any greeting it sends to %v", to)
	}
	feed(PeerGreeted, 2, 500*msec)
	if to := run(500*msec, 1500*msec); !slices.Equal(to, []int{2}) {
		t.Errorf("greeted by node 2 it sends to %v", to)
	}
	feed(PeerParted, 2, 1500*msec)
	if to := run(1510*msec, 2500*msec); len(to) > 0 {
		t.Errorf("parted it sends to %v", to)
	}
}

// A copy that was made while its process ran shows by Raft's log, which is shorter than what the leader knows to be
// stored there.
func TestServiceLostItsLog(t *testing.T) {
	n := newServiceNet(t, 3, 24)
	n.same()
	lead := n.mustLead()
	i := (lead + 1) % 3
	copied := map[string][]byte{}
	for key, value := range n.nodes[i].disk {
		copied[key] = value
	}
	for s := range 5 {
		n.propose(lead, s, flip)
		n.run(100*msec, nil)
	}
	n.same()
	n.kill(i)
	n.nodes[i].disk = copied
	n.start(i)
	if !n.run(1000*msec, func() bool { return n.nodes[i].service.Over }) ||
		!strings.Contains(n.nodes[i].notes[0], "to have stored Raft's log up to") {
		t.Errorf("says %q", n.nodes[i].notes)
	}
}

// The same where the leader is a store that joined after the copy was made: the copy does not know it as a member.
func TestServiceLostItsLogBeforeTheLeaderJoined(t *testing.T) {
	n := newServiceNet(t, 3, 28)
	n.same()
	i := (n.mustLead() + 1) % 3
	j := (i + 1) % 3
	copied := map[string][]byte{}
	for key, value := range n.nodes[i].disk {
		copied[key] = value
	}
	n.joinAnew(j)
	for tries := 0; n.mustLead() != j && tries < 60; tries++ {
		lead := n.mustLead()
		n.kill(lead)
		n.run(2000*msec, func() bool { return n.nodes[j].service.Lead != n.nodes[lead].member })
		n.start(lead)
		n.same()
	}
	if n.mustLead() != j {
		t.Fatalf("node %d leads, expected %d", n.mustLead(), j)
	}
	n.propose(j, 0, flip)
	n.same()
	n.kill(i)
	n.nodes[i].disk = copied
	n.start(i)
	if !n.run(1000*msec, func() bool { return n.nodes[i].service.Over }) ||
		!strings.Contains(n.nodes[i].notes[len(n.nodes[i].notes)-1], "to have stored Raft's log up to") {
		t.Errorf("says %q", n.nodes[i].notes)
	}
}

// A member that joined later and has lost all of Raft's state, as by a log that is gone before anything was flushed, is
// told so by the leader: it would wait for ever to be let in under the id that is a member already.
func TestServiceLostAllOfItsState(t *testing.T) {
	n := newServiceNet(t, 3, 27)
	n.same()
	i := (n.mustLead() + 1) % 3
	n.joinAnew(i)
	n.kill(i)
	n.nodes[i].disk = map[string][]byte{}
	n.start(i)
	n.hello(i)
	if !n.run(2000*msec, func() bool { return n.nodes[i].service.Over }) || len(n.nodes[i].notes) == 0 ||
		!strings.Contains(n.nodes[i].notes[len(n.nodes[i].notes)-1], "to have stored Raft's log up to") {
		t.Errorf("over %v, says %q", n.nodes[i].service.Over, n.nodes[i].notes)
	}
}
