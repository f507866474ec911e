package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"tandem/shard/lease"
	"tandem/shard/views"
)

// Facts is what a data folder says about itself; it is written when the folder is first used and never changes.
type Facts struct {
	Format  int    `json:"format"`
	Cluster string `json:"cluster"`
	Node    string `json:"node"`
	Ring    string `json:"ring"` // the nodes' names in order, joined by ","
	Shards  int    `json:"shards"`
	Store   string `json:"store"` // store id, made with the folder
	// Generation counts how often the store has joined Raft anew, because its part of Raft's state could not be trusted
	// any more.
	Generation uint8 `json:"generation"`
	// Before is the generation before an operator let the store take the place of a lost one: it goes on from that.
	Before uint8 `json:"before,omitempty"`
}

// storeFormat is the version of keys and values in RocksDB. A folder of another format is refused as it is: nothing is
// converted when it is opened, so that the program that it belongs to can open it again.
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
	want.Store, want.Generation, want.Before = have.Store, have.Generation, have.Before
	switch {
	case have.Format < want.Format:
		return have, fmt.Errorf("%w: it is of format %d, which this program no longer reads (it reads format %d): "+
			"open it with the older program that wrote it", ErrFolder, have.Format, want.Format)
	case have.Format > want.Format:
		return have, fmt.Errorf("%w: it is of format %d, and this program is too old to read that (it reads format "+
			"%d): open it with the newer program that wrote it", ErrFolder, have.Format, want.Format)
	case have != want:
		return have, fmt.Errorf("%w: it was made as node %s of the nodes %s in this order, in cluster %s with %d "+
			"shards (format %d), and cannot be started as node %s of %s in cluster %s with %d shards (format %d)",
			ErrFolder, have.Node, have.Ring, have.Cluster, have.Shards, have.Format, want.Node, want.Ring, want.Cluster,
			want.Shards, want.Format)
	}
	return have, nil
}

// keepFacts writes what the folder says about itself.
func keepFacts(st Store, facts Facts) error {
	value, err := json.Marshal(facts)
	return errors.Join(err, putFact(st, factsKey, value))
}

// startKey is the key of the last starts: the number of the last one, and the nonces of it and of those before, the
// newest first, 8 bytes each.
const startKey = "start"

// countStart returns this start of the store, with a number one more than that of the last and the process's own nonce,
// and the nonces of those before that are remembered, the newest first. It is stored before anything is said: so it
// tells the process from others that ran, or run, on copies of the folder (rule R23).
func countStart(st Store, nonce uint64) (start views.Start, former []uint64, err error) {
	value, err := getFact(st, startKey)
	if err != nil {
		return start, nil, err
	}
	numbers := []uint64{0}
	if len(value) > 0 {
		numbers = numbers[:0]
	}
	for rest := value; len(rest) >= 8; rest = rest[8:] {
		numbers = append(numbers, binary.BigEndian.Uint64(rest))
	}
	if len(value)%8 != 0 {
		return start, nil, fmt.Errorf("%w: what it says of its last starts has %d bytes, expected a multiple of 8",
			ErrFolder, len(value))
	}
	start, former = views.Start{Number: numbers[0] + 1, Nonce: nonce}, numbers[1:]
	former = former[:min(len(former), views.FormerStarts)]
	value = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, start.Number), nonce)
	for _, before := range former {
		value = binary.BigEndian.AppendUint64(value, before)
	}
	if err = putFact(st, startKey, value); err == nil {
		err = settleFacts(st) // a log that is damaged must not make this store look like an old copy
	}
	return start, former, err
}

// graceKey is the key of how many ns the last process kept its promises for, 8 bytes.
const graceKey = "grace"

// outwait waits until what this store's former process has promised is over, if it kept its promises for longer than
// this one does, and notes for how long this one does.
func outwait(room *Room) error {
	value, err := getFact(room.Store, graceKey)
	if err != nil {
		return err
	}
	former, grace := int64(0), int64(room.Config.Grace)
	if len(value) == 8 {
		former = int64(binary.BigEndian.Uint64(value))
	}
	if wait := time.Duration(lease.WaitOut(former, grace)); wait > 0 {
		room.Log.Warn("waiting until what was promised under a longer --grace is over",
			"wait", wait, "grace", room.Config.Grace)
		time.Sleep(wait)
	}
	if former == grace {
		return nil
	}
	return putFact(room.Store, graceKey, binary.BigEndian.AppendUint64(nil, uint64(grace)))
}
