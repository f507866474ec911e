package shard

import (
	"crypto/sha1"
	"encoding/binary"
)

// incarnations is the name space of the UUIDs that Incarnation makes.
const incarnations = "tandem cluster incarnation"

// Incarnation names a cluster for good: a UUID of version 5 (RFC 9562 section 5.5) over the member ids, by node, of the stores that it was born with.
// It is zero for none.
func Incarnation(born []uint64) (id [16]byte) {
	if len(born) == 0 {
		return id
	}
	text := []byte(incarnations)
	for _, member := range born {
		text = binary.BigEndian.AppendUint64(text, member)
	}
	sum := sha1.Sum(text)
	copy(id[:], sum[:])
	id[6], id[8] = id[6]&0x0f|0x50, id[8]&0x3f|0x80
	return id
}
