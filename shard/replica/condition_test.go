package replica

import (
	"errors"
	"strings"
	"tandem/shard"
	"testing"
)

// TestPreconditionsOfWrites is RFC 9110, sections 13.1.1, 13.1.2 and 13.2.2, for each kind of write on a user of
// version 1-2 and on none.
func TestPreconditionsOfWrites(t *testing.T) {
	none, any, foreign := shard.Condition{}, shard.Condition{Kind: shard.AnyVersion}, shard.Condition{Kind: shard.OneOf}
	own, other := shard.Condition{Kind: shard.OneOf, Versions: []shard.Position{{Epoch: 9, LSN: 9}, {Epoch: 1, LSN: 2}}},
		shard.Condition{Kind: shard.OneOf, Versions: []shard.Position{{Epoch: 2, LSN: 2}, {Epoch: 1, LSN: 1}}}
	// even the version that a record without one has names no user that is not there
	nowhere := shard.Condition{Kind: shard.OneOf, Versions: []shard.Position{{}}}
	here := shard.Record{ID: "a", Name: "n", Email: "e", Group: 4, Epoch: 1, LSN: 2}
	for _, k := range []struct {
		name           string
		match, unless  shard.Condition
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
		for op, results := range map[shard.Op][2]shard.Result{shard.Create: {shard.Exists, shard.Created},
			shard.Update: {shard.Updated, shard.Missing},
			shard.Delete: {shard.Deleted, shard.Missing}} {
			c := &shard.Change{Op: op, ID: "a", Fields: shard.HasGroup, Group: 5, Match: k.match, Unless: k.unless}
			for i, current := range []shard.Record{here, {}} {
				want := shard.Result(shard.Mismatch)
				if []bool{k.there, k.missing}[i] {
					want = results[i]
				}
				got, record := outcome(c, current)
				if got != want || got == shard.Mismatch && record != current {
					t.Errorf("%s, op %d, user %q: result %d and %+v, expected %d", k.name, op, current.ID, got, record, want)
				}
			}
		}
	}
}

// TestWhichPreconditionIsUnmet: If-Match is weighed first.
func TestWhichPreconditionIsUnmet(t *testing.T) {
	here, one, other := shard.Record{ID: "a", Epoch: 1, LSN: 2}, shard.Condition{Kind: shard.OneOf,
		Versions: []shard.Position{{Epoch: 1, LSN: 2}}},
		shard.Condition{Kind: shard.OneOf, Versions: []shard.Position{{Epoch: 1, LSN: 1}}}
	for _, k := range []struct {
		match, unless shard.Condition
		want          shard.Unmet
	}{{one, other, 0}, {other, one, shard.MatchUnmet}, {other, other, shard.MatchUnmet}, {one, one, shard.UnlessUnmet},
		{shard.Condition{}, one, shard.UnlessUnmet}, {shard.Condition{}, shard.Condition{}, 0}} {
		if got := shard.Weigh(k.match, k.unless, here); got != k.want {
			t.Errorf("%v %v: %d, expected %d", k.match, k.unless, got, k.want)
		}
	}
}

// TestNoWriteMakesAUserTooLarge: the limit is on the record, whatever part of it a write brings.
func TestNoWriteMakesAUserTooLarge(t *testing.T) {
	half := strings.Repeat("x", shard.MaxText/2)
	here := shard.Record{ID: "a", Name: half, Email: half, Epoch: 1, LSN: 2}
	for _, k := range []struct {
		c    shard.Change
		want shard.Result
	}{
		{shard.Change{Op: shard.Update, Fields: shard.HasName, Name: half + "x"}, shard.Oversized},
		{shard.Change{Op: shard.Update, Fields: shard.HasEmail, Email: half + "x"}, shard.Oversized},
		{shard.Change{Op: shard.Update, Fields: shard.HasName, Name: half}, shard.Updated},
		{shard.Change{Op: shard.Update, Fields: shard.HasGroup, Name: half + half}, shard.Updated},
		// the name is not a field of it
		{shard.Change{Op: shard.Update, Fields: shard.HasName | shard.HasEmail, Name: half + half, Email: ""}, shard.Updated},
		{shard.Change{Op: shard.Delete}, shard.Deleted},
	} {
		if got, record := outcome(&k.c, here); got != k.want || got == shard.Oversized && record != here {
			t.Errorf("op %d, fields %b, %d and %d bytes: result %d", k.c.Op, k.c.Fields, len(k.c.Name), len(k.c.Email), got)
		}
	}
	for extra, want := range map[string]shard.Result{"": shard.Created, "x": shard.Oversized} {
		if got, _ := outcome(&shard.Change{Op: shard.Create, ID: "b", Name: half, Email: half + extra},
			shard.Record{}); got != want {
			t.Errorf("a create of %d bytes: %d", shard.MaxText+len(extra), got)
		}
	}
}

func TestTextsThatCannotBe(t *testing.T) {
	most := strings.Repeat("x", shard.MaxText)
	for _, k := range []struct{ name, email, says string }{
		{most, "", ""}, {"", most, ""}, {most[1:], "e", ""}, {most, "e",
			"at most 16384 bytes of name and email together, found 16385"}, {"é\x00\u2028😀", "", ""},
		{"\xff", "", "UTF-8"}, {"", "a\xed\xa0\x80", "UTF-8"},
	} {
		err := shard.CheckText(k.name, k.email)
		if (err == nil) != (k.says == "") || err != nil && (!errors.Is(err, shard.ErrText) ||
			!strings.Contains(err.Error(), k.says)) {
			t.Errorf("%.20q %.20q: %v, expected %q", k.name, k.email, err, k.says)
		}
	}
}

// outcome is what a write comes to on a record.
func outcome(c *shard.Change, current shard.Record) (shard.Result, shard.Record) {
	return decide(c, current, shard.Weigh(c.Match, c.Unless, current))
}
