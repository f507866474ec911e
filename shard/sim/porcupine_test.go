package sim

import (
	"fmt"
	"math"
	"tandem/shard"
	"time"

	"github.com/anishathalye/porcupine"
)

// known is what the model knows of a key: whether there is a user, of what content, and of which version if an answer
// has shown it.
type known struct {
	exists bool
	text   string
	at     shard.Position
}

// asked is an operation for the checker: the request, and the result, Open if it was never answered.
type asked struct {
	change shard.Change
	get    bool
	open   bool
	result shard.Result
	text   string
	at     shard.Position
}

func textOf(name, email string, group int64) string { return fmt.Sprint(name, "|", email, "|", group) }

// afterChange returns the content after a create or an update.
func afterChange(c *shard.Change, text string) string {
	var name, email string
	var group int64
	if c.Op == shard.Create {
		return textOf(c.Name, c.Email, c.Group)
	}
	parts := splitText(text)
	name, email = parts[0], parts[1]
	_, _ = fmt.Sscan(parts[2], &group)
	if c.Fields&shard.HasName != 0 {
		name = c.Name
	}
	if c.Fields&shard.HasEmail != 0 {
		email = c.Email
	}
	if c.Fields&shard.HasGroup != 0 {
		group = c.Group
	}
	return textOf(name, email, group)
}

func splitText(text string) [3]string {
	var parts [3]string
	at := 0
	for _, r := range text {
		if r == '|' {
			at++
			continue
		}
		parts[at] += string(r)
	}
	return parts
}

// stepModel tells whether an operation may happen in a state, and the state after it. An operation that was never
// answered may have done what it asks, or nothing.
func stepModel(state, input, _ any) (bool, any) {
	s, a := state.(known), input.(asked)
	done := known{exists: true, at: a.at}
	switch {
	case a.get && a.result == shard.Found:
		return s.exists && s.text == a.text && (s.at == shard.Position{} || s.at == a.at), known{true, a.text, a.at}
	case a.get:
		return !s.exists, s
	case a.change.Op == shard.Delete:
		done = known{}
	case a.change.Op == shard.Create || s.exists:
		done.text = afterChange(&a.change, s.text)
	}
	able := s.exists != (a.change.Op == shard.Create)
	may, surely := mayMeet(&a.change, s)
	switch {
	case a.result == shard.Mismatch:
		return !surely, s
	case !may:
		return a.open, s
	case a.open && able: // that it was never done is the same as its being done last
		return true, done
	case a.open:
		return true, s
	case a.result == shard.Missing:
		return !s.exists && a.change.Op != shard.Create, s
	case a.result == shard.Exists:
		return s.exists && a.change.Op == shard.Create, s
	}
	return able, done
}

// checkHistories has porcupine look for an order of all requests of each user that explains every answer (Herlihy and
// Wing, TOPLAS 1990).
func (w *simWorld) checkHistories() {
	model := porcupine.Model{Init: func() any { return known{} }, Step: stepModel}
	history := map[string][]porcupine.Operation{}
	for _, op := range w.ops {
		if op.kind >= opCount {
			continue
		}
		key := nameOf(op)
		a := asked{change: op.change, get: op.kind == opGet, open: op.answered == 0, result: op.reply.Result}
		a.text = textOf(op.reply.Record.Name, op.reply.Record.Email, op.reply.Record.Group)
		if a.result <= shard.Updated {
			a.at = shard.Position{Epoch: op.reply.Record.Epoch, LSN: op.reply.Record.LSN}
		}
		until := op.answered
		if a.open {
			until = math.MaxInt64
			if a.get {
				continue
			}
		}
		history[key] = append(history[key], porcupine.Operation{ClientId: op.client, Input: a, Call: op.invoked,
			Output: a, Return: until})
	}
	for _, key := range sortedKeys(history) {
		if porcupine.CheckOperationsTimeout(model, history[key], 10*time.Second) == porcupine.Illegal {
			w.fail("the history of user %s is not linearizable", key)
		}
	}
}
