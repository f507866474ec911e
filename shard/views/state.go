package views

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"tandem/shard"

	"github.com/vmihailenco/msgpack/v5"
)

// State is what the nodes agree on: the view of each shard and the store that each node has. It is the state of the
// Raft log after the entry Index; equal indexes mean equal states on all nodes. A State that was given away never
// changes.
type State struct {
	Index       uint64
	Version     uint64       // in force: what nodes write, to each other and to their disks
	Incarnation [16]byte     // of the cluster
	Views       []shard.View // by shard
	Members     []uint64     // by node: the member id of its store
	Starts      []Start      // by node: the newest start of its store; zero before its first
	Speaks      []uint64     // by node: the newest version that the binary of that start speaks
	Replaced    []uint64     // member ids that another took the place of, oldest first; they never come back
}

// ErrState is the class of bytes that are no state and no list of proposals.
var ErrState = errors.New("unknown service record")

// stateFormat is the version of a packed state.
const stateFormat = 2

// Decide returns the views after some proposals, each of which succeeds or fails by itself: the epoch must be the one
// it was made for, the two nodes stay the same, and a replica that is not in sync never becomes leader. The views that
// went in are not changed.
func Decide(views []shard.View, proposals []shard.Proposal) []shard.View {
	views = slices.Clone(views)
	for _, p := range proposals {
		if p.Shard < 0 || p.Shard >= len(views) {
			continue
		}
		old := views[p.Shard]
		same := p.View.Leader == old.Leader && p.View.Backup == old.Backup
		swapped := p.View.Leader == old.Backup && p.View.Backup == old.Leader && old.InSync
		if old.Epoch == p.Epoch && p.View.Epoch == p.Epoch+1 && (same || swapped) {
			views[p.Shard] = p.View
		}
	}
	return views
}

// packNumbers makes a msgpack array of numbers.
func packNumbers(numbers []uint64) []byte {
	var b bytes.Buffer // writing to it cannot fail
	e := msgpack.NewEncoder(&b)
	_ = e.EncodeArrayLen(len(numbers))
	for _, n := range numbers {
		_ = e.EncodeUint(n)
	}
	return b.Bytes()
}

// proposalFields is how many numbers a proposal is: shard, epoch, and the view's epoch, leader, backup, in sync.
const proposalFields = 6

// proposalNumbers is a list of proposals as numbers.
func proposalNumbers(proposals []shard.Proposal) []uint64 {
	numbers := make([]uint64, 0, proposalFields*len(proposals))
	for _, p := range proposals {
		inSync := uint64(0)
		if p.View.InSync {
			inSync = 1
		}
		numbers = append(numbers, uint64(p.Shard), p.Epoch, p.View.Epoch, uint64(p.View.Leader), uint64(p.View.Backup),
			inSync)
	}
	return numbers
}

// proposalsOf is the inverse of proposalNumbers. Error: ErrState.
func proposalsOf(numbers []uint64) ([]shard.Proposal, error) {
	if len(numbers)%proposalFields != 0 {
		return nil, fmt.Errorf("%w: %d numbers, expected %d for each proposal", ErrState, len(numbers), proposalFields)
	}
	proposals := make([]shard.Proposal, len(numbers)/proposalFields)
	for i := range proposals {
		n := numbers[proposalFields*i:]
		proposals[i] = shard.Proposal{Shard: int(n[0]), Epoch: n[1], View: shard.View{Epoch: n[2], Leader: int(n[3]),
			Backup: int(n[4]), InSync: n[5] == 1}}
	}
	return proposals, nil
}

// stateNumbers is a state as numbers: format, index, version, the halves of the incarnation, how many members, views
// and gone; then members, the starts' numbers and nonces in turn, what is spoken, gone, and the views.
func stateNumbers(b State) []uint64 {
	numbers := []uint64{stateFormat, b.Index, b.Version, binary.BigEndian.Uint64(b.Incarnation[:8]),
		binary.BigEndian.Uint64(b.Incarnation[8:]),
		uint64(len(b.Members)), uint64(len(b.Views)), uint64(len(b.Replaced))}
	numbers = append(numbers, b.Members...)
	for _, s := range b.Starts {
		numbers = append(numbers, s.Number, s.Nonce)
	}
	numbers = append(append(numbers, b.Speaks...), b.Replaced...)
	for _, v := range b.Views {
		inSync := uint64(0)
		if v.InSync {
			inSync = 1
		}
		numbers = append(numbers, v.Epoch, uint64(v.Leader), uint64(v.Backup), inSync)
	}
	return numbers
}

// readState reads a state that was packed as its numbers, for a cluster of layout l. Errors: ErrState; ErrVersion
// besides it for a state of a later format.
func readState(data []byte, l shard.Layout) (State, error) {
	const head = 8
	numbers, behind := []uint64{}, bytes.NewReader(data)
	if err := msgpack.NewDecoder(behind).Decode(&numbers); err != nil || behind.Len() > 0 {
		return State{}, fmt.Errorf("%w: expected an array of numbers within %d bytes, found %d bytes behind it: %w",
			ErrState, len(data), behind.Len(), err)
	}
	if len(numbers) > 0 && numbers[0] > stateFormat {
		return State{}, fmt.Errorf("%w: %w: this binary is older than the cluster: a state of format %d, and it reads format %d", ErrVersion, ErrState, numbers[0], stateFormat)
	}
	if len(numbers) < head || numbers[0] != stateFormat {
		return State{}, fmt.Errorf("%w: expected a state of format %d", ErrState, stateFormat)
	}
	members, views, gone := numbers[5], numbers[6], numbers[7]
	if members != uint64(l.Nodes) || views != uint64(l.Shards) {
		return State{}, fmt.Errorf("%w: a state of %d nodes and %d shards, expected %d and %d", ErrState, members, views,
			l.Nodes, l.Shards)
	}
	if gone > uint64(len(numbers)) || uint64(len(numbers)) != head+4*members+gone+4*views {
		return State{}, fmt.Errorf("%w: a state of %d numbers with %d stores gone", ErrState, len(numbers), gone)
	}
	b := State{Index: numbers[1], Version: numbers[2], Views: make([]shard.View, views), Starts: make([]Start, members)}
	binary.BigEndian.PutUint64(b.Incarnation[:8], numbers[3])
	binary.BigEndian.PutUint64(b.Incarnation[8:], numbers[4])
	rest := numbers[head:]
	b.Members, rest = rest[:members:members], rest[members:]
	for i := range b.Starts {
		b.Starts[i] = Start{rest[2*i], rest[2*i+1]}
	}
	rest = rest[2*members:]
	b.Speaks, b.Replaced, rest = rest[:members:members], rest[members:members+gone:members+gone], rest[members+gone:]
	for i := range b.Views {
		n := rest[4*i:]
		b.Views[i] = shard.View{Epoch: n[0], Leader: int(n[1]), Backup: int(n[2]), InSync: n[3] == 1}
	}
	return b, nil
}
