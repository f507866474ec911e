package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tandem/wire"
)

// resolve is what a client makes of a reference in the answer about a URL (RFC 3986, section 5).
func resolve(t testing.TB, base, reference string) string {
	t.Helper()
	at, err := url.Parse(base)
	if err == nil {
		at, err = at.Parse(reference)
	}
	if err != nil {
		t.Fatalf("%q at %q: %v", reference, base, err)
	}
	return at.String()
}

// page lists one page: the ids, and the relations of its Link header.
func (r *rig) page(path string) ([]string, map[string]string, result) {
	r.t.Helper()
	got := r.must(200, "GET", path, "")
	var users []struct{ ID string }
	if err := json.Unmarshal([]byte(got.body), &users); err != nil {
		r.t.Fatalf("%v in %.200q", err, got.body)
	}
	ids, links := []string{}, map[string]string{}
	for _, u := range users {
		ids = append(ids, u.ID)
	}
	for part := range strings.SplitSeq(got.header.Get("Link"), ", ") {
		reference, rel, _ := strings.Cut(part, `>; rel="`)
		links[strings.TrimSuffix(rel, `"`)] = resolve(r.t, path, strings.TrimPrefix(reference, "<"))
	}
	return ids, links, got
}

// everyone returns all ids in the global order.
func (r *rig) everyone() []string {
	r.store.lock.Lock()
	defer r.store.lock.Unlock()
	all := []string{}
	for s := range r.wiring.Layout.Shards {
		for _, u := range r.store.ordered(s) {
			all = append(all, u.ID)
		}
	}
	return all
}

// TestEveryWalkMeetsEachUserOnce, whatever the size of the page and wherever the nodes cut theirs; a walk by cursor may
// end with one empty page.
func TestEveryWalkMeetsEachUserOnce(t *testing.T) {
	r := newRig(t, ample, ample/4)
	r.fill(1200)
	want := r.everyone()
	for _, cut := range []int{1000, 7} {
		r.store.lock.Lock()
		r.store.maxPage = cut
		r.store.lock.Unlock()
		for _, limit := range []int{1, 30, 100, 400, 1000} { // 1,200 is a multiple of most
			if limit == 1 && cut == 7 {
				continue
			}
			for _, start := range []string{"after=", "offset=0"} {
				met, pages := []string{}, 0
				for path := fmt.Sprintf("/api/user?%s&limit=%d", start, limit); path != ""; pages++ {
					ids, links, got := r.page(path)
					if touched, _ := strconv.Atoi(got.header.Get("Tandem-Nodes-Touched")); touched < 1 || touched > 2 ||
						got.header.Get("X-Total-Count") != "1200" {
						t.Fatalf("%s: %v", path, got.header)
					}
					met, path = append(met, ids...), links["next"]
				}
				if !slices.Equal(met, want) || pages > 1200/limit+1 {
					t.Errorf("%s, limit %d, pages cut at %d: met %d users on %d pages", start, limit, cut, len(met), pages)
				}
			}
		}
	}
}

func TestLinks(t *testing.T) {
	r := newRig(t, ample, ample/4)
	if ids, links, got := r.page("/api/user"); len(ids) != 0 || strings.TrimSpace(got.body) != "[]" ||
		links["next"] != "" || links["prev"] != "" || links["last"] != "/api/user?offset=0&limit=100" {
		t.Errorf("nobody is there: %s %v", got.body, links)
	}
	r.fill(250)
	_, links, _ := r.page("/api/user?offset=130&limit=50")
	for rel, offset := range map[string]string{"first": "0", "prev": "80", "next": "180", "last": "200"} {
		if links[rel] != "/api/user?offset="+offset+"&limit=50" {
			t.Errorf("%s: %s", rel, links[rel])
		}
	}
	if ids, links, _ := r.page("/api/user"); len(ids) != 100 || links["prev"] != "" ||
		links["next"] != "/api/user?offset=100&limit=100" {
		t.Errorf("%d users, %v", len(ids), links)
	}
	for _, offset := range []string{"250", "9223372036854775807"} {
		if ids, links, got := r.page("/api/user/?offset=" + offset); len(ids) != 0 || links["next"] != "" ||
			strings.TrimSpace(got.body) != "[]" {
			t.Errorf("past the end: %d users, %v", len(ids), links)
		}
	}
	_, links, _ = r.page("/api/user?after=&limit=50")
	if links["first"] != "/api/user?after=&limit=50" || links["prev"]+links["last"] != "" ||
		!strings.HasPrefix(links["next"], "/api/user?after=") {
		t.Errorf("a walk: %v", links)
	}
}

