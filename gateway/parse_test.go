package main

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"tandem/shard"
	"tandem/wire"
	"tandem/wire/proc"
)

const needed = wire.HasName | wire.HasEmail | wire.HasGroup

func TestMalformedJSON(t *testing.T) {
	for body, at := range map[string]string{
		``: "byte 0", ` `: "byte 1", `{`: "byte 1", `{"name":`: "byte 8", `{"name":"a"`: "byte 11",
		`{"name":"a",}`: "byte 11", `{"name" "a"}`: "byte 8", `{name:"a"}`: "byte 2",
		`{"name":'a'}`: "byte 8", `{"group":01}`: "byte 10", `{"group":1.}`: "byte 11", `{"group":+1}`: "byte 9",
		`{"group":NaN}`: "byte 9", `{"x":[1,2}`: "byte 9", `{1:2}`: "byte 1",
		"{\"name\":\"\xff\"}": "byte 9", `{"name":"\ud800"}`: "byte 9", `{"name":"\x"}`: "byte 9",
		"{\"name\":\"a\nb\"}": "byte 10", "{\"\xff\":1}": "byte 2",
		`{} {}`: "byte 3", `{}x`: "byte 2", `{}]`: "byte 2", `[1`: "byte 2", `[] 1`: "byte 3", `nul`: "byte 3",
		`"a`: "byte 2", "\xef\xbb\xbf{}": "byte 0",
	} {
		_, _, bad, err := decodeUser([]byte(body), needed)
		if !errors.Is(err, errJSON) || !strings.Contains(err.Error(), at) {
			t.Errorf("%q: %v, expected %q; fields %v", body, err, at, bad)
		}
	}
}

func TestSchema(t *testing.T) {
	const rest = `"name":"n","email":"e","group":1`
	for body, want := range map[string]string{
		`{` + rest + `}`: "", ` {` + rest + "}\r\n\t ": "", `{"id":"count",` + rest + `}`: "id",
		`{"id":"",` + rest + `}`: "id", `{"id":"a/b",` + rest + `}`: "id",
		`{"id":7,` + rest + `}`: "id", `{}`: "name email group", `{"name":"n"}`: "email group",
		`{` + rest + `,"shoe":1,"hat":{"name":null}}`: "shoe hat",
		`{` + rest + `,"name":"m"}`:                   "name", `{` + rest + `,"Name":"m"}`: "Name", `{` + rest + `,"":1}`: "",
		`{"name":null,"email":null,"group":null}`: "name email group",
		`{"id":null,` + rest + `}`:                "id", `{"name":1,"email":[],"group":"1"}`: "name email group",
		`{"name":true,"email":{},"group":false}`: "name email group",
		`{"name":"n","email":"e","group":1.0}`:   "group", `{"name":"n","email":"e","group":1e2}`: "group",
		`{"name":"n","email":"e","group":9223372036854775808}`:  "group",
		`{"name":"n","email":"e","group":-9223372036854775808}`: "", `{"na\u006de":"n","email":"e","group":-0}`: "",
		`{"name":"","email":"","group":0}`: "",
		`{"name":1,"name":2,"email":"e"}`:  "name name group", `[]`: "", `null`: "", `1`: "", `"a"`: "",
	} {
		_, _, bad, err := decodeUser([]byte(body), needed)
		got := []string{}
		for _, f := range bad {
			got = append(got, f.Field)
			if f.Detail == "" {
				t.Errorf("%s: %q without a detail", body, f.Field)
			}
		}
		refused := want != "" || !strings.HasPrefix(strings.TrimSpace(body), "{") || strings.Contains(body, `"":1`)
		if err != nil || strings.Join(got, " ") != want || (len(bad) > 0) != refused {
			t.Errorf("%s: names %q, expected %q; %v", body, got, want, err)
		}
	}
}

func TestFieldsOfAnUpdate(t *testing.T) {
	for body, want := range map[string]uint8{`{"id":"a"}`: 0, `{"id":"a","name":"n"}`: wire.HasName,
		`{"email":"e","id":"a"}`: wire.HasEmail, `{"id":"a","group":0}`: wire.HasGroup,
		`{"id":"a","group":1,"name":"n","email":"e"}`: needed} {
		user, have, bad, err := decodeUser([]byte(body), hasID)
		if err != nil || bad != nil || have&^hasID != want || user.ID != "a" {
			t.Errorf("%s: %+v, fields %b, expected %b; %v %v", body, user, have, want, bad, err)
		}
	}
	if _, _, bad, _ := decodeUser([]byte(`{"name":"n"}`), hasID); !slices.Equal(bad, []fieldError{{"id", "required"}}) {
		t.Errorf("%v", bad)
	}
}

