package views

import (
	"bytes"
	"container/heap"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"tandem/shard"
	"testing"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// The tests run view services in virtual time over a network and disks that delay and lose, all by one seed.

const msec = 1_000_000

// happening is something that reaches a node at a time; process tells the processes of a node apart.
type happening struct {
	at, seq       int64
	node, process int
	event         Event
	ask           bool // repeat the open proposals
}

type happenings []happening

func (h happenings) Len() int { return len(h) }
func (h happenings) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}
func (h happenings) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *happenings) Push(x any)   { *h = append(*h, x.(happening)) }
func (h *happenings) Pop() any     { last := (*h)[len(*h)-1]; *h = (*h)[:len(*h)-1]; return last }

// serviceNode is a node: its process, if there is one, and its disk.
type serviceNode struct {
	member  uint64
	process int
	alive   bool
	service Service
	disk    map[string][]byte
	nonces  []uint64 // of the store's starts, the newest first
	saving  []SavedEntry
	state   State
	open    []shard.Proposal
	notes   []string
	paused  int64 // no event is handled before; ticks are lost
}

type serviceNet struct {
	t       *testing.T
	l       shard.Layout
	now     int64
	seq     int64
	queue   happenings
	nodes   []*serviceNode
	chance  *rand.Rand
	loss    float64
	disk    int64 // longest sync
	cut     func(from, to int) bool
	states  map[uint64]string // by index: what the first node gave out
	leads   map[uint64]uint64 // by term: the leader
	trace   uint64
	elected int
	stores  byte
	most    []uint64 // by node: the newest version that its binary speaks; nil: that of the bootstrap
	raise   int64    // RaiseAfter; 0: as it is by default
}

// process is a new process of node i's store.
func (n *serviceNet) process(i int) Process {
	most := InitialVersion
	if n.most != nil {
		most = int(n.most[i])
	}
	at := n.nodes[i]
	start, former := Start{uint64(len(at.nonces)) + 1, n.chance.Uint64()}, at.nonces
	at.nonces = append([]uint64{start.Nonce}, former...)
	return Process{at.member, start, former, InitialVersion, uint64(most), EntryRules}
}

func newServiceNet(t *testing.T, nodes int, seed uint64) *serviceNet {
	n := &serviceNet{t: t, l: shard.Layout{Nodes: nodes, Shards: 3 * nodes}, chance: rand.New(rand.NewPCG(seed, 7)),
		disk:   4 * msec,
		states: map[uint64]string{}, leads: map[uint64]uint64{}}
	members := []uint64{}
	for i := range nodes {
		n.stores++
		members = append(members, shard.MemberID(i, [16]byte{n.stores, 0xaa}))
	}
	for i := range nodes {
		disk := map[string][]byte{}
		for _, f := range InitialEntries(n.l, members) {
			disk[f.Key] = f.Value
		}
		n.nodes = append(n.nodes, &serviceNode{member: members[i], disk: disk})
		n.start(i)
	}
	return n
}

func (n *serviceNet) add(after int64, h happening) {
	n.seq++
	h.at, h.seq, h.process = n.now+after, n.seq, n.nodes[h.node].process
	heap.Push(&n.queue, h)
}

func (n *serviceNet) start(i int) {
	at := n.nodes[i]
	entries := []SavedEntry{}
	for key, value := range at.disk {
		entries = append(entries, SavedEntry{Key: key, Value: value})
	}
	timing := DefaultTiming
	if n.raise > 0 {
		timing.RaiseAfter = n.raise
	}
	service, err := Load(n.process(i), n.l, timing, entries, n.now)
	if err != nil {
		n.t.Fatal(err)
	}
	at.service, at.alive, at.saving, at.state, at.open, at.paused = service, true, nil, State{}, nil, 0
	at.process++
	n.add(n.chance.Int64N(10*msec), happening{node: i, event: Event{Kind: Ticked}})
	for j, peer := range n.nodes {
		if j != i && peer.alive {
			n.add(0, happening{node: i, event: Event{Kind: PeerGreeted, To: j,
				Start: KnownStart(peer.service, at.member)}})
			n.add(0, happening{node: j, event: Event{Kind: PeerGreeted, To: i,
				Start: KnownStart(at.service, peer.member)}})
		}
	}
}

