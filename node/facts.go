package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"tandem/shard"
)

// Facts is what a data folder says about itself; it is written when the folder is first used and never changes.
type Facts struct {
	Format  int    `json:"format"`
	Cluster string `json:"cluster"`
	Node    string `json:"node"`
	Ring    string `json:"ring"` // the nodes' names in order, joined by ","
	Shards  int    `json:"shards"`
	Store   string `json:"store"` // store id, made with the folder
	// Generation counts how often the store has joined Raft anew, because its part of Raft's state could not be trusted any more.
	Generation uint8 `json:"generation"`
}

// storeFormat is the version of keys and values in RocksDB. A folder of format 1, whose position and counts stand under other keys, becomes one of
// format 2 when it is opened, so that no older program takes it for its own.
const storeFormat = 2

const factsKey = "facts"

// ErrFolder is the class of a data folder that belongs to another node, cluster or layout. It is refused, never wiped.
var ErrFolder = errors.New("wrong data folder")

// claim checks that the folder belongs to this node, or makes it this node's if it is new.
func claim(st Store, want Facts) (Facts, error) {
	value, err := getFact(st, factsKey)
	if err != nil {
		return Facts{}, err
	}
	if value == nil {
		want.Store = uuid.NewString()
		value, err = json.Marshal(want)
		return want, errors.Join(err, putFact(st, factsKey, value))
	}
	have := Facts{}
	if err = json.Unmarshal(value, &have); err != nil {
		return have, fmt.Errorf("%w: its facts do not decode: %w", ErrFolder, err)
	}
	want.Store, want.Generation = have.Store, have.Generation
	older := want
	older.Format = 1
	if have == older {
		value, err = json.Marshal(want)
		return want, errors.Join(err, putFact(st, factsKey, value))
	}
	if have != want {
		return have, fmt.Errorf("%w: it was made as node %s of the nodes %s in this order, in cluster %s with %d shards (format %d), and cannot be started as node %s of %s in cluster %s with %d shards (format %d)",
			ErrFolder, have.Node, have.Ring, have.Cluster, have.Shards, have.Format, want.Node, want.Ring, want.Cluster, want.Shards, want.Format)
	}
	return have, nil
}

// keepFacts writes what the folder says about itself.
func keepFacts(st Store, facts Facts) error {
	value, err := json.Marshal(facts)
	return errors.Join(err, putFact(st, factsKey, value))
}

// lifeKey is the key of the number of the last start, 8 bytes.
const lifeKey = "life"

// countLife returns the number of this start of the store, greater than that of any before: the time, unless the clock was set back.
func countLife(st Store) (int64, error) {
	value, err := getFact(st, lifeKey)
	if err != nil {
		return 0, err
	}
	life := time.Now().UnixNano()
	if len(value) == 8 {
		life = max(life, int64(binary.BigEndian.Uint64(value))+2) // what comes after a good-bye is one more
	}
	return life, putFact(st, lifeKey, binary.BigEndian.AppendUint64(nil, uint64(life)))
}

// graceKey is the key of how many ns the last process kept its promises for, 8 bytes.
const graceKey = "grace"

// outwait waits until what this store's former process has promised is over, if it kept its promises for longer than this one does, and notes for how long
// this one does.
func outwait(room *Room) error {
	value, err := getFact(room.Store, graceKey)
	if err != nil {
		return err
	}
	former, grace := int64(0), int64(room.Config.Grace)
	if len(value) == 8 {
		former = int64(binary.BigEndian.Uint64(value))
	}
	if wait := time.Duration(shard.WaitOut(former, grace)); wait > 0 {
		room.Log.Info("waiting until what was promised under a longer --grace is over", "before", wait, "now", room.Config.Grace)
		time.Sleep(wait)
	}
	if former == grace {
		return nil
	}
	return putFact(room.Store, graceKey, binary.BigEndian.AppendUint64(nil, uint64(grace)))
}