func TestTextSurvives(t *testing.T) {
	for _, text := range []string{"", "é", "日本語", "😀", `"\/`, "a\x00b\n\t\u2028<>&", strings.Repeat("x", 5000)} {
		want := wire.Record{ID: "a", Name: text, Email: text, Group: -1 << 63}
		user, _, bad, err := decodeUser(appendUser(nil, &want), needed)
		if err != nil || bad != nil || user != want {
			t.Errorf("%q: %+v %v %v", text, user, bad, err)
		}
	}
}

func TestParameters(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "offset=0": "", "limit=1": "", "limit=1000": "", "after=": "", "after=" + cursor("13AE742"): "",
		"offset=9223372036854775807": "", "other=1": "other",
		"offset=": "offset", "offset=-1": "offset", "offset=+1": "offset", "offset=x": "offset", "offset=1.5": "offset",
		"offset=18446744073709551616": "offset",
		"limit=":                      "limit", "limit=0": "limit", "limit=1001": "limit", "limit=x": "limit", "limit=0&offset=x": "offset limit",
		"offset=1&offset=1": "offset", "limit=1&limit=2": "limit", "b=&a=1&limit=0": "a b limit",
		"after=nonsense": "after", "after=%25": "after", "after=" + cursor("a/b"): "after",
		"after=" + cursor(""): "after", "after=" + cursor("count"): "after",
		"after=" + cursor("a") + "=": "after", "offset=1&after=": "after", "after=&after=": "after",
	} {
		values, odd, refused := checkQuery(text, []string{"offset", "limit", "after"})
		q, bad := parseQuery(values)
		if refused != nil {
			t.Fatalf("%q: %s", text, refused.body)
		}
		got := []string{}
		for _, f := range append(odd, bad...) {
			got = append(got, f.Field)
		}
		if strings.Join(got, " ") != want || want == "" && (q.Limit < 1 || q.Limit > 1000) {
			t.Errorf("%q: %+v names %q, expected %q", text, q, got, want)
		}
	}
}

// TestEveryWrongParameterIsNamed: unknown ones, repeated ones, and those of a list that are no numbers, in one answer.
func TestEveryWrongParameterIsNamed(t *testing.T) {
	r := newRig(t, ample, ample/2)
	for path, says := range map[string][]string{
		"/api/user?offset=-1&limit=abc&foo=1":    {`"field":"foo"`, `"field":"offset"`, `"field":"limit"`},
		"/api/user?limit=0&offset=1&offset=2":    {`"field":"offset","detail":"repeated`, `"field":"limit"`},
		"/api/user?foo=1":                        {"expected one of [offset limit after]"},
		"/api/user/count?foo=1":                  {`"field":"foo"`, "takes none"},
		"/livez?verbose":                         {`"field":"verbose"`, "takes none"},
		"/readyz?verbose&foo":                    {`"field":"foo"`, "expected one of [verbose]"},
		"/metrics?foo=1&name%5B%5D=tandem_build": {`"field":"foo"`, "expected one of [name[]]"},
	} {
		got := r.must(400, "GET", path, "").body
		for _, text := range says {
			if !strings.Contains(got, text) {
				t.Errorf("%s: %s, expected %q", path, got, text)
			}
		}
	}
}

