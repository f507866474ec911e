package wal

import (
	"encoding/binary"
	"hash/crc32"
)

// BlockSize is the size of a block in bytes: what disks write whole, and what direct I/O asks for.
const BlockSize = 4096

// A block begins with a head: CRC32C of all that follows it, 4 bytes; the mark, 4; the log's incarnation, the number of
// the segment and the sequence of the batch, 8 each; the place of the block in the batch, 4; the size of the batch in
// bytes, 4. Numbers are little-endian.
const (
	blockHead = 40
	blockRoom = BlockSize - blockHead
	blockMark = 0x314c5754 // "TWL1": a format of blocks that differs has another one
)

// A segment's header is a block of a batch with sequence 0, which holds Flushed and the number of the segment's blocks,
// 8 bytes each.
const headerBytes = 16

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// head is what a block says of itself.
type head struct {
	incarnation, segment, sequence uint64
	place, size                    uint32
}

// Header is what a segment says of itself.
type Header struct {
	Incarnation uint64 // of the log, a random number
	Segment     uint64
	Flushed     uint64 // the state behind the log held all batches up to this sequence when the segment was begun
	Blocks      int    // of the segment, this one included
}

// BlocksOf returns how many blocks a batch of so many bytes takes.
func BlocksOf(size int) int { return max(1, (size+blockRoom-1)/blockRoom) }

// AppendBatch appends the blocks of a batch to b.
func AppendBatch(b []byte, incarnation, segment, sequence uint64, batch []byte) []byte {
	h := head{incarnation, segment, sequence, 0, uint32(len(batch))}
	for {
		n := min(len(batch), blockRoom)
		b = appendBlock(b, h, batch[:n])
		if batch = batch[n:]; len(batch) == 0 {
			return b
		}
		h.place++
	}
}

// AppendHeader appends the header of a segment to b.
func AppendHeader(b []byte, h Header) []byte {
	body := binary.LittleEndian.AppendUint64(make([]byte, 0, headerBytes), h.Flushed)
	body = binary.LittleEndian.AppendUint64(body, uint64(h.Blocks))
	return AppendBatch(b, h.Incarnation, h.Segment, 0, body)
}

// ReadHeader reads the header that a segment's bytes begin with; ok is false where there is none.
func ReadHeader(segment []byte) (h Header, ok bool) {
	if len(segment) < BlockSize {
		return h, false
	}
	at, whole := readBlock(segment[:BlockSize])
	if !whole || at.sequence != 0 || at.size != headerBytes {
		return h, false
	}
	body := segment[blockHead:]
	return Header{at.incarnation, at.segment, binary.LittleEndian.Uint64(body),
		int(binary.LittleEndian.Uint32(body[8:]))}, true
}

// appendBlock appends a block with a head and at most blockRoom bytes of a batch to b.
func appendBlock(b []byte, h head, part []byte) []byte {
	start := len(b)
	b = binary.LittleEndian.AppendUint32(append(b, 0, 0, 0, 0), blockMark)
	b = binary.LittleEndian.AppendUint64(b, h.incarnation)
	b = binary.LittleEndian.AppendUint64(b, h.segment)
	b = binary.LittleEndian.AppendUint64(b, h.sequence)
	b = binary.LittleEndian.AppendUint32(b, h.place)
	b = binary.LittleEndian.AppendUint32(b, h.size)
	b = append(append(b, part...), zeros[:blockRoom-len(part)]...)
	binary.LittleEndian.PutUint32(b[start:], crc32.Checksum(b[start+4:], castagnoli))
	return b
}

// zeros fill a block up. They never change.
var zeros [blockRoom]byte

// readBlock reads the head of a block; whole is false if the block fails its CRC, and h then is what its bytes say all
// the same.
func readBlock(block []byte) (h head, whole bool) {
	if binary.LittleEndian.Uint32(block[4:]) != blockMark {
		return h, false
	}
	h = head{binary.LittleEndian.Uint64(block[8:]), binary.LittleEndian.Uint64(block[16:]),
		binary.LittleEndian.Uint64(block[24:]), binary.LittleEndian.Uint32(block[32:]),
		binary.LittleEndian.Uint32(block[36:])}
	return h, crc32.Checksum(block[4:], castagnoli) == binary.LittleEndian.Uint32(block)
}
