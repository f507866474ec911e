package wal

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

const (
	testLog    = 0x1122334455667788
	testBlocks = 24 // of a segment
)

// testSegment is a segment with its bytes.
type testSegment struct {
	number uint64
	bytes  []byte
}

// testLogOf writes batches of mixed sizes, of which number i is filled with the byte i, into segments that are used
// again: each one is written over what the one before it of three has left. ends is by batch where it ends: the segment
// and the block behind it.
func testLogOf(chance *rand.Rand, batches int, flushed func(sequence uint64) uint64) (log []testSegment,
	ends [][2]int) {
	var last []byte
	next := testBlocks
	for sequence := uint64(1); sequence <= uint64(batches); sequence++ {
		batch := bytes.Repeat([]byte{byte(sequence)}, 1+chance.IntN(3*blockRoom))
		if need := BlocksOf(len(batch)); next+need > testBlocks {
			file := make([]byte, testBlocks*BlockSize)
			if len(log) >= 3 {
				file = slices.Clone(log[len(log)-3].bytes)
			}
			number := uint64(len(log) + 1)
			copy(file, AppendHeader(nil, Header{testLog, number, flushed(sequence), testBlocks}))
			log, last, next = append(log, testSegment{number, file}), file, 1
		}
		blocks := AppendBatch(nil, testLog, uint64(len(log)), sequence, batch)
		copy(last[next*BlockSize:], blocks)
		next += len(blocks) / BlockSize
		ends = append(ends, [2]int{len(log) - 1, next})
	}
	return log, ends
}

func nothingFlushed(uint64) uint64 { return 0 }

// recoverLog is what the store does with the files.
func recoverLog(log []testSegment) Recovery {
	headers := make([]Header, len(log))
	for i, s := range log {
		headers[i], _ = ReadHeader(s.bytes)
	}
	r := Begin(headers)
	for i, s := range log {
		r = Add(r, segmentOf(s, r.LogID, headers[i]))
	}
	return End(r)
}

// segmentOf is what the store makes of a segment's file.
func segmentOf(s testSegment, logID uint64, h Header) Segment {
	blocks := 0
	if h.LogID == logID {
		blocks = h.Blocks
	}
	pieces, last := Scan(s.bytes, Classify(s.bytes, logID, s.number, blocks))
	return Segment{s.number, h, int64(len(s.bytes)), len(bytes.Trim(s.bytes, "\x00")) == 0, pieces, last}
}

// wholeOf returns the sequences of the batches of a recovery, and fails if one has not what was written.
func wholeOf(t *testing.T, r Recovery) (sequences []uint64) {
	t.Helper()
	for _, p := range r.Pieces {
		if p.Kind != Whole {
			continue
		}
		sequences = append(sequences, p.Sequence)
		if len(bytes.Trim(p.Batch, string([]byte{byte(p.Sequence)}))) > 0 || len(p.Batch) == 0 {
			t.Fatalf("batch %d has other bytes than were written", p.Sequence)
		}
	}
	return sequences
}

func kindsOf(r Recovery) (kinds []PieceKind) {
	for _, p := range r.Pieces {
		if p.Kind != Whole {
			kinds = append(kinds, p.Kind)
		}
	}
	return kinds
}

// upTo returns the numbers from one to another.
func upTo(from, to uint64) (all []uint64) {
	for ; from <= to; from++ {
		all = append(all, from)
	}
	return all
}

func TestAWholeLogIsRead(t *testing.T) {
	log, _ := testLogOf(rand.New(rand.NewPCG(1, 1)), 200, nothingFlushed)
	r := recoverLog(log)
	if got := wholeOf(t, r); !slices.Equal(got, upTo(1, 200)) || len(kindsOf(r)) > 0 || r.Last != 200 {
		t.Errorf("read %v, beside them %v, the last one is %d", got, kindsOf(r), r.Last)
	}
	if r.LogID != testLog || len(r.Segments) != len(log) {
		t.Errorf("logID %x, %d segments, expected %d", r.LogID, len(r.Segments), len(log))
	}
}