func TestTags(t *testing.T) {
	if got := string(appendTag(nil, 1, 1<<63)); got != `"1-9223372036854775808"` {
		t.Error(got)
	}
	one, other := shard.Position{Epoch: 1, LSN: 2}, shard.Position{Epoch: 3, LSN: 4}
	for text, want := range map[string][]shard.Position{
		`"1-2"`: {one}, ` "1-2" `: {one}, `"1-2","1-2"`: {one}, `, "1-2" ,,`: {one}, `W/"1-2"`: {}, `"1-2-3"`: {}, `"1"`: {},
		`""`: {}, `"+1-2"`: {}, `"01-2"`: {}, `"1-2",W/"3-4"`: {one},
		`"a,b"`: {}, `"a,b","1-2"`: {one}, `"3-4","1-2"`: {other, one}, `"-"`: {}, `"18446744073709551616-1"`: {},
		`"0-0"`: {}, `"1-0"`: {}, `"*"`: {}, "\"\xff\"": {},
	} {
		if c, err := parseTags(text, false); err != nil || c.Kind != shard.OneOf || !slices.Equal(c.Versions, want) {
			t.Errorf("%s: %v %v, expected %v", text, c, err, want)
		}
	}
	if c, err := parseTags(`W/"1-2"`, true); err != nil || !slices.Equal(c.Versions, []shard.Position{one}) {
		t.Errorf("weak: %v %v", c, err)
	}
	if c, err := parseTags(" * ", false); err != nil || c.Kind != shard.AnyVersion {
		t.Errorf("star: %v %v", c, err)
	}
	for _, text := range []string{",", "1-2", `"1-2`, `1-2"`, `w/"1-2"`, `"1-2" "1-2"`, `*, "1-2"`, `"1-2", *`, `"a"b"`,
		"\"a\x01\"", "", `**`, `W/*`} {
		if c, err := parseTags(text, false); !errors.Is(err, errTag) {
			t.Errorf("%s: %v %v, expected an error", text, c, err)
		}
	}
}

func TestSettings(t *testing.T) {
	good := config{Nodes: "a=h:1,b=h:2,c=h:3", Shards: 24, Cluster: "test", Links: 2, MaxConnections: 1, Lists: 1,
		Deadline: 2 * time.Millisecond, Try: time.Millisecond, Silence: time.Millisecond, UnreadMB: 24, SlowKB: 1}
	if members, layout, err := check(good); err != nil || len(members) != 3 || layout.Nodes != 3 ||
		members[2] != (member{Name: "c", Address: "h:3"}) {
		t.Errorf("%v %v %v", members, layout, err)
	}
	for nodes, says := range map[string]string{"": "name=host:port", "a=h:1,b=h:2": "at least 3",
		"a=h:1,b=h:2,c": "name=host:port", "a=h:1,b=h:2,=h:3": "letters",
		"a=h:1,b=h:2,a=h:3": "repeats", "a=h:1,b=h:2,c=h:1": "repeats", "a=h,b=h:2,c=h:3": "name=host:port",
		"a=h:0,b=h:2,c=h:3":   "ports from 1",
		"a b=h:1,b=h:2,c=h:3": "letters"} {
		c := good
		c.Nodes = nodes
		if _, _, err := check(c); !errors.Is(err, errConfig) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, expected %q", nodes, err, says)
		}
	}
	for says, change := range map[string]func(*config){
		"shards":        func(c *config) { c.Shards = 2 },
		"--links":       func(c *config) { c.Links = 65 },
		"found 0s":      func(c *config) { c.Try = 0 },
		"--try":         func(c *config) { c.Try = c.Deadline + 1 },
		"--silence":     func(c *config) { c.Silence = time.Hour },
		"--cluster":     func(c *config) { c.Cluster = "" },
		"--incarnation": func(c *config) { c.Incarnation = "db-0" },
		// above it nodes may have forgotten the request id of a write that is tried again
		"--deadline":              func(c *config) { c.Deadline = 9*time.Second + 1 },
		"--unread-mb":             func(c *config) { c.UnreadMB = minUnreadMB - 1 },
		"--deadline: ":            func(c *config) { c.Deadline = 0 },
		"--lists: expected 1 to ": func(c *config) { c.Lists = 0 },
		"--slow-kb: expected":     func(c *config) { c.SlowKB = 0 },
	} {
		c := good
		change(&c)
		if _, _, err := check(c); !errors.Is(err, errConfig) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, expected %q", err, says)
		}
	}
	good.Deadline = 9 * time.Second
	if _, _, err := check(good); err != nil {
		t.Error(err)
	}
}

// TestVersion: the program says which one it is, as its greeting does, and ends.
func TestVersion(t *testing.T) {
	out, wrong, codes := bytes.Buffer{}, bytes.Buffer{}, []int{}
	parser, err := kong.New(&config{}, flags(&out, &wrong, func(code int) { codes = append(codes, code) })...)
	if err != nil {
		t.Fatal(err)
	}
	_, err = parser.Parse([]string{"--version"})
	if want := "gateway " + proc.Build() + "\n"; err != nil || out.String() != want || wrong.Len() > 0 ||
		!slices.Equal(codes, []int{0}) {
		t.Errorf("%q, expected %q; %q, %v, %v", out.String(), want, wrong.String(), codes, err)
	}
}
