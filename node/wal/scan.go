package wal

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

// Scan returns what the bytes of a segment hold, in order. incarnation and number are those of the log and of the
// segment; blocks is how many the segment has: those that the bytes lack were written and are gone. last is the
// greatest sequence that a whole block bears.
func Scan(segment []byte, incarnation, number uint64, blocks int) (pieces []Piece, last uint64) {
	heads, states := classify(segment, incarnation, number, blocks)
	for i := range heads {
		if states[i] == written {
			last = max(last, heads[i].sequence)
		}
	}
	for at := 1; at < len(states); {
		if n := wholeAt(heads, states, at); n > 0 {
			pieces = append(pieces, Piece{Whole, at, heads[at].sequence, join(segment, heads[at], at)})
			at += n
			continue
		}
		more, next := brokenAt(heads, states, at)
		pieces, at = append(pieces, more...), next
	}
	return pieces, last
}

// classify says of each block of a segment what it is to it.
func classify(segment []byte, incarnation, number uint64, blocks int) ([]head, []state) {
	blocks = max(blocks, len(segment)/BlockSize)
	heads, states := make([]head, blocks), make([]state, blocks)
	for i := range blocks {
		if (i+1)*BlockSize > len(segment) {
			states[i] = spoilt
			continue
		}
		block := segment[i*BlockSize : (i+1)*BlockSize]
		h, whole := readBlock(block)
		ours := h.incarnation == incarnation && h.segment == number
		switch heads[i] = h; {
		case whole && ours:
			states[i] = written
		case whole || isZero(block):
			states[i] = unwritten
		case ours:
			states[i] = spoilt
		default:
			states[i] = unclear
		}
	}
	return heads, states
}

func isZero(b []byte) bool {
	for len(b) > 0 {
		n := min(len(b), len(zeros))
		if string(b[:n]) != string(zeros[:n]) {
			return false
		}
		b = b[n:]
	}
	return true
}

// wholeAt returns how many blocks the batch has that begins at a block; 0 if none begins there, or if it is not whole.
func wholeAt(heads []head, states []state, at int) int {
	first := heads[at]
	n := BlocksOf(int(first.size))
	if states[at] != written || first.place != 0 || first.sequence == 0 || at+n > len(states) {
		return 0
	}
	for i := range n {
		h := heads[at+i]
		if states[at+i] != written || h.sequence != first.sequence || h.size != first.size || int(h.place) != i {
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
func brokenAt(heads []head, states []state, at int) (pieces []Piece, next int) {
	begun, bad, unsure, end := false, false, false, at+1
	for next = at; next < len(states); next++ {
		begins := next - int(heads[next].place)
		if states[next] == written && begins != at {
			break
		}
		switch states[next] {
		case written:
			begun, bad = true, bad || unsure
			end = max(end, at+BlocksOf(int(heads[next].size)))
		case spoilt:
			bad = true
		case unclear:
			bad, unsure = bad || next < end, true
		}
	}
	behind := next < len(states)
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
		next = max(at+1, next-int(heads[next].place))
	}
	return pieces, next
}

// First returns the batch that a window of a segment begins with, and how many blocks it takes; 0 if none is whole
// there. want is how many blocks the window must have for that to be final.
func First(window []byte, incarnation, number uint64) (sequence uint64, batch []byte, blocks, want int) {
	if len(window) < BlockSize {
		return 0, nil, 0, 1
	}
	first, whole := readBlock(window[:BlockSize])
	if !whole || first.incarnation != incarnation || first.segment != number || first.place != 0 {
		return 0, nil, 0, 1
	}
	want = BlocksOf(int(first.size))
	if len(window) < want*BlockSize {
		return 0, nil, 0, want
	}
	heads, states := classify(window[:want*BlockSize], incarnation, number, want)
	if wholeAt(heads, states, 0) == 0 {
		return 0, nil, 0, want
	}
	return first.sequence, join(window, first, 0), want, want
}

// FirstSequence returns the sequence of the batch with which a segment begins, of which the first two blocks are given;
// 0 if it cannot be told.
func FirstSequence(segment []byte) uint64 {
	h, ok := ReadHeader(segment)
	if !ok || len(segment) < 2*BlockSize {
		return 0
	}
	first, whole := readBlock(segment[BlockSize : 2*BlockSize])
	if !whole || first.incarnation != h.Incarnation || first.segment != h.Segment {
		return 0
	}
	return first.sequence
}
