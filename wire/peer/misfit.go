package peer

import (
	"tandem/shard"
	"tandem/wire"
)

// misfits are what the codes of error frames stand for, one code each.
var misfits = map[wire.Code]shard.Misfit{
	wire.WrongVersion:     shard.OtherVersion,
	wire.WrongCluster:     shard.OtherCluster,
	wire.WrongIncarnation: shard.OtherIncarnation,
	wire.WrongRing:        shard.OtherRing,
	wire.WrongShards:      shard.OtherShards,
	wire.WrongLease:       shard.OtherLease,
	wire.WrongName:        shard.OtherName,
	wire.WrongStore:       shard.OtherStore,
}

// CodeOf returns the code of the error frame that refuses a misfit, BadRequest for "".
func CodeOf(misfit shard.Misfit) wire.Code {
	for code, m := range misfits {
		if m == misfit {
			return code
		}
	}
	return wire.BadRequest
}

// MisfitError is the error of two processes that do not work together.
type MisfitError struct {
	In      shard.Misfit // in what they do not fit; "" if the answer is no welcome and says nothing of it
	Text    string       // what both sides have, in the words of who found it
	Refused bool         // the other side has found it, not this one
}

func (e MisfitError) Error() string { return e.Text }
