package shard

// A member id holds the start of the store id, then, a byte each, how often the store has joined Raft anew and the
// node's number plus one.
const (
	memberNodes      = 1<<8 - 1
	memberGeneration = 8  // bits before it
	memberStore      = 16 // bits before the store id
)

// MemberID returns the Raft id of a node's store: the first 48 bits of the store id and the node's number. It is never
// 0.
func MemberID(node int, store [16]byte) uint64 {
	id := uint64(0)
	for _, b := range store[:6] {
		id = id<<8 | uint64(b)
	}
	return id<<16 | uint64(node+1)
}

// MemberOf returns the member id that a store has in a generation, of the one that it was made with. Members of one
// store have the same bits from memberStore on: a later one has the data of those before.
func MemberOf(member uint64, generation uint8) uint64 {
	return member + uint64(generation)<<memberGeneration
}

// Displaces is the generation of a new store that an operator lets take the place of a lost one, even of what that led
// alone: the other copies are the users' data then.
const Displaces = 255

// NextGeneration returns the generation in which a store joins anew, after one, or for one that was let take a lost
// one's place after the one before that. ok is false when there is none left.
func NextGeneration(generation, before uint8) (next uint8, ok bool) {
	if generation == Displaces { // what an operator allowed was for once
		generation = before
	}
	if generation >= Displaces-1 {
		return generation, false
	}
	return generation + 1, true
}

// NodeOf returns the number of the node that a member's store belongs to; -1 if the id is none.
func NodeOf(member uint64) int { return int(member&memberNodes) - 1 }

// GenerationOf returns how often a member's store has joined Raft anew.
func GenerationOf(member uint64) uint8 { return uint8(member >> memberGeneration) }

// StoreOf returns what all members of one store have in common: the first 48 bits of its id.
func StoreOf(member uint64) uint64 { return member >> memberStore }
