package main

import (
	"fmt"
	"math"
	"strings"
)

// The kinds of operation.
const (
	opCreate = "create"
	opGet    = "get"
	opUpdate = "update"
	opModify = "modify" // read-modify-write: a get and then an update on the condition of If-Match
	opDelete = "delete"
	opCount  = "count"
	opList   = "list"
)

// operation is one thing that a user does. Number is unique in a run, and what the operation writes contains it.
type operation struct {
	Number uint64
	Kind   string
	Key    uint64 // which user it is about
	User   user   // of a create the whole user; of an update the id and the fields that change
	Offset uint64 // of a list, in parts of 2^64 of all users
	Limit  uint64
}

// share is how many in a hundred operations are of a kind.
type share struct {
	kind string
	of   uint64
}

// recipe is a mix of operations and the way in which it chooses its users.
type recipe struct {
	About  string
	Keys   string
	Shares []share
}

// recipes are the mixes: what users do, and the core workloads of YCSB. They never change.
var recipes = map[string]recipe{
	"crud": {"users as they do it", "uniform", []share{{opGet, 55}, {opUpdate, 20}, {opCreate, 10}, {opDelete, 8},
		{opCount, 3}, {opList, 4}}},
	"a": {"YCSB A, half updates", "zipfian", []share{{opGet, 50}, {opUpdate, 50}}},
	"b": {"YCSB B, mostly reads", "zipfian", []share{{opGet, 95}, {opUpdate, 5}}},
	"c": {"YCSB C, reads only", "zipfian", []share{{opGet, 100}}},
	"d": {"YCSB D, reads of what is new", "latest", []share{{opGet, 95}, {opCreate, 5}}},
	"e": {"YCSB E, short pages", "zipfian", []share{{opList, 95}, {opCreate, 5}}},
	"f": {"YCSB F, read-modify-write", "zipfian", []share{{opGet, 50}, {opModify, 50}}},
}

// workload is what a run does, a pure function of its settings: operation i of a workload is the same one always.
type workload struct {
	Seed    uint64 // of the operations
	Users   uint64 // of the users
	Records uint64 // users 0 to Records-1 are made in the load phase
	Mix     recipe
	Keys    string // uniform, zipfian or latest
	Zipf    zipf
	Size    int    // least length of a name, in bytes
	First   uint64 // number of the first operation
	// is added to the numbers of the run phase, so that runs with the same users do not write the same values
	Numbers uint64
}

// golden64 is 2^64 over the golden ratio: multiples of it are far apart.
const golden64 = 0x9e3779b97f4a7c15

// lastPage is the largest page that a workload asks for, as YCSB E has it.
const lastPage = 100

// unique is what makes a write's value unlike that of every other write.
func unique(number uint64) string { return fmt.Sprintf("#%d", number) }

// newUser returns a user as operation number creates it.
func newUser(w workload, u user, number uint64) user {
	u.Name += " " + unique(number)
	u.Name += strings.Repeat("x", max(0, w.Size-len(u.Name)))
	return u
}

// loadOperation returns operation i of the load phase: it creates user i.
func loadOperation(w workload, i, _ uint64) (operation, uint64) {
	return operation{Number: w.First + i, Kind: opCreate, Key: i, User: newUser(w, makeUser(w.Users, i), w.First+i)}, 0
}

// runOperation returns operation i of the run phase, and how many users the operations up to it have created, given how
// many were before it.
func runOperation(w workload, i, made uint64) (operation, uint64) {
	base := mix(w.Seed*golden64+i+1) + w.First*golden64
	dice := mix(base+golden64) % 100
	op := operation{Number: w.Numbers + w.First + i, Kind: opGet}
	for _, s := range w.Mix.Shares {
		if op.Kind = s.kind; dice < s.of {
			break
		}
		dice -= s.of
	}
	chance, known := mix(base-golden64), w.Records+made
	switch op.Kind {
	case opCreate:
		op.Key = known
		if chance%4 == 0 && w.Mix.Keys == "uniform" { // a user that may have been deleted, or is there
			op.Key = mix(chance) % known
			op.User = newUser(w, makeUser(w.Users, op.Key), op.Number)
			return op, made
		}
		op.User = newUser(w, makeUser(w.Users, op.Key), op.Number)
		return op, made + 1
	case opList:
		op.Offset, op.Limit = chooseKey(w, chance, known)*(math.MaxUint64/known), 1+mix(chance)%lastPage
		return op, made
	case opCount:
		return op, made
	case opDelete: // whatever the keys: the popular users are to stay
		op.Key = chance % known
	default:
		op.Key = chooseKey(w, chance, known)
	}
	if op.Kind == opUpdate || op.Kind == opModify {
		was := newUser(w, makeUser(w.Users, op.Key), op.Number)
		op.User = user{ID: was.ID, Name: was.Name}
		if chance>>8%3 == 0 {
			op.User = user{ID: was.ID, Email: unique(op.Number)[1:] + "." + makeUser(w.Users, op.Key).Email,
				Group: int64(1 + chance>>16%1000)}
		}
	}
	if op.User.ID == "" {
		op.User.ID = makeUser(w.Users, op.Key).ID
	}
	return op, made
}

// chooseKey returns one of the users 0 to known-1 by chance.
func chooseKey(w workload, chance, known uint64) uint64 {
	switch w.Keys {
	case "zipfian": // scrambled: the popular ones are spread over all
		return mix(rank(w.Zipf, chance)+w.Users) % w.Records
	case "latest":
		return known - 1 - min(known-1, rank(w.Zipf, chance))
	}
	return chance % known
}
