package store

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"tandem/shard"
	"tandem/shard/views"
)

// Identity is what a data folder says about itself; it is written when the folder is first used and never changes.
type Identity struct {
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

// Format is the version of keys and values in RocksDB, and of the write log. A folder of another format is refused as
// it is: nothing is converted when it is opened, so that the program that it belongs to can open it again.
const Format = 4

const identityKey = "facts"

// ErrFolder is the class of a data folder that belongs to another node, cluster or layout. It is refused, never wiped.
var ErrFolder = errors.New("wrong data folder")

// Claim checks that the folder belongs to this node, or makes it this node's if it is new. Errors: ErrFolder,
// ErrStore.
func Claim(db DB, want Identity) (Identity, error) {
	value, err := GetLocal(db, identityKey)
	if err != nil {
		return Identity{}, err
	}
	if value == nil {
		want.Store = uuid.NewString()
		value, err = json.Marshal(want)
		return want, errors.Join(err, PutLocal(db, identityKey, value))
	}
	have := Identity{}
	if err = json.Unmarshal(value, &have); err != nil {
		return have, fmt.Errorf("%w: its identity does not decode: %w", ErrFolder, err)
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

// ReadIdentity reads what the folder says about itself. Errors: ErrStore, or of what is there.
func ReadIdentity(db DB) (identity Identity, err error) {
	value, err := GetLocal(db, identityKey)
	if err == nil {
		err = json.Unmarshal(value, &identity)
	}
	return identity, err
}

// KeepIdentity writes what the folder says about itself. Error: ErrStore.
func KeepIdentity(db DB, identity Identity) error {
	value, err := json.Marshal(identity)
	return errors.Join(err, PutLocal(db, identityKey, value))
}

// startKey is the key of the last starts: the number of the last one, and the nonces of it and of those before, the
// newest first, 8 bytes each.
const startKey = "start"

// CountStart returns this start of the store, with a number one more than that of the last and the process's own nonce,
// and the nonces of those before that are remembered, the newest first. It is stored before anything is said: so it
// tells the process from others that ran, or run, on copies of the folder (rule R23).
func CountStart(db DB, nonce uint64) (start views.Start, former []uint64, err error) {
	value, err := GetLocal(db, startKey)
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
	return start, former, PutLocal(db, startKey, value)
}

// GraceKey is the key of how many ns the last process kept its promises for, 8 bytes.
const GraceKey = "grace"

// ErrMember is the class of a store id that is no UUID.
var ErrMember = errors.New("bad store id")

// MemberID returns the member id of a node's store. Error: ErrMember.
func MemberID(self int, identity Identity) (uint64, error) {
	store, err := uuid.Parse(identity.Store)
	if err != nil {
		return 0, errors.Join(ErrMember, err)
	}
	return shard.MemberOf(shard.MemberID(self, store), identity.Generation), nil
}
