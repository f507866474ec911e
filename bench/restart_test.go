package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tandem/bench/cluster"
)

// manyUsers is how many users the walks meet.
const manyUsers = 10_000

// pageOf lists one page and returns its users' ids.
func (c *testCluster) pageOf(path string) ([]string, reply) {
	c.t.Helper()
	got := c.eventually(http.StatusOK, "GET", path, "")
	var users []user
	if err := json.Unmarshal([]byte(got.body), &users); err != nil {
		c.t.Fatalf("%v in %.200q", err, got.body)
	}
	ids := make([]string, len(users))
	for i := range users {
		ids[i] = users[i].ID
	}
	return ids, got
}

// links reads the Link header: relation → path.
func links(r reply) map[string]string {
	found := map[string]string{}
	for _, part := range strings.Split(strings.Join(r.header.Values("Link"), ","), ",") {
		reference, relation, ok := strings.Cut(strings.TrimSpace(part), ">;")
		if at, err := r.url.Parse(strings.TrimPrefix(reference, "<")); ok && err == nil {
			found[strings.Trim(strings.TrimPrefix(strings.TrimSpace(relation), "rel="), `"`)] = at.RequestURI()
		}
	}
	return found
}

// walkByOffset lists all users, limit a page, and returns their ids in order.
func (c *testCluster) walkByOffset(limit int) []string {
	c.t.Helper()
	all := []string{}
	for {
		ids, got := c.pageOf(fmt.Sprintf("/api/user?offset=%d&limit=%d", len(all), limit))
		all = append(all, ids...)
		if total := got.header.Get("X-Total-Count"); len(ids) > 0 && len(ids) < limit && total != strconv.Itoa(len(all)) {
			c.t.Errorf("X-Total-Count is %s at the end of %d users", total, len(all))
		}
		if len(ids) < limit {
			return all
		}
	}
}

// walkByCursor lists all users by the next links of a walk by cursor.
func (c *testCluster) walkByCursor(limit int) []string {
	c.t.Helper()
	all := []string{}
	for path := fmt.Sprintf("/api/user?after=&limit=%d", limit); path != ""; {
		ids, got := c.pageOf(path)
		all = append(all, ids...)
		path = links(got)["next"]
		if path != "" && (!strings.Contains(path, "after=") || len(ids) == 0) {
			c.t.Fatalf("a walk by cursor goes on at %q after a page of %d", path, len(ids))
		}
	}
	return all
}

func TestTenThousandUsersAreListedOnce(t *testing.T) {
	t.Parallel()
	c := startPatient(t, 3)
	if err := fill("http://"+c.plan.HTTP, 1, 0, manyUsers, 64); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for i := range uint64(manyUsers) {
		want[makeUser(1, i).ID] = true
	}
	byOffset := c.walkByOffset(1000)
	c.checkWalk(t, "offset", byOffset, want)
	if odd := c.walkByOffset(777); !slices.Equal(odd, byOffset) {
		t.Error("the order changes with the size of the page")
	}
	byCursor := c.walkByCursor(900)
	c.checkWalk(t, "cursor", byCursor, want)
	if !slices.Equal(byCursor, byOffset) {
		t.Error("the orders by cursor and by offset differ")
	}
	t.Run("edges", c.listEdges)
	t.Run("restart of all nodes", func(t *testing.T) {
		cluster.StopProcesses(c.processes, cluster.StopGrace)
		again, err := cluster.Start(c.plan)
		c.processes = again
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(c.walkByOffset(1000), byOffset) || c.count() != manyUsers {
			t.Errorf("after a restart the list differs, count %d", c.count())
		}
		for i := range uint64(50) {
			u := makeUser(1, i*97)
			if got := c.must(200, "GET", "/api/user/"+u.ID, "").user(t); got != u {
				t.Errorf("read %+v, expected %+v", got, u)
			}
		}
		c.must(201, "POST", "/api/user/", ada)
	})
}

// checkWalk holds that a walk met each user exactly once.
func (c *testCluster) checkWalk(t *testing.T, how string, ids []string, want map[string]bool) {
	t.Helper()
	met := map[string]int{}
	for _, id := range ids {
		met[id]++
	}
	twice := 0
	for _, n := range met {
		if n > 1 {
			twice++
		}
	}
	if twice > 0 || len(ids) != len(want) || !maps.EqualFunc(met, want, func(int, bool) bool { return true }) {
		t.Errorf("the walk by %s met %d users, %d of them more than once; expected %d, each once", how, len(ids), twice,
			len(want))
	}
}

// listEdges are the limits of LIST and its links.
func (c *testCluster) listEdges(t *testing.T) {
	if ids, got := c.pageOf("/api/user"); len(ids) != 100 || got.header.Get("X-Total-Count") != strconv.Itoa(manyUsers) {
		t.Errorf("without settings: %d users, X-Total-Count %s", len(ids), got.header.Get("X-Total-Count"))
	}
	if ids, got := c.pageOf(fmt.Sprintf("/api/user/?offset=%d", manyUsers)); len(ids) != 0 ||
		strings.TrimSpace(got.body) != "[]" {
		t.Errorf("past the end: %s", got.body)
	}
	_, middle := c.pageOf("/api/user?offset=500&limit=100")
	for relation, offset := range map[string]string{"first": "offset=0", "prev": "offset=400", "next": "offset=600",
		"last": "offset=9900"} {
		if path := links(middle)[relation]; !strings.Contains(path+"&", offset+"&") {
			t.Errorf("the link %s is %q, expected %s", relation, path, offset)
		}
	}
	for _, query := range []string{"limit=0", "limit=1001", "limit=x", "offset=-1", "offset=x", "after=%25%25",
		"after=nonsense", "offset=1&after="} {
		got, err := c.ask("GET", "/api/user?"+query, "")
		if err != nil || (got.status != 400 && got.status != 422) {
			t.Errorf("%s: %v, status %d, expected 400 or 422", query, err, got.status)
			continue
		}
		checkProblem(t, got)
	}
}
