package shard

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/vmihailenco/msgpack/v5"
)

// Book is what the nodes agree on: the view of each shard and the store that each node has. It is the state of the Raft log
// after the entry Index; equal indexes mean equal books on all nodes. A Book that was given away never changes.
type Book struct {
	Index   uint64
	Views   []View   // by shard
	Members []uint64 // by node: the member id of its store
	Gone    []uint64 // member ids that another took the place of, oldest first; they never come back
}

// Proposal asks for a new view of one shard. It is done if the shard's epoch is still Epoch when its turn comes, and else it is
// void (compare and set).
type Proposal struct {
	Shard int
	Epoch uint64
	View  View // its epoch must be Epoch+1
}

// ErrBook is the class of bytes that are no book and no list of proposals.
var ErrBook = errors.New("unknown council record")

// bookFormat is the version of a packed book.
const bookFormat = 1

// A member id holds the start of the store id, then, a byte each, how often the store has joined Raft anew and the node's number plus one.
const (
	memberNodes      = 1<<8 - 1
	memberGeneration = 8  // bits before it
	memberStore      = 16 // bits before the store id
)

// MemberID returns the Raft id of a node's store: the first 48 bits of the store id and the node's number. It is never 0.
func MemberID(node int, store [16]byte) uint64 {
	id := uint64(0)
	for _, b := range store[:6] {
		id = id<<8 | uint64(b)
	}
	return id<<16 | uint64(node+1)
}

// MemberOf returns the member id that a store has in a generation, of the one that it was made with. Members of one store have the same bits from
// memberStore on: a later one has the data of those before.
func MemberOf(member uint64, generation uint8) uint64 {
	return member + uint64(generation)<<memberGeneration
}

// Displaces is the generation of a new store that an operator lets take the place of a lost one, even of what that led alone: the other copies are the
// users' data then.
const Displaces = 255

// NodeOf returns the number of the node that a member's store belongs to; -1 if the id is none.
func NodeOf(member uint64) int { return int(member&memberNodes) - 1 }

// Decide returns the views after some proposals, each of which succeeds or fails by itself: the epoch must be the one it was made
// for, the two nodes stay the same, and a replica that is not in sync never becomes leader. The views that went in are not changed.
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

// unpackNumbers is the inverse of packNumbers. Error: ErrBook.
func unpackNumbers(data []byte) ([]uint64, error) {
	rest := bytes.NewReader(data)
	d := msgpack.NewDecoder(rest)
	length, err := d.DecodeArrayLen()
	if err != nil || length < 0 || length > len(data) {
		return nil, fmt.Errorf("%w: expected an array of numbers within %d bytes", ErrBook, len(data))
	}
	numbers := make([]uint64, length)
	for i := range numbers {
		if numbers[i], err = d.DecodeUint64(); err != nil {
			return nil, fmt.Errorf("%w: number %d of %d: %w", ErrBook, i, length, err)
		}
	}
	if rest.Len() > 0 {
		return nil, fmt.Errorf("%w: %d bytes follow the array", ErrBook, rest.Len())
	}
	return numbers, nil
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
		numbers = append(numbers, uint64(p.Shard), p.Epoch, p.View.Epoch, uint64(p.View.Leader), uint64(p.View.Backup), inSync)
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

// bookNumbers is a book as numbers: format, index, how many members, views and gone, then these.
func bookNumbers(b Book) []uint64 {
	numbers := []uint64{bookFormat, b.Index, uint64(len(b.Members)), uint64(len(b.Views)), uint64(len(b.Gone))}
	numbers = append(append(numbers, b.Members...), b.Gone...)
	for _, v := range b.Views {
		inSync := uint64(0)
		if v.InSync {
			inSync = 1
		}
		numbers = append(numbers, v.Epoch, uint64(v.Leader), uint64(v.Backup), inSync)
	}
	return numbers
}

// bookOf is the inverse of bookNumbers, for a cluster of layout l. Error: ErrBook.
func bookOf(numbers []uint64, l Layout) (Book, error) {
	const head = 5
	if len(numbers) < head || numbers[0] != bookFormat {
		return Book{}, fmt.Errorf("%w: expected a book of format %d", ErrBook, bookFormat)
	}
	members, views, gone := numbers[2], numbers[3], numbers[4]
	if members != uint64(l.Nodes) || views != uint64(l.Shards) {
		return Book{}, fmt.Errorf("%w: a book of %d nodes and %d shards, expected %d and %d", ErrBook, members, views, l.Nodes, l.Shards)
	}
	if gone > uint64(len(numbers)) || uint64(len(numbers)) != head+members+gone+4*views {
		return Book{}, fmt.Errorf("%w: a book of %d numbers with %d stores gone", ErrBook, len(numbers), gone)
	}
	b := Book{Index: numbers[1], Members: numbers[head : head+members], Gone: numbers[head+members : head+members+gone], Views: make([]View, views)}
	for i := range b.Views {
		n := numbers[head+members+gone+4*uint64(i):]
		b.Views[i] = View{n[0], int(n[1]), int(n[2]), n[3] == 1}
	}
	return b, nil
}
