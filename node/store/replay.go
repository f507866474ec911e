package store

import (
	"encoding/binary"
	"fmt"

	"tandem/node/wal"
)

// Applied returns up to which batch of the write log the data of each column family goes, by its id: of the shards, and
// of Raft. One whose data is damaged has nothing. Error: ErrStore.
func Applied(db DB) (map[uint32]uint64, error) {
	reach := map[uint32]uint64{}
	for i := range len(db.families) + 1 {
		family, id, key := db.raft, db.raftID, raftApplied
		if i < len(db.families) {
			family, id, key = db.families[i], db.ids[i], MetaApplied
		}
		if family == nil {
			continue
		}
		reach[id] = 0
		value, err := db.rocks.GetCF(db.read, family, []byte(key))
		if err != nil && !IsDamage(err) {
			return nil, fmt.Errorf("%w: reading how far the write log is applied: %w", ErrStore, err)
		}
		if err != nil {
			continue
		}
		if len(value.Data()) == 8 {
			reach[id] = binary.BigEndian.Uint64(value.Data())
		}
		value.Free()
	}
	return reach, nil
}

// replaying is a log on its way into the tables.
type replaying struct {
	db    DB
	log   wal.Recovery
	reach map[uint32]uint64
	err   error
}

// replayStages bring the tables up to the log.
var replayStages = [...]func(replaying) replaying{askReach, writeMissing, flushReplayed}

// Replay writes to the tables what a recovery of the write log has and they lack, and has all of it in files when it
// returns: a log that another process begins behind it makes everything before void. Errors: ErrStore, ErrBatch.
func Replay(db DB, r wal.Recovery) error {
	s := replaying{db: db, log: r}
	for _, stage := range replayStages {
		if s.err == nil {
			s = stage(s)
		}
	}
	return s.err
}

func askReach(s replaying) replaying {
	s.reach, s.err = Applied(s.db)
	return s
}

func writeMissing(s replaying) replaying {
	for i := range s.log.Pieces {
		p := &s.log.Pieces[i]
		if p.Kind != wal.Whole {
			continue
		}
		lacks := func(family uint32) bool {
			upTo, held := s.reach[family]
			return held && upTo < p.Sequence
		}
		batch, err := unapplied(p.Batch, lacks)
		if err == nil && batch != nil {
			err = WriteBatch(s.db, batch)
		}
		if s.err = err; err != nil {
			break
		}
	}
	return s
}

func flushReplayed(s replaying) replaying {
	s.err = Flush(s.db, true)
	return s
}
