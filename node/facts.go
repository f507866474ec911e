package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"tandem/shard"
)

// Facts is what a data folder says about itself; it is written when the folder is first used and never changes.
type Facts struct {
	Format  int    `json:"format"`
	Cluster string `json:"cluster"`
	Node    string `json:"node"`
	Nodes   int    `json:"nodes"`
	Shards  int    `json:"shards"`
	Store   string `json:"store"` // store id, made with the folder
	// Generation counts how often the store has joined Raft anew, because its part of Raft's state could not be trusted any more.
	Generation uint8 `json:"generation"`
}

// storeFormat is the version of keys and values in RocksDB. A folder of another format is refused as it is: nothing is converted when it is opened, so that
// the program that it belongs to can open it again.
const storeFormat = 3

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
	switch {
	case have.Format < want.Format:
		return have, fmt.Errorf("%w: it is of format %d, which this program no longer reads (it reads format %d): open it with the older program that wrote it", ErrFolder, have.Format, want.Format)
	case have.Format > want.Format:
		return have, fmt.Errorf("%w: it is of format %d, and this program is too old to read that (it reads format %d): open it with the newer program that wrote it", ErrFolder, have.Format, want.Format)
	case have != want:
		return have, fmt.Errorf("%w: it was made as node %s of %d in cluster %s with %d shards (format %d), and cannot be started as node %s of %d in cluster %s with %d shards (format %d)",
			ErrFolder, have.Node, have.Nodes, have.Cluster, have.Shards, have.Format, want.Node, want.Nodes, want.Cluster, want.Shards, want.Format)
	}
	return have, nil
}

// keepFacts writes what the folder says about itself.
func keepFacts(st Store, facts Facts) error {
	value, err := json.Marshal(facts)
	return errors.Join(err, putFact(st, factsKey, value))
}

// startKey is the key of the number of the last start, 8 bytes.
const startKey = "start"

// countStart returns the number of this start of the store, one more than that of the last, stored before anything is said, with the process's own random number:
// together they tell it from processes that ran, or run, on copies of the folder (rule R23).
func countStart(st Store, nonce uint64) (shard.Start, error) {
	value, err := getFact(st, startKey)
	if err != nil {
		return shard.Start{}, err
	}
	start := shard.Start{Number: 1, Nonce: nonce}
	switch len(value) {
	case 0:
	case 8:
		start.Number += binary.BigEndian.Uint64(value)
	default:
		return start, fmt.Errorf("%w: the number of its last start has %d bytes, expected 8", ErrFolder, len(value))
	}
	if err = putFact(st, startKey, binary.BigEndian.AppendUint64(nil, start.Number)); err == nil {
		err = settleFacts(st) // a log that is damaged must not make this store look like an old copy
	}
	return start, err
}