// TestAWalkGoesOnBehindAUserThatIsGone: a cursor is a place, not a user.
func TestAWalkGoesOnBehindAUserThatIsGone(t *testing.T) {
	r := newRig(t, ample, ample/4)
	r.fill(300)
	all := r.everyone()
	_, links, _ := r.page("/api/user?after=&limit=100")
	r.must(204, "DELETE", "/api/user/"+all[3], "") // before the place: a walk by offset would now miss a user
	ids, _, _ := r.page(links["next"])
	if !slices.Equal(ids, all[100:200]) {
		t.Errorf("the walk goes on at %.80v, expected %.80v", ids, all[100:200])
	}
}

// TestOneNodeDown: count and list find every user on the two nodes that are left, and a node that says nothing costs a
// third of the deadline at most.
func TestOneNodeDown(t *testing.T) {
	for i := range 3 {
		for _, how := range []string{"gone", "silent", "refuses"} {
			t.Run(fmt.Sprintf("db-%d %s", i, how), func(t *testing.T) {
				deadline := ample
				if how == "silent" {
					deadline = 3 * time.Second // a third of it is waited for the node, each time it is asked
				}
				r := newRig(t, deadline, 50*time.Millisecond)
				r.fill(200)
				switch how {
				case "gone":
					r.nodes[i].stop()
					r.await(i, false)
				case "silent":
					r.nodes[i].set(func(*wire.Message) (verdict, *wire.Message) { return silent, nil })
				case "refuses":
					r.nodes[i].set(func(*wire.Message) (verdict, *wire.Message) {
						return refuse, &wire.Message{Kind: wire.Error, Code: wire.Unavailable, Text: "not now"}
					})
				}
				got := r.must(200, "GET", "/api/user/count", "")
				if touched, _ := strconv.Atoi(got.header.Get("Tandem-Nodes-Touched")); got.body != "{\"count\":200}\n" || touched < 1 || touched > 2 {
					t.Errorf("%s, %d nodes touched", got.body, touched)
				}
				if ids, _, _ := r.page("/api/user?limit=1000"); !slices.Equal(ids, r.everyone()) {
					t.Errorf("%d users", len(ids))
				}
			})
		}
	}
}

// TestTwoNodesDown: there is no cover; the answer comes at the deadline and says who is missing, unless one comes back
// before.
func TestTwoNodesDown(t *testing.T) {
	r := newRig(t, 400*time.Millisecond, 50*time.Millisecond)
	for _, i := range []int{0, 1} {
		r.nodes[i].stop()
		r.await(i, false)
	}
	for _, path := range []string{"/api/user/count", "/api/user"} {
		if got := r.must(503, "GET", path, ""); !strings.Contains(got.body, "db-0") && !strings.Contains(got.body, "db-1") {
			t.Errorf("%s: %s", path, got.body)
		}
	}
}

func TestAPassingFailureOfAllNodes(t *testing.T) {
	r := newRig(t, ample, 50*time.Millisecond)
	r.fill(20)
	for _, n := range r.nodes {
		var asked atomic.Int64 // by both connections
		n.set(func(*wire.Message) (verdict, *wire.Message) {
			if asked.Add(1) <= 2 {
				return refuse, &wire.Message{Kind: wire.Error, Code: wire.Unavailable, Text: "not yet"}
			}
			return answer, nil
		})
	}
	if got := r.must(200, "GET", "/api/user/count", ""); got.body != "{\"count\":20}\n" {
		t.Errorf("%s", got.body)
	}
}

// TestASlowListKeepsTheDeadline: many pages, each of them within the time of a try, end at the deadline of the request.
func TestASlowListKeepsTheDeadline(t *testing.T) {
	r := newRig(t, 150*time.Millisecond, 50*time.Millisecond)
	r.fill(1000)
	r.store.maxPage, r.store.pause = 1, 20*time.Millisecond // 40 users or so in a shard, one at a time
	if got := r.must(503, "GET", "/api/user?limit=1000", ""); !strings.Contains(got.body,
		"no answer within the deadline: db-") {
		t.Errorf("%s", got.body)
	}
}
