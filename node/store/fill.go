package store

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/vmihailenco/msgpack/v5"

	"tandem/shard"
	"tandem/shard/replica"
)

// WipePart serializes the dropping of all data of one shard. Its first key begins as none that is put does: RocksDB 7.8
// keeps one list of hints (hintBytes) for keys and for ranges, which lie in different memtables.
func WipePart(s int, family uint32) Part {
	b := binary.AppendUvarint([]byte{tagFamilyRange}, uint64(family))
	return Part{Shard: s, Records: 1, Bytes: appendBytes(appendBytes(b, []byte{0}), []byte{0xff}), Wiped: true}
}

// RecordsPart serializes users of a snapshot, and adds them to the counts. It bears no LogData header: they are not
// entries of the log.
func RecordsPart(l shard.Layout, s int, family uint32, records []shard.Record, counts *Buckets) Part {
	p := Part{Shard: s, Records: uint32(len(records))}
	put := binary.AppendUvarint([]byte{tagFamilyPut}, uint64(family))
	var key, value []byte
	for i := range records {
		r := &records[i]
		_, bucket := shard.ShardOf(l, r.ID)
		counts[bucket]++
		key = shard.AppendKey(key[:0], bucket, r.ID)
		value = appendValue(value[:0], &shard.Entry{Name: r.Name, Email: r.Email, Group: r.Group, Epoch: r.Epoch, LSN: r.LSN})
		p.Bytes = appendBytes(appendBytes(append(p.Bytes, put...), key), value)
	}
	return p
}

// WholePart serializes the meta of a shard whose snapshot is whole: history, the request-id window, and the counts with
// the position, which says that it is whole.
func WholePart(s int, family uint32, fx *replica.Effect, counts Buckets) Part {
	p := Part{Shard: s, Last: fx.LSN}
	put := binary.AppendUvarint([]byte{tagFamilyPut}, uint64(family))
	add := func(key, value []byte) {
		p.Bytes = appendBytes(appendBytes(append(p.Bytes, put...), key), value)
		p.Records++
	}
	for bucket, users := range counts {
		add(append([]byte(MetaBucket), byte(bucket)), appendBucket(nil, users, fx.LSN))
	}
	for _, h := range fx.History {
		add(binary.BigEndian.AppendUint64([]byte(MetaEpoch), h.Epoch), binary.BigEndian.AppendUint64(nil, h.LSN))
	}
	var window bytes.Buffer
	enc := msgpack.NewEncoder(&window)
	enc.UseArrayEncodedStructs(true)
	if err := enc.Encode(fx.Entries); err != nil {
		panic("node: a buffer refused bytes: " + err.Error())
	}
	add([]byte(MetaWindow), window.Bytes())
	return p
}

// ReadWindow is the inverse of the window in WholePart. Error: ErrStore.
func ReadWindow(value []byte) ([]shard.Entry, error) {
	entries := []shard.Entry{}
	if err := msgpack.Unmarshal(value, &entries); err != nil {
		return nil, fmt.Errorf("%w: the request-id window: %w", ErrStore, err)
	}
	return entries, nil
}
