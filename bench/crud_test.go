package main

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

const ada = `{"id":"13AE742","name":"Ada Lovelace","email":"ada@example.org","group":7}`

func TestUsersThroughREST(t *testing.T) {
	t.Parallel()
	c := startPatient(t, 3)
	t.Run("create", c.createUsers)
	t.Run("read", c.readUsers)
	t.Run("update", c.updateUsers)
	t.Run("refuse", c.refuseRequests)
	t.Run("delete", c.deleteUsers)
	t.Run("ids", c.strangeIDs)
}

func (c *testCluster) createUsers(t *testing.T) {
	made := c.must(201, "POST", "/api/user/", ada)
	at, err := made.url.Parse(made.header.Get("Location"))
	named := made.header.Get("ETag") != "" && made.header.Get("X-Request-Id") != ""
	if err != nil || at.Path != "/api/user/13AE742" || !named || made.touched() != 2 {
		t.Errorf("headers of a create: %v", made.header)
	}
	if made.user(t) != (user{"13AE742", "Ada Lovelace", "ada@example.org", 7}) {
		t.Errorf("created %s", made.body)
	}
	again := c.must(409, "POST", "/api/user", ada)
	checkProblem(t, again)
	nameless := c.must(201, "POST", "/api/user/", `{"name":"No Id","email":"no@example.org","group":-1}`)
	u := nameless.user(t)
	if len(u.ID) != 36 || nameless.header.Get("Location") != u.ID || u.Group != -1 {
		t.Errorf("created without an id: %s, Location %s", nameless.body, nameless.header.Get("Location"))
	}
	if n := c.count(); n != 2 {
		t.Errorf("count is %d, expected 2", n)
	}
}

func (c *testCluster) readUsers(t *testing.T) {
	got := c.must(200, "GET", "/api/user/13AE742", "")
	if got.user(t) != (user{"13AE742", "Ada Lovelace", "ada@example.org", 7}) || got.touched() != 1 {
		t.Errorf("read %s, %v", got.body, got.header)
	}
	if slash := c.must(200, "GET", "/api/user/13AE742/", ""); slash.body != got.body {
		t.Errorf("with a trailing slash: %s", slash.body)
	}
	same := c.must(304, "GET", "/api/user/13AE742", "", "If-None-Match", got.header.Get("ETag"))
	if same.body != "" || same.header.Get("ETag") != got.header.Get("ETag") {
		t.Errorf("not modified: %q, %v", same.body, same.header)
	}
	c.must(200, "GET", "/api/user/13AE742", "", "If-None-Match", `"another"`)
	checkProblem(t, c.must(404, "GET", "/api/user/13ae742", ""))
	if head := c.must(200, "HEAD", "/api/user/13AE742", ""); head.body != "" ||
		head.header.Get("ETag") != got.header.Get("ETag") {
		t.Errorf("HEAD: %q, %v", head.body, head.header)
	}
}

func (c *testCluster) updateUsers(t *testing.T) {
	before := c.must(200, "GET", "/api/user/13AE742", "")
	after := c.must(200, "PUT", "/api/user/", `{"id":"13AE742","name":"Ada King"}`)
	if after.user(t) != (user{"13AE742", "Ada King", "ada@example.org", 7}) || after.touched() != 2 {
		t.Errorf("a partial update gave %s, %v", after.body, after.header)
	}
	if after.header.Get("ETag") == before.header.Get("ETag") || after.header.Get("ETag") == "" {
		t.Errorf("ETag %q after %q", after.header.Get("ETag"), before.header.Get("ETag"))
	}
	checkProblem(t, c.must(412, "PUT", "/api/user/", `{"id":"13AE742","group":9}`, "If-Match", before.header.Get("ETag")))
	matched := c.must(200, "PUT", "/api/user", `{"id":"13AE742","group":9}`, "If-Match", after.header.Get("ETag"))
	want := user{"13AE742", "Ada King", "ada@example.org", 9}
	if read := c.must(200, "GET", "/api/user/13AE742", ""); matched.user(t) != want || read.user(t) != want ||
		read.header.Get("ETag") != matched.header.Get("ETag") {
		t.Errorf("updated to %s, read %s", matched.body, read.body)
	}
	checkProblem(t, c.must(404, "PUT", "/api/user/", `{"id":"nobody","name":"x"}`))
}

// checkProblem holds that an answer is an RFC 9457 problem that names its status.
func checkProblem(t *testing.T, r reply) map[string]any {
	t.Helper()
	got := map[string]any{}
	if err := json.Unmarshal([]byte(r.body), &got); err != nil || !strings.HasPrefix(r.header.Get("Content-Type"),
		"application/problem+json") {
		t.Errorf("no problem: %v, %s, %q", err, r.header.Get("Content-Type"), r.body)
	}
	if got["status"] != float64(r.status) || got["title"] == nil || r.header.Get("X-Request-Id") == "" || r.touched() < 0 {
		t.Errorf("problem %s with headers %v", r.body, r.header)
	}
	return got
}

