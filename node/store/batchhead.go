package store

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"

	"tandem/shard"
)

// batchHeadMark is the first byte of the LogData record that begins each batch; it tells it from a shard's header, and
// is its version.
const batchHeadMark = 0x83

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendBatchHead appends the LogData record of a head to b: start, number, and by shard how many parts the batch and
// the log hold, varints.
func appendBatchHead(b []byte, h shard.BatchHead) []byte {
	body := make([]byte, 0, 16+8*len(h.Counts))
	body = binary.AppendUvarint(binary.AppendUvarint(append(body, batchHeadMark), h.Start), h.Number)
	body = binary.AppendUvarint(body, uint64(len(h.Counts)))
	for _, c := range h.Counts {
		body = binary.AppendUvarint(binary.AppendUvarint(body, uint64(c.Shard)), c.Held)
		body = binary.AppendUvarint(body, c.Total)
	}
	return append(binary.AppendUvarint(append(b, tagLogData), uint64(len(body))), body...)
}

// readBatchHead reads the head of a batch, RocksDB's own head included. ours is false for a batch without one, as the
// first writes of a start are. Error: ErrBatch.
func readBatchHead(batch []byte) (h shard.BatchHead, ours bool, err error) {
	if len(batch) <= batchHead || batch[batchHead] != tagLogData {
		return h, false, nil
	}
	size, n := binary.Uvarint(batch[batchHead+1:])
	rest := batch[batchHead+1+max(n, 0):]
	if n <= 0 || size == 0 || size > uint64(len(rest)) || rest[0] != batchHeadMark {
		return h, false, nil
	}
	numbers, body := []uint64{}, rest[1:size]
	for len(body) > 0 {
		value, n := binary.Uvarint(body)
		if n <= 0 {
			return h, true, fmt.Errorf("%w: a batch's head with %d odd bytes", ErrBatch, len(body))
		}
		numbers, body = append(numbers, value), body[n:]
	}
	if len(numbers) < 3 || numbers[2] > math.MaxInt16 || uint64(len(numbers)) != 3+3*numbers[2] {
		return h, true, fmt.Errorf("%w: a batch's head of %d numbers", ErrBatch, len(numbers))
	}
	h.Start, h.Number = numbers[0], numbers[1]
	for rest := numbers[3:]; len(rest) > 0; rest = rest[3:] {
		h.Counts = append(h.Counts, shard.PartCount{Shard: int(rest[0]), Held: rest[1], Total: rest[2]})
	}
	return h, true, nil
}