func (n *serviceNet) kill(i int) { n.nodes[i].alive = false; n.nodes[i].process++ }

// wipe gives node i an empty folder.
func (n *serviceNet) wipe(i int) {
	n.kill(i)
	n.stores++
	n.nodes[i].member, n.nodes[i].disk = shard.MemberID(i, [16]byte{n.stores, 0xaa}), map[string][]byte{}
}

// joinAnew gives node i a new store, and waits until that is a member.
func (n *serviceNet) joinAnew(i int) {
	n.wipe(i)
	n.start(i)
	for tries := 0; !n.joined(i)() && tries < 60; tries++ {
		n.hello(i)
		n.run(80*msec, n.joined(i))
	}
	n.same()
}

func (n *serviceNet) step(h happening) {
	at := n.nodes[h.node]
	if h.process != at.process || !at.alive {
		return
	}
	if h.event.Kind == Ticked {
		n.add(10*msec, happening{node: h.node, event: Event{Kind: Ticked}})
	}
	if at.paused > n.now {
		if h.event.Kind != Ticked {
			n.add(at.paused-n.now, h)
		}
		return
	}
	if h.ask {
		at.open = slices.DeleteFunc(at.open, func(p shard.Proposal) bool { return at.state.Views[p.Shard].Epoch > p.Epoch })
		if len(at.open) == 0 {
			return
		}
		n.add(20*msec, happening{node: h.node, ask: true})
		h.event = Event{Kind: ProposalAsked, Proposals: slices.Clone(at.open)}
	}
	h.event.Now = n.now
	if h.event.Kind == Saved {
		for _, f := range at.saving {
			if f.Delete {
				delete(at.disk, f.Key)
			} else {
				at.disk[f.Key] = f.Value
			}
		}
		at.saving = nil
	}
	service, out := Step(at.service, &h.event, nil)
	at.service = service
	for _, e := range out {
		n.carry(h.node, e)
	}
}

func (n *serviceNet) carry(i int, e Effect) {
	at, hash := n.nodes[i], fnv.New64a()
	fmt.Fprintf(hash, "%d %d %d %v", n.trace, n.now, i, e)
	n.trace = hash.Sum64()
	switch e.Kind {
	case Save:
		if at.saving != nil {
			n.t.Fatal("two saves at a time")
		}
		at.saving = e.Entries
		n.add(n.disk/2+n.chance.Int64N(n.disk/2+1), happening{node: i, event: Event{Kind: Saved}})
	case SendMessage:
		n.promised(i, e.Data)
		if n.chance.Float64() < n.loss || n.cut != nil && n.cut(i, e.To) {
			return
		}
		n.add(msec/5+n.chance.Int64N(msec), happening{node: e.To, event: Event{Kind: MessageReceived, Data: e.Data}})
	case StateChanged:
		is := fmt.Sprint(e.State)
		if was := n.states[e.State.Index]; was != "" && was != is {
			n.t.Fatalf("node %d has at index %d\n%s, another had\n%s", i, e.State.Index, is, was)
		}
		if e.State.Members[i] != at.member || e.State.Index <= at.state.Index {
			n.t.Fatalf("node %d, store %x, is given state %d of %x after %d", i, at.member, e.State.Index, e.State.Members,
				at.state.Index)
		}
		n.states[e.State.Index], at.state = is, e.State
	case Elected:
		n.elected++
		if len(at.open) > 0 {
			n.add(0, happening{node: i, event: Event{Kind: ProposalAsked, Proposals: slices.Clone(at.open)}})
		}
	case Note, Halt, Outdated:
		at.notes = append(at.notes, e.Text)
	}
}