// A power loss leaves any of the blocks of the last append unwritten. What was acknowledged before is there, and
// nothing says that it is damaged; only of an append that is whole there is nothing to say.
func TestTheLastAppendIsTorn(t *testing.T) {
	chance := rand.New(rand.NewPCG(2, 2))
	for batches := 1; batches <= 60; batches++ {
		before, _ := testLogOf(rand.New(rand.NewPCG(2, 3)), batches-1, nothingFlushed)
		after, ends := testLogOf(rand.New(rand.NewPCG(2, 3)), batches, nothingFlushed)
		end := ends[batches-1]
		begin := 1
		if batches > 1 && ends[batches-2][0] == end[0] {
			begin = ends[batches-2][1]
		}
		for range 4 {
			torn := slices.Clone(after)
			file := slices.Clone(after[end[0]].bytes)
			old := make([]byte, len(file))
			switch {
			case end[0] < len(before):
				old = before[end[0]].bytes
			case end[0] >= 3:
				old = after[end[0]-3].bytes
			}
			lost := 0
			for block := begin; block < end[1]; block++ {
				if chance.IntN(2) == 0 {
					copy(file[block*BlockSize:(block+1)*BlockSize], old[block*BlockSize:])
					lost++
				}
			}
			torn[end[0]].bytes = file
			r := recoverLog(torn)
			kinds, want := kindsOf(r), uint64(batches)
			if lost > 0 {
				want--
			}
			if got := wholeOf(t, r); !slices.Equal(got, upTo(1, want)) {
				t.Fatalf("%d batches, %d blocks of the last not written: read %v", batches, lost, got)
			}
			if slices.Contains(kinds, Bad) || len(kinds) > 2 || len(kinds) == 2 && kinds[0] != Begun {
				t.Fatalf("%d batches, %d of %d blocks of the last not written: it says %v", batches, lost, end[1]-begin, kinds)
			}
		}
	}
}

// Whatever bit of a log is flipped: each batch is there, or a bad place says that something is missing. A bit of what
// an older segment has left may be found or not.
func TestEveryFlippedBitIsFound(t *testing.T) {
	log, ends := testLogOf(rand.New(rand.NewPCG(4, 4)), 90, nothingFlushed)
	chance, tail := rand.New(rand.NewPCG(4, 5)), ends[len(ends)-1]
	unread := 0
	for segment := range log {
		for block := range testBlocks {
			for range 2 {
				bad := slices.Clone(log)
				file := slices.Clone(log[segment].bytes)
				file[block*BlockSize+chance.IntN(BlockSize)] ^= 1 << chance.IntN(8)
				bad[segment].bytes = file
				r := recoverLog(bad)
				got, kinds := wholeOf(t, r), kindsOf(r)
				live := block > 0 && (segment < tail[0] || block < tail[1])
				if len(got) < 90 && (len(got) != 89 || !slices.Contains(kinds, Bad)) {
					t.Fatalf("segment %d, block %d: %d batches are read, and it says %v", segment, block, len(got), kinds)
				}
				if live && len(got) == 90 && block < lastWritten(ends, segment) {
					t.Fatalf("segment %d, block %d: a batch with a flipped bit is taken for whole", segment, block)
				}
				unread += 90 - len(got)
			}
		}
	}
	if unread == 0 {
		t.Error("no flipped bit has hit a batch")
	}
}

// lastWritten returns the block behind the last batch of a segment.
func lastWritten(ends [][2]int, segment int) (block int) {
	for _, end := range ends {
		if end[0] == segment {
			block = end[1]
		}
	}
	return block
}

// A log that is cut off anywhere, at a block or within one, has all batches before that place, and says that it ends in
// a place that was written.
func TestEveryCutIsFound(t *testing.T) {
	log, ends := testLogOf(rand.New(rand.NewPCG(6, 6)), 120, nothingFlushed)
	chance := rand.New(rand.NewPCG(6, 7))
	for segment := range log {
		for block := range testBlocks {
			short := slices.Clone(log[:segment+1])
			short[segment].bytes = log[segment].bytes[:block*BlockSize+chance.IntN(2)*chance.IntN(BlockSize)]
			want := 0
			for _, end := range ends {
				if end[0] < segment || end[0] == segment && end[1] <= block {
					want++
				}
			}
			r := recoverLog(short)
			if got := wholeOf(t, r); !slices.Equal(got, upTo(1, uint64(want))) {
				t.Fatalf("cut in block %d of segment %d: read %d batches, expected %d", block, segment, len(got), want)
			}
			if block > 0 && !slices.Contains(kindsOf(r), Bad) {
				t.Fatalf("cut in block %d of segment %d: it says %v", block, segment, kindsOf(r))
			}
		}
	}
}

// A segment that is missing, is another's, or is an older one of the same log, is noticed where batches lie behind it.
func TestMissingSegmentsAreFound(t *testing.T) {
	log, _ := testLogOf(rand.New(rand.NewPCG(8, 8)), 200, nothingFlushed)
	for i := range len(log) - 1 {
		r := recoverLog(slices.Delete(slices.Clone(log), i, i+1))
		if !slices.Contains(kindsOf(r), Bad) {
			t.Errorf("segment %d of %d is missing: %v", i, len(log), kindsOf(r))
		}
		swapped := slices.Clone(log)
		swapped[i].bytes, swapped[i+1].bytes = log[i+1].bytes, log[i].bytes
		if got := wholeOf(t, recoverLog(swapped)); len(got) >= 200 {
			t.Errorf("segments %d and %d are swapped, and %d batches are read", i, i+1, len(got))
		}
	}
	foreign := slices.Clone(log)
	for i := range foreign {
		foreign[i].bytes = slices.Clone(log[i].bytes)
		foreign[i].bytes[9] ^= 1
	}
	if r := recoverLog(foreign); !r.Unreadable || !slices.Contains(kindsOf(r), Bad) {
		t.Errorf("no header can be read: %v", kindsOf(r))
	}
	if r := recoverLog([]testSegment{{1, make([]byte, testBlocks*BlockSize)}}); r.Unreadable || len(r.Pieces) > 0 {
		t.Errorf("a segment that was never written: %v", kindsOf(r))
	}
}

