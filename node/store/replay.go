package store

import (
	"encoding/binary"
	"fmt"

	"github.com/linxGnu/grocksdb"

	"tandem/node/wal"
)

// applied returns up to which batch of the write log the data of each column family goes, by its id.
func applied(db DB) (map[uint32]uint64, error) {
	reach := map[uint32]uint64{}
	for s, family := range db.families {
		if family == nil {
			continue
		}
		sequence, err := readApplied(db, family, MetaApplied)
		if err != nil && !IsDamage(err) {
			return nil, err
		}
		reach[db.ids[s]] = sequence
	}
	if db.raft != nil {
		sequence, err := readApplied(db, db.raft, raftApplied)
		if err != nil && !IsDamage(err) {
			return nil, err
		}
		reach[db.raftID] = sequence
	}
	return reach, nil
}

func readApplied(db DB, family *grocksdb.ColumnFamilyHandle, key string) (uint64, error) {
	value, err := db.rocks.GetCF(db.read, family, []byte(key))
	if err != nil {
		return 0, fmt.Errorf("%w: reading how far the write log is applied: %w", ErrStore, err)
	}
	defer value.Free()
	if len(value.Data()) != 8 {
		return 0, nil
	}
	return binary.BigEndian.Uint64(value.Data()), nil
}

// Replay writes to the tables what a recovery of the write log has and they lack, and has all of it in files when it
// returns: a log that another process begins behind it makes everything before void. Errors: ErrStore, ErrBatch.
func Replay(db DB, r wal.Recovery) error {
	reach, err := applied(db)
	for i := range r.Pieces {
		p := &r.Pieces[i]
		if p.Kind != wal.Whole || err != nil {
			continue
		}
		lacks := func(family uint32) bool {
			upTo, held := reach[family]
			return held && upTo < p.Sequence
		}
		batch, bad := unapplied(p.Batch, lacks)
		if err = bad; batch != nil {
			err = WriteBatch(db, batch)
		}
	}
	if err != nil {
		return err
	}
	return FlushAll(db)
}

// Reach returns up to which batch of the write log the data of the shard, or of Raft, goes that has come furthest. Error:
// ErrStore.
func Reach(db DB) (most uint64, err error) {
	reach, err := applied(db)
	for _, sequence := range reach {
		most = max(most, sequence)
	}
	return most, err
}