// promised holds that what a message of node i rests on is on its disk, and that it is well.
func (n *serviceNet) promised(i int, data []byte) {
	at, m, hard, snapshot := n.nodes[i], &raftpb.Message{}, &raftpb.HardState{}, &raftpb.Snapshot{}
	for _, err := range []error{proto.Unmarshal(data, m), proto.Unmarshal(at.disk[keyHard], hard),
		proto.Unmarshal(at.disk[keySnapshot], snapshot)} {
		if err != nil {
			n.t.Fatal(err)
		}
	}
	kind := m.GetType()
	if at.service.Unhealthy {
		n.t.Fatalf("node %d sends %v while its disk is unhealthy", i, kind)
	}
	if hard.GetTerm() > m.GetTerm() { // it was superseded before it was stored, and both were in one write
		return
	}
	if kind == raftpb.MsgVote && (hard.GetTerm() != m.GetTerm() || hard.GetVote() != at.member) ||
		kind == raftpb.MsgVoteResp && !m.GetReject() && (hard.GetTerm() != m.GetTerm() || hard.GetVote() != m.GetTo()) ||
		kind == raftpb.MsgApp && hard.GetTerm() != m.GetTerm() {
		n.t.Fatalf("node %d sends %v without having stored it; stored: %v", i, m, hard)
	}
	if kind == raftpb.MsgAppResp && !m.GetReject() && m.GetIndex() > snapshot.GetMetadata().GetIndex() {
		if at.disk[keyEntry+string(binary.BigEndian.AppendUint64(nil, m.GetIndex()))] == nil {
			n.t.Fatalf("node %d sends %v without having stored it", i, m)
		}
	}
	if kind == raftpb.MsgApp || kind == raftpb.MsgHeartbeat {
		if was := n.leads[m.GetTerm()]; was != 0 && was != at.member {
			n.t.Fatalf("%x and %x both lead in term %d", was, at.member, m.GetTerm())
		}
		n.leads[m.GetTerm()] = at.member
	}
}

// run lets virtual time pass until done says so, at most for so long; it returns whether that was so.
func (n *serviceNet) run(most int64, done func() bool) bool {
	end := n.now + most
	for n.queue.Len() > 0 && n.queue[0].at <= end {
		if done != nil && done() {
			return true
		}
		h := heap.Pop(&n.queue).(happening)
		n.now = h.at
		n.step(h)
	}
	n.now = end
	return done != nil && done()
}

// leader returns the node that leads as most living nodes know it; -1 if none does.
func (n *serviceNet) leader() int {
	best, term := -1, uint64(0)
	for i, at := range n.nodes {
		if at.alive && at.service.Lead == at.member && at.service.Term > term {
			best, term = i, at.service.Term
		}
	}
	return best
}

func (n *serviceNet) mustLead() int {
	n.t.Helper()
	if !n.run(2000*msec, func() bool { return n.leader() >= 0 && n.nodes[n.leader()].state.Index > 0 }) {
		n.t.Fatal("no leader")
	}
	return n.leader()
}

// propose has node i ask for a change of shard s, made from its newest state, until it is decided.
func (n *serviceNet) propose(i, s int, change func(shard.View) shard.View) {
	at := n.nodes[i]
	if !n.run(1000*msec, func() bool { return at.state.Index > 0 }) {
		n.t.Fatalf("node %d has no state", i)
	}
	was := at.state.Views[s]
	v := change(was)
	v.Epoch = was.Epoch + 1
	at.open = append(at.open, shard.Proposal{Shard: s, Epoch: was.Epoch, View: v})
	n.add(0, happening{node: i, ask: true})
}

func flip(v shard.View) shard.View { v.InSync = !v.InSync; return v }

// agreed says whether all living nodes have at least this epoch of a shard.
func (n *serviceNet) agreed(s int, epoch uint64) func() bool {
	return func() bool {
		for _, at := range n.nodes {
			if at.alive && (len(at.state.Views) == 0 || at.state.Views[s].Epoch < epoch) {
				return false
			}
		}
		return true
	}
}

// same holds that all living nodes come to the same state.
func (n *serviceNet) same() {
	n.t.Helper()
	equal := func() bool {
		first := ""
		for _, at := range n.nodes {
			if is := fmt.Sprint(at.state); at.alive && at.state.Index == 0 {
				return false
			} else if at.alive && first == "" {
				first = is
			} else if at.alive && is != first {
				return false
			}
		}
		return first != ""
	}
	if !n.run(2000*msec, equal) {
		for i, at := range n.nodes {
			n.t.Logf("node %d: lead %x term %d state %v", i, at.service.Lead, at.service.Term, at.state)
		}
		n.t.Fatal("the nodes do not come to one state")
	}
}

func sameEntries(a, b []SavedEntry) bool {
	return slices.EqualFunc(a, b, func(x, y SavedEntry) bool {
		return x.Key == y.Key && x.Delete == y.Delete && bytes.Equal(x.Value, y.Value)
	})
}
