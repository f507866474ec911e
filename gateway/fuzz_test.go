package main

import (
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"tandem/shard"
	"tandem/wire"
)

// FuzzUser: whatever the body, the decoder agrees with encoding/json on what is JSON, and what it accepts is written
// and read back alike.
func FuzzUser(f *testing.F) {
	for _, body := range []string{`{"id":"13AE742","name":"Ada","email":"ada@example.org","group":7}`, `{}`,
		`{"name":null,"name":1}`, `{"group":1e400}`, `[{"id":[]}]`, "{\"name\":\"\xff\"}",
		`{"name":"\ud83d\ude00"} x`} {
		f.Add([]byte(body), true)
		f.Add([]byte(body), false)
	}
	f.Fuzz(func(t *testing.T, body []byte, create bool) {
		required := uint8(hasID)
		if create {
			required = wire.HasName | wire.HasEmail | wire.HasGroup
		}
		user, have, bad, err := decodeUser(body, required)
		switch {
		case err != nil && (!errors.Is(err, errJSON) || bad != nil):
			t.Fatalf("%v with %v", err, bad)
		case err == nil && !json.Valid(body):
			t.Fatalf("%q is no JSON: %v", body, bad)
		case err != nil || len(bad) > 0:
			return
		case have&required != required || !utf8.ValidString(user.Name+user.Email):
			t.Fatalf("%q gives %+v", body, user)
		case have&hasID != 0 && shard.CheckID(user.ID) != nil:
			t.Fatalf("%q gives the id %q", body, user.ID)
		case have&hasID == 0:
			user.ID = "made"
		}
		again, _, bad, err := decodeUser(appendUser(nil, &user), hasID)
		if err != nil || bad != nil || again != user {
			t.Fatalf("%+v became %+v, %v, %v", user, again, bad, err)
		}
	})
}

// FuzzCursor: a text is a cursor only if cursor makes it.
func FuzzCursor(f *testing.F) {
	for _, text := range []string{"", cursor("13AE742"), cursor("count"), "Y2", "Yw", "%%%", "nonsense",
		cursor("0198c0de-7a11-7000-8000-0123456789ab") + "="} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		q, bad := parseQuery(url.Values{"after": {text}})
		if len(bad) == 0 && text != "" && (shard.CheckID(q.After) != nil || cursor(q.After) != text) {
			t.Fatalf("%q is taken for a cursor behind %q", text, q.After)
		}
	})
}

// FuzzQuery: whatever the query, what is accepted is within the limits, and a user's own cursor leads back to it.
func FuzzQuery(f *testing.F) {
	for _, text := range []string{"", "offset=100&limit=100", "limit=0", "after=&limit=1000",
		"after=" + cursor("13AE742"), "offset=1&after=", "offset=1&offset=2", "limit=%zz"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		values, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		q, bad := parseQuery(values)
		if len(bad) > 0 {
			return
		}
		if q.Limit < 1 || q.Limit > maxLimit || q.Walk && q.Offset != 0 || q.After != "" && !q.Walk {
			t.Fatalf("%q gives %+v", text, q)
		}
		again, bad := parseQuery(url.Values{"after": {cursor("a." + q.After)}})
		if fits := len(q.After) <= shard.MaxID-2; fits && (bad != nil || again.After != "a."+q.After) {
			t.Fatalf("%+v, %v", again, bad)
		}
	})
}

// FuzzTags: the tag of a version is read back as that version, and what is read is spelt as it is written or never
// matches.
func FuzzTags(f *testing.F) {
	for _, text := range []string{`"1-2"`, `*`, `W/"1-2"`, `"a,b" , ,"1-2"`, `"01-2"`, `"1-2" "3-4"`, `"`, `W/`,
		"\t\"18446744073709551615-1\""} {
		f.Add(text, true)
		f.Add(text, false)
	}
	f.Fuzz(func(t *testing.T, text string, weak bool) {
		c, err := parseTags(text, weak)
		switch {
		case err != nil && (!errors.Is(err, errTag) || c.Kind != 0 || c.Versions != nil):
			t.Fatalf("%v %v", c, err)
		case err == nil && (c.Kind != shard.OneOf && c.Kind != shard.AnyVersion ||
			c.Kind == shard.AnyVersion && c.Versions != nil):
			t.Fatalf("%q gives %v", text, c)
		}
		for _, v := range c.Versions {
			if tag := string(appendTag(nil, v.Epoch, v.LSN)); v.LSN == 0 || !strings.Contains(text, tag) {
				t.Fatalf("%q gives %s", text, tag)
			}
		}
		more, failed := parseTags(text+`,"7-8"`, weak)
		if c.Kind == shard.OneOf && (failed != nil || len(more.Versions) < len(c.Versions) ||
			!slices.Contains(more.Versions, shard.Position{Epoch: 7, LSN: 8})) {
			t.Fatalf("%q and one more: %v %v", text, more, failed)
		}
	})
}
