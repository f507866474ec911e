package store

import (
	"encoding/binary"

	"tandem/shard"
)

// Leftover is what can be read of a damaged shard.
type Leftover struct {
	Users       []shard.Record
	Epoch, Last uint64 // of the last write that is known; Last is its LSN
	Unread      int    // buckets of which something cannot be read, or is missing by their counts
	// users that are too many by the counts of their buckets: some that were deleted may be among all
	Beyond uint64

	Kept bool `json:"-"` // this is what the file had that an earlier run wrote
}

// ReadLeft reads what can be read of a shard. begun tells whether its copy has a history. Error: if its meta cannot be
// read, which the users tell then as far as they can.
func ReadLeft(db DB, s int) (left Leftover, begun bool, failed error) {
	scan, found, counted := OpenScan(db, s), Buckets{}, Buckets{}
	defer func() { CloseScan(scan) }()
	bad := [256]bool{}
	for bucket := range 256 {
		begin := []byte{shard.UserPrefix, byte(bucket)}
		err := WalkScan(scan, begin, 0, func(key, value []byte) bool {
			id, isUser := shard.KeyID(key)
			if !isUser || key[1] != byte(bucket) {
				return false
			}
			r, odd := DecodeValue(value)
			if r.ID = id; odd == nil {
				left.Users, found[bucket] = append(left.Users, r), found[bucket]+1
			}
			if odd == nil && (r.Epoch > left.Epoch || r.Epoch == left.Epoch && r.LSN > left.Last) {
				left.Epoch, left.Last = r.Epoch, r.LSN
			}
			return true
		})
		if err != nil { // an iterator that has failed once says so for ever
			bad[bucket] = true
			CloseScan(scan)
			scan = OpenScan(db, s)
		}
	}
	failed = WalkScan(scan, []byte{MetaPrefix}, 0, func(key, value []byte) bool {
		switch name := string(key[:min(len(key), 2)]); {
		case name == MetaBucket && len(key) == 3:
			users, lsn, _ := ReadBucket(value)
			counted[key[2]], left.Last = users, max(left.Last, lsn)
		case name == MetaEpoch && len(key) == 10:
			begun, left.Epoch = true, max(left.Epoch, binary.BigEndian.Uint64(key[2:]))
		}
		return key[0] == MetaPrefix
	})
	for bucket := range 256 {
		if bad[bucket] || failed == nil && found[bucket] < counted[bucket] {
			left.Unread++
		}
		if failed == nil {
			left.Beyond += max(found[bucket], counted[bucket]) - counted[bucket]
		}
	}
	return left, begun, failed
}
