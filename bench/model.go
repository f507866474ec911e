package main

import (
	"fmt"

	"github.com/anishathalye/porcupine"
)

// input is an operation on one user, as the model sees it.
type input struct {
	Kind  string
	User  user
	Match string
}

// output is what it was answered. Status 0 is no answer: the operation may have been done at any later time, or never.
type output struct {
	Status int
	User   user
	Tag    string
}

// believed is what is known of a user at one moment of a linearization. It begins with nothing known when the users
// were made by an earlier run.
type believed struct {
	Known   bool // whether it is there
	Present bool
	Whole   bool // User is all of it
	User    user
	Tag     string // "" if it is not known, as after a write without an answer
}

// userModel is what the answers about one user must agree with: a register that is created, updated in part and
// deleted.
func userModel(initial believed) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return initial },
		Step: func(state, in, out any) (bool, any) { return stepUser(state.(believed), in.(input), out.(output)) },
		DescribeOperation: func(in, out any) string {
			i, o := in.(input), out.(output)
			return fmt.Sprintf("%s %s%s → %s", i.Kind, describeFields(i.User), i.Match, describeOutput(o))
		},
		DescribeState: func(state any) string { return fmt.Sprintf("%+v", state) },
	}
}

func describeFields(u user) string {
	if u == (user{ID: u.ID}) {
		return ""
	}
	return fmt.Sprintf("%q %q %d ", u.Name, u.Email, u.Group)
}

func describeOutput(o output) string {
	if o.Status == 0 {
		return "no answer"
	}
	if o.User.ID == "" {
		return fmt.Sprint(o.Status)
	}
	return fmt.Sprintf("%d %q %q %d %s", o.Status, o.User.Name, o.User.Email, o.User.Group, o.Tag)
}

// merge puts the fields of an update over a user.
func merge(u, fields user) user {
	if fields.Name != "" {
		u.Name = fields.Name
	}
	if fields.Email != "" {
		u.Email = fields.Email
	}
	if fields.Group != 0 {
		u.Group = fields.Group
	}
	return u
}

// stepUser says whether an operation can have been answered so at this moment, and what is known after it.
func stepUser(b believed, in input, out output) (bool, believed) {
	maybe, surely := !b.Known || b.Present, b.Known && b.Present // it is there
	fits := in.Match == "" || !b.Known || b.Tag == in.Match || !b.Whole
	switch {
	case out.Status == 0:
		return true, attempt(b, in, merge(b.User, in.User))
	case out.Status == 404:
		// a condition on who is not there fails before anything else
		return !surely && in.Match == "", believed{Known: true}
	case out.Status == 409:
		if !b.Known {
			b = believed{Known: true, Present: true}
		}
		return maybe, b
	case out.Status == 412:
		return in.Match != "" && !(surely && b.Tag == in.Match), b
	case in.Kind == opCreate:
		return !surely && out.User == in.User, believed{true, true, true, out.User, out.Tag}
	case in.Kind == opDelete:
		return maybe && fits, believed{Known: true}
	}
	want := b.User
	if in.Kind == opUpdate {
		want = merge(want, in.User)
	}
	good := maybe && (!b.Whole || want == out.User) && merge(out.User, in.User) == out.User
	if in.Kind == opUpdate { // its text is unique, so the user has changed, and the tag must have, too
		good = good && fits && (out.Tag == "" || out.Tag != b.Tag)
	} else if b.Tag != "" && out.Tag != "" {
		good = good && b.Tag == out.Tag
	}
	tag := out.Tag
	if in.Kind == opGet && tag == "" {
		tag = b.Tag // a list has no tags
	}
	return good, believed{true, true, true, out.User, tag}
}

// attempt returns what is known after a write that was not answered, if it was done at this moment; merged is
// the user that an update makes.
func attempt(b believed, in input, merged user) believed {
	switch {
	case in.Kind == opCreate && b.Known && !b.Present:
		return believed{true, true, true, in.User, ""}
	case in.Kind == opDelete && b.Known && b.Present && (in.Match == "" || b.Tag == in.Match):
		return believed{Known: true}
	case in.Kind == opUpdate && b.Whole && b.Present && (in.Match == "" || b.Tag == in.Match):
		return believed{true, true, true, merged, ""}
	case !b.Known || !b.Whole: // whatever it was, it may have changed
		return believed{Known: b.Known && in.Kind != opDelete, Present: b.Present && in.Kind != opDelete}
	}
	return b
}
