package wal

import (
	"encoding/binary"
	"hash/crc32"
)

// BlockSize is the size of a block in bytes: what disks write whole, and what direct I/O asks for.
const BlockSize = 4096

// A block begins with a head: CRC32C of all that follows it, 4 bytes; the mark, 4; the log's id, the number of
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
	sum, mark                uint32
	logID, segment, sequence uint64
	place, size              uint32
}

// headOf reads the head of a block, whatever its bytes say. The block is whole if mark and sum are right.
func headOf(b []byte) (h head) {
	h.sum, h.mark = binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	h.logID, h.segment = binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint64(b[16:])
	h.sequence, h.place = binary.LittleEndian.Uint64(b[24:]), binary.LittleEndian.Uint32(b[32:])
	h.size = binary.LittleEndian.Uint32(b[36:])
	return h
}

// Header is what a segment says of itself.
type Header struct {
	LogID   uint64 // of the log, a random number
	Segment uint64
	Flushed uint64 // the state behind the log held all batches up to this sequence when the segment was begun
	Blocks  int    // of the segment, this one included
}

// BlocksOf returns how many blocks a batch of so many bytes takes.
func BlocksOf(size int) int { return max(1, (size+blockRoom-1)/blockRoom) }

// AppendBatch appends the blocks of a batch to b.
func AppendBatch(b []byte, logID, segment, sequence uint64, batch []byte) []byte {
	size := uint32(len(batch))
	for place := uint32(0); ; place++ {
		n, start := min(len(batch), blockRoom), len(b)
		b = binary.LittleEndian.AppendUint32(append(b, 0, 0, 0, 0), blockMark)
		b = binary.LittleEndian.AppendUint64(b, logID)
		b = binary.LittleEndian.AppendUint64(b, segment)
		b = binary.LittleEndian.AppendUint64(b, sequence)
		b = binary.LittleEndian.AppendUint32(b, place)
		b = binary.LittleEndian.AppendUint32(b, size)
		b = append(append(b, batch[:n]...), zeros[:blockRoom-n]...)
		binary.LittleEndian.PutUint32(b[start:], crc32.Checksum(b[start+4:], castagnoli))
		if batch = batch[n:]; len(batch) == 0 {
			return b
		}
	}
}

// zeros fill a block up. They never change.
var zeros [BlockSize]byte

// AppendHeader appends the header of a segment to b.
func AppendHeader(b []byte, h Header) []byte {
	body := binary.LittleEndian.AppendUint64(make([]byte, 0, headerBytes), h.Flushed)
	body = binary.LittleEndian.AppendUint64(body, uint64(h.Blocks))
	return AppendBatch(b, h.LogID, h.Segment, 0, body)
}

// ReadHeader reads the header that a segment's bytes begin with; ok is false where there is none.
func ReadHeader(segment []byte) (h Header, ok bool) {
	if len(segment) < BlockSize {
		return h, false
	}
	at := headOf(segment)
	if at.mark != blockMark || crc32.Checksum(segment[4:BlockSize], castagnoli) != at.sum || at.sequence != 0 ||
		at.size != headerBytes {
		return h, false
	}
	body := segment[blockHead:]
	return Header{at.logID, at.segment, binary.LittleEndian.Uint64(body),
		int(binary.LittleEndian.Uint32(body[8:]))}, true
}