// What is flushed is left out, with what is bad among it, and what is behind it is read.
func TestFlushedBatchesAreVoid(t *testing.T) {
	lag := func(sequence uint64) uint64 { return max(sequence, 40) - 40 }
	log, ends := testLogOf(rand.New(rand.NewPCG(9, 9)), 200, lag)
	r := recoverLog(log)
	if got := wholeOf(t, r); r.Flushed == 0 || !slices.Equal(got, upTo(r.Flushed+1, 200)) || len(kindsOf(r)) > 0 {
		t.Fatalf("flushed up to %d: read %v, beside them %v", r.Flushed, got, kindsOf(r))
	}
	for n, end := range ends[:r.Flushed-1] {
		bad := slices.Clone(log)
		file := slices.Clone(log[end[0]].bytes)
		file[(end[1]-1)*BlockSize+100] ^= 1
		bad[end[0]].bytes = file
		if got := recoverLog(bad); len(kindsOf(got)) > 0 || len(wholeOf(t, got)) != 200-int(r.Flushed) {
			t.Fatalf("batch %d is bad, which is flushed: %v", n+1, kindsOf(got))
		}
	}
	for cut := range len(log) {
		rest := recoverLog(log[cut:])
		first := uint64(1)
		for n, end := range ends {
			if end[0] < cut {
				first = uint64(n + 2)
			}
		}
		if gone := first > r.Flushed+1; gone != slices.Contains(kindsOf(rest), Bad) {
			t.Errorf("the log begins with batch %d, up to %d is flushed: %v", first, r.Flushed, kindsOf(rest))
		}
	}
	// a process after a torn end begins a segment and has written nothing yet
	next := Header{testLog, uint64(len(log) + 1), 200, testBlocks}
	end := ends[199]
	file := slices.Clone(log[end[0]].bytes)
	file[(end[1]-1)*BlockSize+7] ^= 1
	log[end[0]].bytes = file
	log = append(log, testSegment{next.Segment, append(AppendHeader(nil, next), make([]byte, 23*BlockSize)...)})
	if r = recoverLog(log); len(r.Pieces) > 0 || r.Last != 200 {
		t.Errorf("a start after a torn end: %v, last %d", kindsOf(r), r.Last)
	}
}

// A reader of the segment that is written sees batches only once they are whole.
func TestFirstBatchOfAWindow(t *testing.T) {
	log, ends := testLogOf(rand.New(rand.NewPCG(10, 10)), 8, nothingFlushed)
	file := log[0].bytes
	at := BlockSize
	for n := uint64(1); n <= 8; n++ {
		next := First(file[at:at+BlockSize], testLog, 1)
		if next.Blocks == 0 && next.Want > 1 {
			next = First(file[at:at+next.Want*BlockSize], testLog, 1)
		}
		if next.Sequence != n || len(next.Batch) == 0 || at/BlockSize+next.Blocks != ends[n-1][1] {
			t.Fatalf("batch %d: %+v", n, next)
		}
		at += next.Blocks * BlockSize
	}
	if next := First(file[at:], testLog, 1); next.Blocks != 0 {
		t.Error("a batch behind the last one")
	}
	if first := FirstSequence(file); first != 1 {
		t.Errorf("the segment begins with batch %d", first)
	}
}

// The bytes of a block are what they were: a log that was written by an older program of this format is read.
func TestGoldenBlocks(t *testing.T) {
	const (
		header = "84920a65" + "54574c31" + "0807060504030201" + "0900000000000000" + "0000000000000000" + "00000000" +
			"10000000" + "0a00000000000000" + "0004000000000000"
		batch = "fbd5f831" + "54574c31" + "0807060504030201" + "0900000000000000" + "0b00000000000000" + "00000000" +
			"07000000" + "61206261746368" + "000000000000000000"
	)
	b := AppendHeader(nil, Header{LogID: 0x0102030405060708, Segment: 9, Flushed: 10, Blocks: 1024})
	b = AppendBatch(b, 0x0102030405060708, 9, 11, []byte("a batch"))
	for i, want := range []string{header, batch} {
		block := b[i*BlockSize : (i+1)*BlockSize]
		if got := fmt.Sprintf("%x", block[:blockHead+16]); got != want || !bytes.Equal(block[blockHead+16:],
			zeros[:blockRoom-16]) {
			t.Errorf("block %d begins with %s, expected %s", i, got, want)
		}
	}
	if h, ok := ReadHeader(b); !ok || h != (Header{0x0102030405060708, 9, 10, 1024}) {
		t.Errorf("%+v", h)
	}
}
