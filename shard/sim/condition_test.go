package sim

import (
	"fmt"
	"slices"
	"tandem/shard"
)

// drawConditions gives a write preconditions. It draws nothing by chance: what came before it decides.
func (w *simWorld) drawConditions(op *simOp, draw int) {
	c := &op.change
	shown := []shard.Position{w.shown[nameOf(op)], {Epoch: 1, LSN: w.acked[op.shard]}}
	switch draw % 8 {
	case 0:
		c.Match = shard.Condition{Kind: shard.OneOf, Versions: shown[1:]}
	case 1:
		c.Match = shard.Condition{Kind: shard.OneOf, Versions: shown}
	case 2:
		c.Match = shard.Condition{Kind: shard.AnyVersion}
	case 3:
		c.Unless = shard.Condition{Kind: shard.AnyVersion}
	case 4:
		c.Unless = shard.Condition{Kind: shard.OneOf, Versions: shown}
	case 5:
		c.Match, c.Unless = shard.Condition{Kind: shard.OneOf, Versions: shown}, shard.Condition{Kind: shard.OneOf,
			Versions: shown[1:]}
	case 6: // nothing but tags that no version has
		c.Match, c.Unless = shard.Condition{Kind: shard.OneOf}, shard.Condition{Kind: shard.AnyVersion}
	case 7:
		c.Match, c.Unless = shard.Condition{Kind: shard.AnyVersion}, shard.Condition{Kind: shard.OneOf}
	}
	w.seen[fmt.Sprint("write: preconditions ", draw%8)]++
}

// nameOf tells users of all shards apart.
func nameOf(op *simOp) string { return fmt.Sprint(op.shard, op.change.ID) }

// noteShown keeps the version of a user that an answer showed last.
func (w *simWorld) noteShown(op *simOp) {
	if r := op.reply.Record; op.kind <= opGet && r.ID != "" {
		w.shown[nameOf(op)] = shard.Position{Epoch: r.Epoch, LSN: r.LSN}
	}
}

// mayMeet tells whether a state may meet a write's preconditions, and whether it surely does. What a write left that
// was not answered has a version that nobody knows.
func mayMeet(c *shard.Change, s known) (may, surely bool) {
	may, surely = true, true
	for i, cond := range []shard.Condition{c.Match, c.Unless} {
		if cond.Kind == 0 {
			continue
		}
		wanted := i == 0
		named := cond.Kind == shard.AnyVersion
		for _, p := range cond.Versions {
			named = named || p == s.at
		}
		vague := s.exists && s.at == shard.Position{} && cond.Kind == shard.OneOf && len(cond.Versions) > 0
		may = may && (vague || (s.exists && named) == wanted)
		surely = surely && !vague && (s.exists && named) == wanted
	}
	return may, surely
}

// outcome is the result of a write that finds a record; an empty id stands for no user. It is written anew here: a
// judge that asked the replica's own rule would share its faults.
func outcome(c *shard.Change, current shard.Record) shard.Result {
	exists := current.ID != ""
	names := func(cond shard.Condition) bool {
		return exists && (cond.Kind == shard.AnyVersion ||
			slices.Contains(cond.Versions, shard.Position{Epoch: current.Epoch, LSN: current.LSN}))
	}
	next := shard.Record{Name: c.Name, Email: c.Email}
	if c.Op == shard.Update && c.Fields&shard.HasName == 0 {
		next.Name = current.Name
	}
	if c.Op == shard.Update && c.Fields&shard.HasEmail == 0 {
		next.Email = current.Email
	}
	switch {
	case c.Match.Kind != 0 && !names(c.Match), c.Unless.Kind != 0 && names(c.Unless):
		return shard.Mismatch
	case c.Op == shard.Create && exists:
		return shard.Exists
	case c.Op != shard.Create && !exists:
		return shard.Missing
	case c.Op == shard.Delete:
		return shard.Deleted
	case len(next.Name)+len(next.Email) > shard.MaxText:
		return shard.Oversized
	case c.Op == shard.Create:
		return shard.Created
	}
	return shard.Updated
}
