package shard

import "fmt"

// drawConditions gives a write preconditions. It draws nothing by chance: what came before it decides.
func (w *simWorld) drawConditions(op *simOp, draw int) {
	c := &op.change
	shown := []Position{w.shown[nameOf(op)], {1, w.acked[op.shard]}}
	switch draw % 8 {
	case 0:
		c.Match = Condition{OneOf, shown[1:]}
	case 1:
		c.Match = Condition{OneOf, shown}
	case 2:
		c.Match = Condition{Kind: AnyVersion}
	case 3:
		c.Unless = Condition{Kind: AnyVersion}
	case 4:
		c.Unless = Condition{OneOf, shown}
	case 5:
		c.Match, c.Unless = Condition{OneOf, shown}, Condition{OneOf, shown[1:]}
	case 6: // nothing but tags that no version has
		c.Match, c.Unless = Condition{Kind: OneOf}, Condition{Kind: AnyVersion}
	case 7:
		c.Match, c.Unless = Condition{Kind: AnyVersion}, Condition{Kind: OneOf}
	}
	w.seen[fmt.Sprint("write: preconditions ", draw%8)]++
}

// nameOf tells users of all shards apart.
func nameOf(op *simOp) string { return fmt.Sprint(op.shard, op.change.ID) }

// noteShown keeps the version of a user that an answer showed last.
func (w *simWorld) noteShown(op *simOp) {
	if r := op.reply.Record; op.kind <= opGet && r.ID != "" {
		w.shown[nameOf(op)] = Position{r.Epoch, r.LSN}
	}
}

// mayMeet tells whether a state may meet a write's preconditions, and whether it surely does. What a write left that
// was not answered has a version that nobody knows.
func mayMeet(c *Change, s known) (may, surely bool) {
	may, surely = true, true
	for i, cond := range []Condition{c.Match, c.Unless} {
		if cond.Kind == 0 {
			continue
		}
		wanted := i == 0
		named := cond.Kind == AnyVersion
		for _, p := range cond.Versions {
			named = named || p == s.at
		}
		vague := s.exists && s.at == Position{} && cond.Kind == OneOf && len(cond.Versions) > 0
		may = may && (vague || (s.exists && named) == wanted)
		surely = surely && !vague && (s.exists && named) == wanted
	}
	return may, surely
}