func (c *testCluster) refuseRequests(t *testing.T) {
	cases := []struct {
		status                   int
		method, path, body, says string
	}{
		{400, "POST", "/api/user/", `{"name":`, ""},
		{400, "POST", "/api/user/", ada + ` {}`, ""},
		{400, "POST", "/api/user/", ``, ""},
		{413, "POST", "/api/user/", `{"name":"` + strings.Repeat("x", 129<<10) + `","email":"e","group":1}`, "131072"},
		{422, "POST", "/api/user/", `{"name":"` + strings.Repeat("x", 17<<10) + `","email":"e","group":1}`, "16384"},
		{422, "PUT", "/api/user/", `{"id":"13AE742","name":"` + strings.Repeat("x", 16<<10) + `"}`, "16384"},
		{422, "POST", "/api/user/", `{"id":"a1"}`, "email"},
		{422, "POST", "/api/user/", `{"id":"a1","name":"n","email":"e","group":"1"}`, "group"},
		{422, "POST", "/api/user/", `{"id":"a1","name":"n","email":null,"group":1}`, "email"},
		{422, "POST", "/api/user/", `{"id":"a1","name":"n","email":"e","group":1,"shoe":44}`, "shoe"},
		{422, "POST", "/api/user/", `{"id":"a1","name":"n","name":"m","email":"e","group":1}`, "name"},
		{422, "POST", "/api/user/", `{"id":"count","name":"n","email":"e","group":1}`, "id"},
		{422, "POST", "/api/user/", `{"id":"a b","name":"n","email":"e","group":1}`, "id"},
		{422, "PUT", "/api/user/", `{"name":"n"}`, "id"},
		{404, "GET", "/api/nothing", ``, ""},
		{405, "PATCH", "/api/user/", `{}`, ""},
		{405, "POST", "/api/user/13AE742", ada, ""},
		{405, "DELETE", "/api/user/count", ``, ""},
	}
	for _, k := range cases {
		name := k.method + " " + k.path + " " + k.body[:min(len(k.body), 60)]
		headers := []string{"Content-Type", "application/json"}
		got, err := c.ask(k.method, k.path, k.body, headers...)
		if err != nil || got.status != k.status {
			t.Errorf("%s: %v, status %d, expected %d: %s", name, err, got.status, k.status, got.body)
			continue
		}
		checkProblem(t, got)
		if !strings.Contains(got.body, k.says) {
			t.Errorf("%s: %s does not name %q", name, got.body, k.says)
		}
		if k.status == http.StatusMethodNotAllowed && got.header.Get("Allow") == "" {
			t.Errorf("%s: no Allow", name)
		}
	}
	checkProblem(t, c.must(415, "POST", "/api/user/", ada, "Content-Type", "text/plain"))
	every := c.must(422, "POST", "/api/user/", `{"id":"a1","name":3,"email":4,"group":"x"}`)
	for _, field := range []string{"name", "email", "group"} {
		if !strings.Contains(every.body, field) {
			t.Errorf("%s does not name %s", every.body, field)
		}
	}
	if n := c.count(); n != 2 {
		t.Errorf("count is %d after refusals, expected 2", n)
	}
}

func (c *testCluster) deleteUsers(t *testing.T) {
	checkProblem(t, c.must(412, "DELETE", "/api/user/13AE742", "", "If-Match", `"0-0"`))
	tag := c.must(200, "GET", "/api/user/13AE742", "").header.Get("ETag")
	if gone := c.must(204, "DELETE", "/api/user/13AE742", "", "If-Match", tag); gone.body != "" || gone.touched() != 2 {
		t.Errorf("deleted: %q, %v", gone.body, gone.header)
	}
	checkProblem(t, c.must(404, "GET", "/api/user/13AE742", ""))
	checkProblem(t, c.must(404, "DELETE", "/api/user/13AE742", ""))
	if n := c.count(); n != 1 {
		t.Errorf("count is %d, expected 1", n)
	}
	back := c.must(201, "POST", "/api/user/", ada)
	if back.header.Get("ETag") == tag {
		t.Error("a user that was made again bears the ETag that it had before")
	}
}

// strangeIDs are all ids of the alphabet's edges; upper and lower case are different users.
func (c *testCluster) strangeIDs(t *testing.T) {
	ids := []string{"a", "A", "~", ".hidden", "-", "_", "Count", "counts", strings.Repeat("x", 128),
		"6ba7b810-9dad-11d1-80b4-00c04fd430c8", "6BA7B810-9DAD-11D1-80B4-00C04FD430C8"}
	before := c.count()
	for i, id := range ids {
		c.must(201, "POST", "/api/user/", userJSON(user{id, "n" + strconv.Itoa(i), "e", int64(i)}))
	}
	for i, id := range ids {
		if got := c.must(200, "GET", "/api/user/"+id, "").user(t); got != (user{id, "n" + strconv.Itoa(i), "e", int64(i)}) {
			t.Errorf("id %q: read %+v", id, got)
		}
	}
	if n := c.count(); n != before+uint64(len(ids)) {
		t.Errorf("count is %d, expected %d", n, before+uint64(len(ids)))
	}
}
