package store

import (
	"fmt"
	"slices"
)

// raftFamily is the column family of the view service's saved state.
const raftFamily = "raft"

// familyFormat makes of a shard's number the name of its column family.
const familyFormat = "shard-%02d"

func familyName(s int) string { return fmt.Sprintf(familyFormat, s) }

// FamilyID returns the id of the column family of shard s, which tells a copy of the shard from those before it; 0
// where there is none.
func FamilyID(db DB, s int) uint32 { return db.ids[s] }

// FamilyIDs returns these ids by shard. The list is not to be changed.
func FamilyIDs(db DB) []uint32 { return db.ids }

// RaftFamilyID returns the id of the column family of Raft's saved state.
func RaftFamilyID(db DB) uint32 { return db.raftID }

// HoldsShard tells whether there is a column family of shard s.
func HoldsShard(db DB, s int) bool { return s < len(db.families) && db.families[s] != nil }

// HoldsRaft tells whether there is the column family of Raft's saved state.
func HoldsRaft(db DB) bool { return db.raft != nil }

// AddFamilies returns the store with a column family for the view service and for each shard in held, making those that
// are missing. Error: ErrStore.
func AddFamilies(db DB, held []int) (DB, error) {
	db.families, db.ids = slices.Clone(db.families), slices.Clone(db.ids)
	if db.raft == nil {
		family, err := db.rocks.CreateColumnFamily(db.options, raftFamily)
		if err != nil {
			return db, fmt.Errorf("%w: making %s: %w", ErrStore, raftFamily, err)
		}
		db.raft, db.raftID = family, family.ID()
	}
	for _, s := range held {
		if db.families[s] != nil {
			continue
		}
		family, err := db.rocks.CreateColumnFamily(db.options, familyName(s))
		if err != nil {
			return db, fmt.Errorf("%w: making %s: %w", ErrStore, familyName(s), err)
		}
		db.families[s], db.ids[s] = family, family.ID()
	}
	return db, nil
}

// RenewFamily drops the column family of shard s with all its files, unread, and makes an empty one in its place.
// Nothing may be written meanwhile. The old handle stays open for whoever reads by it, who closes it; until then the
// files stay. Error: ErrStore.
func RenewFamily(db DB, s int) (DB, error) {
	name := db.families[s].Name()
	if err := db.rocks.DropColumnFamily(db.families[s]); err != nil {
		return db, fmt.Errorf("%w: dropping %s: %w", ErrStore, name, err)
	}
	family, err := db.rocks.CreateColumnFamily(db.options, name)
	if err != nil {
		return db, fmt.Errorf("%w: making %s: %w", ErrStore, name, err)
	}
	db.families, db.ids = slices.Clone(db.families), slices.Clone(db.ids)
	db.families[s], db.ids[s] = family, family.ID()
	return db, nil
}

// RenewRaft is RenewFamily for Raft's saved state; nobody else may have it open. Error: ErrStore.
func RenewRaft(db DB) (DB, error) {
	if err := db.rocks.DropColumnFamily(db.raft); err != nil {
		return db, fmt.Errorf("%w: dropping %s: %w", ErrStore, raftFamily, err)
	}
	db.raft.Destroy()
	family, err := db.rocks.CreateColumnFamily(db.options, raftFamily)
	if err != nil {
		return db, fmt.Errorf("%w: making %s: %w", ErrStore, raftFamily, err)
	}
	db.raft, db.raftID = family, family.ID()
	return db, nil
}

// TakeFamily returns db with the column family of shard s that another value of the store has, and closes the former
// one's handle.
func TakeFamily(db, renewed DB, s int) DB {
	db.families[s].Destroy()
	db.families, db.ids = slices.Clone(db.families), slices.Clone(db.ids)
	db.families[s], db.ids[s] = renewed.families[s], renewed.ids[s]
	return db
}
