package wal

import (
	"bytes"
	"hash/crc32"
)

// PieceKind is what a recovery finds at a place of a segment.
type PieceKind uint8

// The kinds of piece.
const (
	Whole PieceKind = iota + 1 // a batch
	Begun                      // blocks of a batch that is not whole
	Bad                        // a block that was written here and fails its CRC, or may be one
	Cut                        // a block that was not written, in the midst of a batch
)

// Piece is what a recovery finds at a place of a segment.
type Piece struct {
	Kind     PieceKind
	Block    int    // where it begins
	Sequence uint64 // of a whole batch
	Batch    []byte // of a whole batch
}

// state is what a block is to the segment that it lies in.
type state uint8

const (
	unwritten state = iota // zero, or whole and of another segment: it lies behind the end
	written                // whole, and of this segment
	spoilt                 // it bears the number of this segment and fails its CRC
	unclear                // it fails its CRC, and says nothing that can be believed
)

// Blocks is what each block of a segment is to it.
type Blocks struct {
	heads  []head
	states []state
}

// Classify says of each block of a segment what it is to it. logID and number are those of the log and of the
// segment; blocks is how many the segment has: those that the bytes lack were written and are gone.
func Classify(segment []byte, logID, number uint64, blocks int) Blocks {
	blocks = max(blocks, len(segment)/BlockSize)
	b := Blocks{make([]head, blocks), make([]state, blocks)}
	for i := range blocks {
		if (i+1)*BlockSize > len(segment) {
			b.states[i] = spoilt
			continue
		}
		block := segment[i*BlockSize : (i+1)*BlockSize]
		h := headOf(block)
		whole := h.mark == blockMark && crc32.Checksum(block[4:], castagnoli) == h.sum
		ours := h.mark == blockMark && h.logID == logID && h.segment == number
		switch b.heads[i] = h; {
		case whole && ours:
			b.states[i] = written
		case whole || bytes.Equal(block, zeros[:]):
			b.states[i] = unwritten
		case ours:
			b.states[i] = spoilt
		default:
			b.states[i] = unclear
		}
	}
	return b
}

// Scan returns what the bytes of a segment hold, in order. last is the greatest sequence that a whole block bears.
func Scan(segment []byte, b Blocks) (pieces []Piece, last uint64) {
	for at := 1; at < len(b.states); {
		if n := wholeAt(b, at); n > 0 {
			pieces = append(pieces, Piece{Whole, at, b.heads[at].sequence, join(segment, b.heads[at], at)})
			at += n
			continue
		}
		more, next := brokenAt(b, at)
		pieces, at = append(pieces, more...), next
	}
	for i := range b.heads {
		if b.states[i] == written {
			last = max(last, b.heads[i].sequence)
		}
	}
	return pieces, last
}

// wholeAt returns how many blocks the batch has that begins at a block; 0 if none begins there, or if it is not whole.
func wholeAt(b Blocks, at int) int {
	first := b.heads[at]
	n := BlocksOf(int(first.size))
	if b.states[at] != written || first.place != 0 || first.sequence == 0 || at+n > len(b.states) {
		return 0
	}
	for i := range n {
		h := b.heads[at+i]
		if b.states[at+i] != written || h.sequence != first.sequence || h.size != first.size || int(h.place) != i {
			return 0
		}
	}
	return n
}

// join puts the batch together that begins at a block and is whole.
func join(segment []byte, first head, at int) []byte {
	batch := make([]byte, 0, first.size)
	for rest := int(first.size); rest > 0; at++ {
		n := min(rest, blockRoom)
		batch = append(batch, segment[at*BlockSize+blockHead:at*BlockSize+blockHead+n]...)
		rest -= n
	}
	return batch
}

// brokenAt says what lies from a block on where no batch is whole, and where the next one may begin: nothing if that is
// the end of the log.
//
// A block of a batch tells by its place where the batch begins. What a batch needs and lacks is Cut where the block was
// not written, and Bad where it cannot be read; a block that says nothing counts only where something must have been
// written: at the first place, within a batch that has begun, or before a block of a later batch.
func brokenAt(b Blocks, at int) (pieces []Piece, next int) {
	begun, bad, unsure := false, false, false
	end := at + 1
	for next = at; next < len(b.states); next++ {
		begins := next - int(b.heads[next].place)
		if b.states[next] == written && begins != at {
			break
		}
		switch b.states[next] {
		case written:
			begun, bad = true, bad || unsure
			end = max(end, at+BlocksOf(int(b.heads[next].size)))
		case spoilt:
			bad = true
		case unclear:
			bad, unsure = bad || next < end, true
		}
	}
	behind := next < len(b.states)
	if begun {
		pieces = append(pieces, Piece{Kind: Begun, Block: at})
	}
	switch {
	case bad || behind && unsure:
		pieces = append(pieces, Piece{Kind: Bad, Block: at})
	case begun || behind:
		pieces = append(pieces, Piece{Kind: Cut, Block: at})
	}
	if behind { // a block of a later batch, whose beginning may be bad
		next = max(at+1, next-int(b.heads[next].place))
	}
	return pieces, next
}

// Next is the batch that a window of a segment begins with.
type Next struct {
	Sequence uint64
	Batch    []byte
	Blocks   int // that it takes; 0 if none is whole there
	Want     int // blocks that the window must have for that to be final
}

// First returns the batch that a window of a segment begins with.
func First(window []byte, logID, number uint64) Next {
	if len(window) < BlockSize {
		return Next{Want: 1}
	}
	first := headOf(window)
	whole := first.mark == blockMark && crc32.Checksum(window[4:BlockSize], castagnoli) == first.sum
	if !whole || first.logID != logID || first.segment != number || first.place != 0 {
		return Next{Want: 1}
	}
	n := Next{Want: BlocksOf(int(first.size))}
	if len(window) < n.Want*BlockSize {
		return n
	}
	b := Classify(window[:n.Want*BlockSize], logID, number, n.Want)
	if wholeAt(b, 0) == n.Want {
		n.Sequence, n.Batch, n.Blocks = first.sequence, join(window, first, 0), n.Want
	}
	return n
}

// FirstSequence returns the sequence of the batch with which a segment begins, of which the first two blocks are given;
// 0 if it cannot be told.
func FirstSequence(segment []byte) uint64 {
	if len(segment) < 2*BlockSize {
		return 0
	}
	h, first := headOf(segment), headOf(segment[BlockSize:])
	if first.mark != blockMark || crc32.Checksum(segment[BlockSize+4:2*BlockSize], castagnoli) != first.sum ||
		first.logID != h.logID || first.segment != h.segment {
		return 0
	}
	return first.sequence
}
