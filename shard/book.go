package shard

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/vmihailenco/msgpack/v5"
)

// Book is what the nodes agree on: the view of each shard and the store that each node has. It is the state of the Raft
// log after the entry Index; equal indexes mean equal books on all nodes. A Book that was given away never changes.
type Book struct {
	Index       uint64
	Version     uint64   // in force: what nodes write, to each other and to their disks
	Incarnation [16]byte // of the cluster
	Views       []View   // by shard
	Members     []uint64 // by node: the member id of its store
	Starts      []Start  // by node: the newest start of its store; zero before its first
	Speaks      []uint64 // by node: the newest version that the binary of that start speaks
	Gone        []uint64 // member ids that another took the place of, oldest first; they never come back
}

// ErrBook is the class of bytes that are no book and no list of proposals.
var ErrBook = errors.New("unknown council record")

// bookFormat is the version of a packed book.
const bookFormat = 2

// Decide returns the views after some proposals, each of which succeeds or fails by itself: the epoch must be the one
// it was made for, the two nodes stay the same, and a replica that is not in sync never becomes leader. The views that
// went in are not changed.
func Decide(views []View, proposals []Proposal) []View {
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
func proposalNumbers(proposals []Proposal) []uint64 {
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

// proposalsOf is the inverse of proposalNumbers. Error: ErrBook.
func proposalsOf(numbers []uint64) ([]Proposal, error) {
	if len(numbers)%proposalFields != 0 {
		return nil, fmt.Errorf("%w: %d numbers, expected %d for each proposal", ErrBook, len(numbers), proposalFields)
	}
	proposals := make([]Proposal, len(numbers)/proposalFields)
	for i := range proposals {
		n := numbers[proposalFields*i:]
		proposals[i] = Proposal{int(n[0]), n[1], View{n[2], int(n[3]), int(n[4]), n[5] == 1}}
	}
	return proposals, nil
}

// bookNumbers is a book as numbers: format, index, version, the halves of the incarnation, how many members, views and
// gone; then members, the starts' numbers and nonces in turn, what is spoken, gone, and the views.
func bookNumbers(b Book) []uint64 {
	numbers := []uint64{bookFormat, b.Index, b.Version, binary.BigEndian.Uint64(b.Incarnation[:8]),
		binary.BigEndian.Uint64(b.Incarnation[8:]),
		uint64(len(b.Members)), uint64(len(b.Views)), uint64(len(b.Gone))}
	numbers = append(numbers, b.Members...)
	for _, s := range b.Starts {
		numbers = append(numbers, s.Number, s.Nonce)
	}
	numbers = append(append(numbers, b.Speaks...), b.Gone...)
	for _, v := range b.Views {
		inSync := uint64(0)
		if v.InSync {
			inSync = 1
		}
		numbers = append(numbers, v.Epoch, uint64(v.Leader), uint64(v.Backup), inSync)
	}
	return numbers
}

// readBook reads a book that was packed as its numbers, for a cluster of layout l. Errors: ErrBook; ErrVersion besides
// it for a book of a later format.
func readBook(data []byte, l Layout) (Book, error) {
	const head = 8
	numbers, behind := []uint64{}, bytes.NewReader(data)
	if err := msgpack.NewDecoder(behind).Decode(&numbers); err != nil || behind.Len() > 0 {
		return Book{}, fmt.Errorf("%w: expected an array of numbers within %d bytes, found %d bytes behind it: %w",
			ErrBook, len(data), behind.Len(), err)
	}
	if len(numbers) > 0 && numbers[0] > bookFormat {
		return Book{}, fmt.Errorf("%w: %w: this binary is older than the cluster: a book of format %d, and it reads format %d", ErrVersion, ErrBook, numbers[0], bookFormat)
	}
	if len(numbers) < head || numbers[0] != bookFormat {
		return Book{}, fmt.Errorf("%w: expected a book of format %d", ErrBook, bookFormat)
	}
	members, views, gone := numbers[5], numbers[6], numbers[7]
	if members != uint64(l.Nodes) || views != uint64(l.Shards) {
		return Book{}, fmt.Errorf("%w: a book of %d nodes and %d shards, expected %d and %d", ErrBook, members, views,
			l.Nodes, l.Shards)
	}
	if gone > uint64(len(numbers)) || uint64(len(numbers)) != head+4*members+gone+4*views {
		return Book{}, fmt.Errorf("%w: a book of %d numbers with %d stores gone", ErrBook, len(numbers), gone)
	}
	b := Book{Index: numbers[1], Version: numbers[2], Views: make([]View, views), Starts: make([]Start, members)}
	binary.BigEndian.PutUint64(b.Incarnation[:8], numbers[3])
	binary.BigEndian.PutUint64(b.Incarnation[8:], numbers[4])
	rest := numbers[head:]
	b.Members, rest = rest[:members:members], rest[members:]
	for i := range b.Starts {
		b.Starts[i] = Start{rest[2*i], rest[2*i+1]}
	}
	rest = rest[2*members:]
	b.Speaks, b.Gone, rest = rest[:members:members], rest[members:members+gone:members+gone], rest[members+gone:]
	for i := range b.Views {
		n := rest[4*i:]
		b.Views[i] = View{n[0], int(n[1]), int(n[2]), n[3] == 1}
	}
	return b, nil
}
