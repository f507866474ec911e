package main

import (
	"fmt"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"

	"tandem/shard"
)

// spelt is a text as JSON spells it at greatest length: every UTF-16 code unit by its number.
func spelt(text string) string {
	out := strings.Builder{}
	for _, c := range text {
		if c >= 0x10000 {
			c -= 0x10000
			fmt.Fprintf(&out, `\u%04x`, 0xd800+c>>10)
			c = 0xdc00 + c&0x3ff
		}
		fmt.Fprintf(&out, `\u%04X`, c)
	}
	return `"` + out.String() + `"`
}

// TestWhatIsStoredCanBePutBack: the largest users, of any text and however it is spelt, are stored, and what GET gives
// of them POST and PUT take as it is.
func TestWhatIsStoredCanBePutBack(t *testing.T) {
	r := newRig(t, ample, ample/2)
	half, number := shard.MaxText/2, 0
	for name, texts := range map[string][2]string{
		"NUL":           {strings.Repeat("\x00", half), strings.Repeat("\x00", half)},
		"all in a name": {strings.Repeat("\x01", shard.MaxText), ""},
		"all in email":  {"", strings.Repeat(`"`, shard.MaxText)},
		"backslashes":   {strings.Repeat(`\`, half), strings.Repeat("/", half)},
		"two bytes":     {strings.Repeat("é", half/2), strings.Repeat("\u0080", half/2)},
		"three bytes":   {strings.Repeat("\u2028", half/3), strings.Repeat("\uffff", half/3)},
		"four bytes":    {strings.Repeat("😀", half/4), strings.Repeat("\U0010ffff", half/4)},
		"HTML and BOM":  {strings.Repeat("<", half-3) + "\ufeff", strings.Repeat("\u007f", half)},
		"replacement":   {strings.Repeat("\ufffd", half/3), "\u2029\r\n\t"},
	} {
		number++
		id := strings.Repeat("~", shard.MaxID-3) + fmt.Sprintf("%03d", number)
		body := fmt.Sprintf(` { "\u006e\u0061\u006d\u0065" : %s , "\u0065\u006d\u0061\u0069\u006c" : %s ,`+
			` "\u0067\u0072\u006f\u0075\u0070" : -9223372036854775808 , "\u0069\u0064" : %s } `,
			spelt(texts[0]), spelt(texts[1]), spelt(id))
		made := r.must(201, "POST", "/api/user/", body)
		got := r.must(200, "GET", "/api/user/"+id, "")
		if got.body != made.body {
			t.Errorf("%s: made %.100s, got %.100s", name, made.body, got.body)
		}
		if user, _, bad, err := decodeUser([]byte(got.body), needed); err != nil || bad != nil || user.Name != texts[0] ||
			user.Email != texts[1] || user.Group != -1<<63 {
			t.Errorf("%s: %v %v", name, bad, err)
		}
		for _, again := range []string{got.body, body} {
			if put := r.must(200, "PUT", "/api/user/", again); put.body != got.body {
				t.Errorf("%s: put back, it is %.100s", name, put.body)
			}
		}
		r.must(204, "DELETE", "/api/user/"+id, "")
		if back := r.must(201, "POST", "/api/user/", got.body); back.body != got.body {
			t.Errorf("%s: made again, it is %.100s", name, back.body)
		}
	}
}

// TestTheLimitIsOnTheUser, not on its body: one byte more is refused by name, wherever it comes from.
func TestTheLimitIsOnTheUser(t *testing.T) {
	r := newRig(t, ample, ample/2)
	most := strings.Repeat("x", shard.MaxText)
	refused := func(method, body string, want ...string) {
		t.Helper()
		got := r.must(422, method, "/api/user/", body)
		if fields := isProblem(t, got); fmt.Sprint(fields) != fmt.Sprint(want) || !strings.Contains(got.body, "16384") {
			t.Errorf("names %q, expected %q: %s", fields, want, got.body)
		}
	}
	refused("POST", `{"id":"a","name":"`+most+`","email":"e","group":1}`, "name", "email")
	refused("PUT", `{"id":"a","name":"`+most+`x"}`, "name")
	r.must(201, "POST", "/api/user/", `{"id":"a","name":"`+most[2:]+`","email":"é","group":1}`)
	refused("PUT", `{"id":"a","email":"éx"}`, "name", "email") // the user, not the update, would be too large
	r.must(200, "PUT", "/api/user/", `{"id":"a","email":"ex"}`)
	refused("PUT", `{"id":"a","name":"`+most[1:]+`"}`, "name", "email")
	r.must(412, "PUT", "/api/user/", `{"id":"a","name":"`+most[1:]+`"}`, "If-Match", `"9-9"`)
	r.must(404, "PUT", "/api/user/", `{"id":"b","name":"`+most+`"}`)
	r.must(413, "PUT", "/api/user/", `{"id":"a"`+strings.Repeat(" ", maxBody)+`}`)
	r.must(200, "PUT", "/api/user/", `{"id":"a"`+strings.Repeat(" ", maxBody-10)+`}`)
}

// TestTextThatIsNoneIsRefused: what comes in is Unicode, and so what goes out is the same.
func TestTextThatIsNoneIsRefused(t *testing.T) {
	r := newRig(t, ample, ample/2)
	for _, name := range []string{`"\udc00"`, `"\ud800"`, `"\udc00\ud800"`, `"\ud800A"`, `"\ud800\u0041"`,
		`"\uD83D\uD83D"`, "\"\xff\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\x00\"", "\"a\x1fb\"",
		`"\u12"`, `"\u00g0"`, `"\v"`} {
		got := r.must(400, "POST", "/api/user/", `{"name":`+name+`,"email":"e","group":1}`)
		if !strings.Contains(got.body, "byte") {
			t.Errorf("%q: %s", name, got.body)
		}
	}
	for _, body := range []string{"\ufeff" + ada, "\x00" + ada, ada + "\x00", "\xff\xfe{\x00}\x00", ada + "," + ada} {
		r.must(400, "POST", "/api/user/", body)
	}
	for _, group := range []string{"7.0", "7.5", "1e2", "1E400", "-0.0", "9223372036854775808", "-9223372036854775809",
		`"7"`, "[7]", "{}", "true", "null", "1" + strings.Repeat("0", 5000)} {
		got := isProblem(t, r.must(422, "POST", "/api/user/", `{"name":"n","email":"e","group":`+group+`}`))
		if !slices.Equal(got, []string{"group"}) {
			t.Errorf("%.40s names %q", group, got)
		}
	}
	for group, want := range map[string]string{"-0": "0", "9223372036854775807": "9223372036854775807",
		"-9223372036854775808": "-9223372036854775808", "0": "0"} {
		got := r.must(201, "POST", "/api/user/", `{"name":"n","email":"e","group":`+group+`}`)
		if !strings.Contains(got.body, `"group":`+want+`}`) {
			t.Errorf("%s became %s", group, got.body)
		}
	}
}

// TestLargeBodiesAreBounded: one too many is refused, and small ones go on.
func TestLargeBodiesAreBounded(t *testing.T) {
	r := newRig(t, ample, ample/2)
	large := ada + strings.Repeat(" ", smallBody)
	for range cap(r.wiring.Bodies) {
		r.wiring.Bodies <- struct{}{}
	}
	if got := r.must(503, "POST", "/api/user/", large); !strings.Contains(got.body, "16384 bytes") {
		t.Errorf("%s", got.body)
	}
	r.must(201, "POST", "/api/user/", ada)
	<-r.wiring.Bodies
	r.must(200, "PUT", "/api/user/", large)
	if len(r.wiring.Bodies) != cap(r.wiring.Bodies)-1 {
		t.Error("a place is not given back")
	}
}

// TestAClaimedLengthTakesNoMemory: a body gets memory for what has arrived. The least of many counts, for others may
// take memory at the same time.
func TestAClaimedLengthTakesNoMemory(t *testing.T) {
	wiring := &wiring{Bodies: make(chan struct{}, 1)}
	var before, behind runtime.MemStats
	least := uint64(maxBody)
	for range 100 {
		request := httptest.NewRequest("POST", "/api/user", strings.NewReader("{}"))
		request.ContentLength = maxBody
		runtime.ReadMemStats(&before)
		body, refused := readBody(wiring, request)
		runtime.ReadMemStats(&behind)
		if refused != nil || string(body) != "{}" {
			t.Fatal(body, refused)
		}
		least = min(least, behind.TotalAlloc-before.TotalAlloc)
	}
	if least > 2*smallBody {
		t.Errorf("%d bytes for a body of 2", least)
	}
}
