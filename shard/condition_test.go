package shard

import (
	"errors"
	"strings"
	"testing"
)

// TestPreconditionsOfWrites is RFC 9110, sections 13.1.1, 13.1.2 and 13.2.2, for each kind of write on a user of
// version 1-2 and on none.
func TestPreconditionsOfWrites(t *testing.T) {
	none, any, foreign := Condition{}, Condition{Kind: AnyVersion}, Condition{Kind: OneOf}
	own, other := Condition{OneOf, []Position{{9, 9}, {1, 2}}}, Condition{OneOf, []Position{{2, 2}, {1, 1}}}
	// even the version that a record without one has names no user that is not there
	nowhere := Condition{OneOf, []Position{{}}}
	here := Record{ID: "a", Name: "n", Email: "e", Group: 4, Epoch: 1, LSN: 2}
	for _, k := range []struct {
		name           string
		match, unless  Condition
		there, missing bool // whether the write goes on
	}{
		{"none", none, none, true, true},
		{"if-match *", any, none, true, false},
		{"if-match own", own, none, true, false},
		{"if-match other", other, none, false, false},
		{"if-match foreign", foreign, none, false, false},
		{"if-match nowhere", nowhere, none, false, false},
		{"if-none-match *", none, any, false, true},
		{"if-none-match own", none, own, false, true},
		{"if-none-match other", none, other, true, true},
		{"if-none-match foreign", none, foreign, true, true},
		{"both, own and other", own, other, true, false},
		{"both, own and own", own, own, false, false},
		{"both, *", any, any, false, false},
		{"both, other and other", other, other, false, false},
	} {
		for op, results := range map[Op][2]Result{Create: {Exists, Created}, Update: {Updated, Missing},
			Delete: {Deleted, Missing}} {
			c := &Change{Op: op, ID: "a", Fields: HasGroup, Group: 5, Match: k.match, Unless: k.unless}
			for i, current := range []Record{here, {}} {
				want := Result(Mismatch)
				if []bool{k.there, k.missing}[i] {
					want = results[i]
				}
				got, record := outcome(c, current)
				if got != want || got == Mismatch && record != current {
					t.Errorf("%s, op %d, user %q: result %d and %+v, expected %d", k.name, op, current.ID, got, record, want)
				}
			}
		}
	}
}

// TestWhichPreconditionIsUnmet: If-Match is weighed first.
func TestWhichPreconditionIsUnmet(t *testing.T) {
	here, one, other := Record{ID: "a", Epoch: 1, LSN: 2}, Condition{OneOf, []Position{{1, 2}}},
		Condition{OneOf, []Position{{1, 1}}}
	for _, k := range []struct {
		match, unless Condition
		want          Unmet
	}{{one, other, 0}, {other, one, MatchUnmet}, {other, other, MatchUnmet}, {one, one, UnlessUnmet},
		{Condition{}, one, UnlessUnmet}, {Condition{}, Condition{}, 0}} {
		if got := Weigh(k.match, k.unless, here); got != k.want {
			t.Errorf("%v %v: %d, expected %d", k.match, k.unless, got, k.want)
		}
	}
}

// TestNoWriteMakesAUserTooLarge: the limit is on the record, whatever part of it a write brings.
func TestNoWriteMakesAUserTooLarge(t *testing.T) {
	half := strings.Repeat("x", MaxText/2)
	here := Record{ID: "a", Name: half, Email: half, Epoch: 1, LSN: 2}
	for _, k := range []struct {
		c    Change
		want Result
	}{
		{Change{Op: Update, Fields: HasName, Name: half + "x"}, Oversized},
		{Change{Op: Update, Fields: HasEmail, Email: half + "x"}, Oversized},
		{Change{Op: Update, Fields: HasName, Name: half}, Updated},
		{Change{Op: Update, Fields: HasGroup, Name: half + half}, Updated}, // the name is not a field of it
		{Change{Op: Update, Fields: HasName | HasEmail, Name: half + half, Email: ""}, Updated},
		{Change{Op: Delete}, Deleted},
	} {
		if got, record := outcome(&k.c, here); got != k.want || got == Oversized && record != here {
			t.Errorf("op %d, fields %b, %d and %d bytes: result %d", k.c.Op, k.c.Fields, len(k.c.Name), len(k.c.Email), got)
		}
	}
	for extra, want := range map[string]Result{"": Created, "x": Oversized} {
		if got, _ := outcome(&Change{Op: Create, ID: "b", Name: half, Email: half + extra}, Record{}); got != want {
			t.Errorf("a create of %d bytes: %d", MaxText+len(extra), got)
		}
	}
}

func TestTextsThatCannotBe(t *testing.T) {
	most := strings.Repeat("x", MaxText)
	for _, k := range []struct{ name, email, says string }{
		{most, "", ""}, {"", most, ""}, {most[1:], "e", ""}, {most, "e",
			"at most 16384 bytes of name and email together, found 16385"}, {"é\x00\u2028😀", "", ""},
		{"\xff", "", "UTF-8"}, {"", "a\xed\xa0\x80", "UTF-8"},
	} {
		err := CheckText(k.name, k.email)
		if (err == nil) != (k.says == "") || err != nil && (!errors.Is(err, ErrText) ||
			!strings.Contains(err.Error(), k.says)) {
			t.Errorf("%.20q %.20q: %v, expected %q", k.name, k.email, err, k.says)
		}
	}
}

// outcome is what a write comes to on a record.
func outcome(c *Change, current Record) (Result, Record) {
	return decide(c, current, Weigh(c.Match, c.Unless, current))
}
