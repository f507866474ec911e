package shard

import "slices"

// ConditionKind says what a precondition is about.
type ConditionKind uint8

// The kinds of precondition; the zero value is none.
const (
	AnyVersion ConditionKind = iota + 1 // a user of any version: whether there is one
	OneOf                               // a user of one of the versions; none need be named
)

// Condition names users by their version: If-Match, or with the contrary sense If-None-Match (RFC 9110, sections 13.1.1
// and 13.1.2).
type Condition struct {
	Kind     ConditionKind
	Versions []Position
}

// Unmet is the precondition that is not met.
type Unmet uint8

// The preconditions; the zero value is none of them.
const (
	MatchUnmet Unmet = iota + 1
	UnlessUnmet
)

// Weigh returns the first precondition that a record does not meet, in the order of RFC 9110, section 13.2.2. An empty
// id stands for no user.
func Weigh(match, unless Condition, current Record) Unmet {
	at := Position{current.Epoch, current.LSN}
	for unmet, c := range [...]Condition{MatchUnmet: match, UnlessUnmet: unless} {
		named := current.ID != "" && (c.Kind == AnyVersion || c.Kind == OneOf && slices.Contains(c.Versions, at))
		if c.Kind != 0 && named != (Unmet(unmet) == MatchUnmet) {
			return Unmet(unmet)
		}
	}
	return 0
}
