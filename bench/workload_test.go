package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"tandem/shard"
)

func TestUsersOfASeed(t *testing.T) {
	ids := map[string]bool{}
	spread := map[int]int{}
	for i := range uint64(100_000) {
		u := makeUser(1, i)
		ids[u.ID] = true
		s, _ := shard.ShardOf(shard.Layout{Nodes: 3, Shards: 24}, u.ID)
		spread[s]++
		if i%1000 != 0 {
			continue
		}
		if id, err := uuid.Parse(u.ID); err != nil || id.Version() != 4 || id.Variant() != uuid.RFC4122 {
			t.Errorf("id %s: %v", u.ID, err)
		}
		if u != makeUser(1, i) || u == makeUser(2, i) || u.Name == "" || !strings.Contains(u.Email, "@") {
			t.Errorf("user %d: %+v", i, u)
		}
	}
	if len(ids) != 100_000 || len(spread) != 24 {
		t.Errorf("%d distinct ids in %d shards", len(ids), len(spread))
	}
	if got := fmt.Sprint(makeUser(1, 0)); got != golden {
		t.Errorf("user 0 of seed 1 is %s, was %s: data sets made before would not be found again", got, golden)
	}
}

// fill creates users as bench fill does.
func fill(target string, seed, first, users uint64, connections int) error {
	way := newClient(target, connections, true, fillTimeout, time.Now())
	defer way.Close()
	return fillUsers(way, seed, first, users, connections)
}

// golden is user 0 of seed 1.
const golden = "{26ac75e9-3dfe-43cd-b984-13d39219e49c Xin Shannon xin.shannon.0@example.com 134}"

func TestFillReportsWhatFailed(t *testing.T) {
	made := make(chan user, 100)
	var busy atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var u user
		body, _ := io.ReadAll(r.Body)
		if json.Unmarshal(body, &u) != nil || r.URL.Path != "/api/user/" || r.Method != "POST" {
			w.WriteHeader(400)
			return
		}
		if u == makeUser(3, 25) && !busy.Swap(true) {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if u == makeUser(3, 25) {
			w.WriteHeader(http.StatusConflict)
			return
		}
		made <- u
		w.WriteHeader(http.StatusCreated)
		if u == makeUser(3, 12) {
			panic(http.ErrAbortHandler)
		}
	}))
	defer server.Close()
	if err := fill(server.URL+"/", 3, 20, 30, 4); err != nil || len(made) != 29 {
		t.Errorf("%v, %d users", err, len(made))
	}
	if err := fill(server.URL, 3, 25, 1, 4); !errors.Is(err, errFill) ||
		!strings.Contains(err.Error(), "1 times status 409") {
		t.Errorf("a user that was there before: %v", err)
	}
	if err := fill(server.URL, 3, 10, 5, 4); !errors.Is(err, errFill) || !strings.Contains(err.Error(), "1 times") {
		t.Errorf("an answer that broke off: %v", err)
	}
	server.Close()
	if err := fill(server.URL, 3, 0, 5, 2); !errors.Is(err, errFill) || !strings.Contains(err.Error(), "5 times") {
		t.Errorf("nobody listens: %v", err)
	}
}
