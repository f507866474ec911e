package views

import (
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"tandem/shard"
)

var update = flag.Bool("update", false, "write the golden bytes instead of comparing with them")

// TestGoldenBytes holds how each kind of entry, the state and the bootstrap are packed: what one version writes, others
// read.
func TestGoldenBytes(t *testing.T) {
	members := []uint64{shard.MemberID(0, [16]byte{1, 2, 3}), shard.MemberID(1, [16]byte{4, 5, 6}), shard.MemberID(2,
		[16]byte{7, 8, 9})}
	entry, _ := proto.MarshalOptions{Deterministic: true}.Marshal(&raftpb.Entry{Index: proto.Uint64(7),
		Term: proto.Uint64(3), Data: packNumbers(entryNumbers(EntryVersion, InitialVersion+1))})
	initial := InitialEntries(shard.Layout{Nodes: 3, Shards: 6}, members)
	files := map[string][]byte{
		"entry-views": packNumbers(entryNumbers(EntryViews, proposalNumbers([]shard.Proposal{{Shard: 3, Epoch: 4,
			View: shard.View{Epoch: 5, Leader: 1, Backup: 2, InSync: true}},
			{Shard: 0, Epoch: 1, View: shard.View{Epoch: 2, Leader: 0, Backup: 1, InSync: false}}})...)),
		"entry-start":      packNumbers(entryNumbers(EntryStart, members[1], 7, 1<<60, InitialVersion)),
		"entry-version":    packNumbers(entryNumbers(EntryVersion, InitialVersion+1)),
		"entry-raft":       entry,
		"state":            packNumbers(stateNumbers(someState())),
		"initial-snapshot": initial[0].Value,
		"initial-hard":     initial[1].Value,
	}
	for name, got := range files {
		path := filepath.Join("testdata", "golden", name+".hex")
		if *update {
			if err := os.WriteFile(path, []byte(hex.Dump(got)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(path); err != nil || hex.Dump(got) != string(want) {
			t.Errorf("%s: written as\n%swant\n%s(%v)", path, hex.Dump(got), want, err)
		}
	}
	list, err := filepath.Glob("testdata/golden/*.hex")
	if err != nil || len(list) != len(files) || len(EntryRules) != 3 {
		t.Errorf("%d golden files for %d formats and %d kinds of entry", len(list), len(files), len(EntryRules))
	}
	if b, err := readState(files["state"], shard.Layout{Nodes: 3, Shards: 6}); err != nil ||
		fmt.Sprint(b) != fmt.Sprint(someState()) {
		t.Errorf("the state is read as %v, %v", b, err)
	}
	c, err := Load(Process{Member: members[0], Most: InitialVersion, Rules: EntryRules}, shard.Layout{Nodes: 3, Shards: 6},
		DefaultTiming, initial, 0)
	if err != nil || c.State.Incarnation != shard.Incarnation(members) || c.State.Version != InitialVersion ||
		!slices.Equal(c.State.Members, members) {
		t.Errorf("the bootstrap is read as %+v, %v", c.State, err)
	}
}

func TestEntriesAreFollowed(t *testing.T) {
	b := State{Version: 3, Views: []shard.View{{Epoch: 1, Leader: 0, Backup: 1, InSync: true}}, Members: []uint64{1, 2, 3},
		Starts: []Start{{5, 50}, {1, 10}, {1, 11}}, Speaks: []uint64{4, 4, 3}}
	cases := []struct {
		name    string
		numbers []uint64
		want    func(*State)
	}{
		{"views", entryNumbers(EntryViews, proposalNumbers([]shard.Proposal{{Shard: 0, Epoch: 1, View: shard.View{Epoch: 2,
			Leader: 0, Backup: 1, InSync: false}}})...),
			func(b *State) { b.Views = []shard.View{{Epoch: 2, Leader: 0, Backup: 1, InSync: false}} }},
		{"a later start", entryNumbers(EntryStart, 1, 6, 60, 3, 50), func(b *State) {
			b.Starts,
				b.Speaks = []Start{{6, 60}, {1, 10}, {1, 11}}, []uint64{3, 4, 3}
		}},
		{"the same start", entryNumbers(EntryStart, 1, 5, 50, 4), func(*State) {}},
		{"a later start that does not remember the known one", entryNumbers(EntryStart, 1, 6, 60, 3), func(*State) {}},
		{"an older start", entryNumbers(EntryStart, 1, 4, 60, 3), func(*State) {}},
		{"the same number of another process", entryNumbers(EntryStart, 1, 5, 51, 3), func(*State) {}},
		{"a start that remembers the known one", entryNumbers(EntryStart, 1, 7, 70, 3, 61, 50),
			func(b *State) { b.Starts, b.Speaks = []Start{{7, 70}, {1, 10}, {1, 11}}, []uint64{3, 4, 3} }},
		{"a later start of an old copy", entryNumbers(EntryStart, 1, 7, 70, 3, 61, 51), func(*State) {}},
		{"a start so late that it cannot remember the known one", entryNumbers(EntryStart,
			append([]uint64{1, 6 + FormerStarts, 70, 3}, make([]uint64, FormerStarts)...)...), func(*State) {}},
		{"a start of no member", entryNumbers(EntryStart, 1+1<<16, 9, 9, 9), func(*State) {}},
		{"a start of no node", entryNumbers(EntryStart, 9, 9, 9, 9), func(*State) {}},
		{"a version that not all speak", entryNumbers(EntryVersion, 4), func(*State) {}},
		{"two versions at a time", entryNumbers(EntryVersion, 5), func(*State) {}},
	}
	for _, c := range cases {
		want := b
		c.want(&want)
		before := fmt.Sprint(b)
		if got, err := nextState(EntryRules, b, packNumbers(c.numbers)); err != nil ||
			fmt.Sprint(got) != fmt.Sprint(want) || fmt.Sprint(b) != before {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
	b.Speaks = []uint64{4, 4, 5}
	if got, err := nextState(EntryRules, b, packNumbers(entryNumbers(EntryVersion, 4))); err != nil || got.Version != 4 {
		t.Errorf("a version that all speak: %v, %v", got, err)
	}
	for name, data := range map[string][]byte{"another kind": packNumbers([]uint64{1, 99, 1}),
		"another format": packNumbers([]uint64{2, 1}), "no kind": packNumbers([]uint64{1}), "nothing": {0xc0},
		"garbage":         []byte("garbage"),
		"half a proposal": packNumbers(entryNumbers(EntryViews, 1, 2)),
		"half a start":    packNumbers(entryNumbers(EntryStart, 1)),
		"no version":      packNumbers(entryNumbers(EntryVersion)),
		"more behind":     append(packNumbers(entryNumbers(EntryVersion, 4)), 0)} {
		if got, err := nextState(EntryRules, b, data); !errors.Is(err, ErrVersion) || fmt.Sprint(got) != fmt.Sprint(b) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// commit has the leader put an entry into the log as it is, as a binary would that knows it.
func (n *serviceNet) commit(data []byte) {
	n.t.Helper()
	lead := n.nodes[n.mustLead()]
	if err := lead.service.Raft.Propose(data); err != nil {
		n.t.Fatal(err)
	}
}

// A node that meets an entry that it cannot read stops, and does nothing of it nor of what follows. Started again it is
// no better, and says so before it says anything else.
func TestUnknownEntriesStopANode(t *testing.T) {
	for name, data := range map[string][]byte{"kind": packNumbers([]uint64{entryFormat, 99}),
		"format": packNumbers([]uint64{entryFormat + 1, EntryViews}), "garbage": []byte("garbage")} {
		n := newServiceNet(t, 3, 21)
		n.run(1000*msec, nil)
		n.same()
		for _, at := range n.nodes[1:] { // they know everything: nothing is void
			at.service.Mine.Rules = map[uint64]EntryRule{}
			for kind, rule := range EntryRules {
				at.service.Mine.Rules[kind] = rule
			}
			at.service.Mine.Rules[99] = EntryRule{InitialVersion, func(b State, _ []uint64) (State, error) { return b, nil }}
		}
		before := n.nodes[0].service.State.Index
		n.commit(data)
		n.run(500*msec, nil)
		at := n.nodes[0]
		if !at.service.Over || at.service.State.Index > before || len(at.notes) == 0 ||
			!strings.Contains(at.notes[len(at.notes)-1], "older than the cluster") {
			t.Fatalf("%s: over %v, index %d after %d, says %q", name, at.service.Over, at.service.State.Index, before, at.notes)
		}
		if name == "kind" && n.nodes[1].service.Over {
			t.Errorf("%s: a node that knows it stops: %q", name, n.nodes[1].notes)
		}
		entries := []SavedEntry{}
		for key, value := range at.disk {
			entries = append(entries, SavedEntry{Key: key, Value: value})
		}
		c, err := Load(n.process(0), n.l, DefaultTiming, entries, n.now)
		if err == nil { // the commit was not stored yet
			_, said := Step(c, &Event{Kind: Ticked, Now: n.now}, nil)
			if len(said) > 0 && said[len(said)-1].Kind != Halt {
				t.Errorf("%s: started again: %v", name, said)
			}
		} else if !errors.Is(err, ErrVersion) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Proposals that not every member reads are not passed to the log, neither by who makes them nor by the leader.
func TestUnreadableProposalsAreRefused(t *testing.T) {
	n := newServiceNet(t, 3, 22)
	n.same()
	lead := n.mustLead()
	c := n.nodes[lead].service
	later := map[uint64]EntryRule{EntryViews: EntryRules[EntryViews], 50: {InitialVersion + 1, nil}}
	c.Mine.Rules = later
	for name, data := range map[string][]byte{"of a later version": packNumbers(entryNumbers(50)),
		"unknown": packNumbers(entryNumbers(51)), "of another format": packNumbers([]uint64{9, EntryViews}),
		"garbage": []byte("garbage"), "empty": {}} {
		prop := &raftpb.Message{Type: raftpb.MsgProp.Enum(), To: proto.Uint64(c.Self),
			From: proto.Uint64(n.nodes[(lead+1)%3].member), Entries: []*raftpb.Entry{{Data: data}}}
		mail, _ := proto.Marshal(prop)
		for _, e := range []Event{{Kind: MessageReceived, Data: mail, Now: n.now},
			{Kind: ProposalAsked, Entry: data, Now: n.now}} {
			if len(data) == 0 && e.Kind == ProposalAsked { // an empty list of proposals
				continue
			}
			was, _ := c.Log.LastIndex()
			next, out := Step(c, &e, nil)
			for _, fx := range out {
				if fx.Kind == Save {
					t.Errorf("%s: it is stored after %d", name, was)
				}
			}
			c = next
		}
	}
}

// The next version is put in force once all members have spoken it for long, and a binary that does not speak it stops.
func TestVersionsAreRaised(t *testing.T) {
	n := newServiceNet(t, 3, 25)
	n.most, n.raise = []uint64{InitialVersion, InitialVersion + 1, InitialVersion + 1}, 1000*msec
	for i := range n.nodes {
		n.kill(i)
		n.start(i)
	}
	n.run(5000*msec, nil)
	n.same()
	if v := n.nodes[0].state.Version; v != InitialVersion {
		t.Fatalf("version %d, which not all speak", v)
	}
	n.kill(0)
	n.most[0]++
	n.start(0)
	n.same()
	n.run(700*msec, nil)
	if v := n.nodes[1].state.Version; v != InitialVersion {
		t.Fatalf("version %d, too early", v)
	}
	n.run(1500*msec, nil)
	n.same()
	if v := n.nodes[1].state.Version; v != InitialVersion+1 {
		t.Fatalf("version %d, expected %d", v, InitialVersion+1)
	}
	n.kill(2)
	n.most[2]--
	n.start(2)
	if !n.run(1000*msec, func() bool { return n.nodes[2].service.Over }) ||
		!strings.Contains(n.nodes[2].notes[0], "older than the cluster: version 4 is in force, and it speaks 3 to 3") {
		t.Errorf("says %q", n.nodes[2].notes)
	}
}
