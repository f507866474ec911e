package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"tandem/bench/cluster"
)

// errTarget is the class of a target that does not answer.
var errTarget = errors.New("the target does not answer")

// returned is what reading everything back has shown.
type returned struct {
	Read      bool   // it was tried
	Unread    int    // users that could not be read in time
	Present   uint64 // users of this run that are there
	Counted   bool   // COUNT was asked and answered: every user could be read and nobody else writes
	Count     uint64 // what it says then
	Uncounted error  // why it says nothing
	Listed    string // how the list of all users differs from what was read; "" if it does not
	Walked    bool
	Users     map[string]user // the users that are there
}

const (
	retryPause  = 100 * time.Millisecond
	walkLimit   = 200_000 // users up to which all are listed in the end
	walkTries   = 20
	pageTimeout = 5 * time.Second
)

// total is the count of all users, or why there is none.
type total struct {
	Count uint64
	Err   error
}

// counting is a count that is asked for again and again.
type counting struct {
	c     client
	until time.Time
	told  bool // that no good answer has come at once
	asked sample
	found total
	ended bool
}

// countStages are a try at a count. The list never changes.
var countStages = []func(counting) counting{askCount, judgeCount}

// settledCount asks for the count until it is answered, or until a time, and says when that does not come at once.
// Behind a path that leads nowhere it never does.
func settledCount(c client, until time.Time) total {
	n := counting{c: c, until: until}
	for {
		for _, stage := range countStages {
			n = stage(n)
		}
		if n.ended {
			return n.found
		}
		time.Sleep(retryPause)
	}
}

// askCount asks for the count once.
func askCount(n counting) counting {
	n.asked = ask(n.c, operation{Kind: opCount}, "", 0)
	n.asked.Err += n.asked.Why // is only shown here; elsewhere failures are counted by it
	return n
}

// judgeCount decides whether an answer ends the counting, and tells of the first that does not.
func judgeCount(n counting) counting {
	s := n.asked
	if n.ended = !s.Failed && s.Wrong == ""; n.ended {
		n.found.Count = s.Count
		return n
	}
	class := errTarget
	if s.Whose == cluster.OfGenerator {
		class = cluster.ErrOwn
	}
	switch nowhere := s.Status == http.StatusNotFound && strings.Count(n.c.target, "/") > 2; {
	case isClosed(n.c.Early):
		n.ended, n.found.Err = true, cluster.ErrInterrupted
	case nowhere || time.Now().After(n.until):
		why := ownShare(s.Whose, s.Err+s.Wrong)
		n.ended, n.found.Err = true, fmt.Errorf("%w: GET %s/api/user/count: %s", class, n.c.target, why)
	case !n.told:
		n.told = true
		cluster.Tell("bench: no good answer at %s (%s); trying on for %v (--settle)\n", n.c.target, s.Err+s.Wrong,
			time.Until(n.until).Round(time.Second))
	}
	return n
}

// backRead is a run that is being read back.
type backRead struct {
	c          client
	j          job
	w          workload
	made, base uint64 // users that the run has created, and that were there before it
	until      time.Time
	samples    chan<- sample
	found      returned
}

// backStages read a run back, one after the other. The list never changes.
var backStages = []func(backRead) backRead{readUsers, countBack, readPages, walkBack}

// readBack reads every user of a run, again if it must until the time to settle is over, then asks for their count and
// lists them all.
func readBack(b backRead) returned {
	b.until, b.found = time.Now().Add(b.j.Settle), returned{Read: true, Users: map[string]user{}}
	for _, stage := range backStages {
		b = stage(b)
	}
	return b.found
}

// readUsers reads every user.
func readUsers(b backRead) backRead {
	keys := numbers(b.w.Records + b.made)
	reading := phase{Name: phaseCheck, Closed: min(loaders, b.j.Connections), Workload: b.w,
		Next: func(w workload, key, _ uint64) (operation, uint64) {
			return operation{Kind: opGet, Key: key, User: user{ID: makeUser(w.Users, key).ID}}, 0
		}}
	own, left := make(chan sample), make(chan []uint64) // without places, so that what is left comes after every sample
	go persist(generator{b.c, b.j.Beat, own}, reading, keys, b.until, left)
	for reads := true; reads; {
		select {
		case s := <-own:
			if b.samples <- s; !s.Failed && s.Status == http.StatusOK {
				b.found.Users[s.Read.ID] = s.Read
			}
		case keys = <-left:
			reads = false
		}
	}
	b.found.Unread, b.found.Present = len(keys), uint64(len(b.found.Users))
	return b
}

// isKnown says that every user could be read and nobody else writes, so that counts and lists can be judged.
func isKnown(b backRead) bool { return b.found.Unread == 0 && !b.j.Shared }

// countBack asks for the count of all users.
func countBack(b backRead) backRead {
	for try := 0; try < 3 && isKnown(b); try++ { // a write that was given up may still be on its way
		t := settledCount(b.c, b.until)
		b.found.Counted, b.found.Count, b.found.Uncounted = t.Err == nil, t.Count, t.Err
		if t.Err != nil || t.Count == b.base+b.found.Present {
			break
		}
		time.Sleep(retryPause)
	}
	return b
}

// readPages lists some pages, if their users are known and counted.
func readPages(b backRead) backRead {
	if isKnown(b) && b.found.Uncounted == nil && b.found.Count == b.base+b.found.Present {
		b.found.Listed = checkPages(b.c, b.found.Users, b.found.Count)
	}
	return b
}

// walkBack lists all users, if they are known and not too many.
func walkBack(b backRead) backRead {
	if isKnown(b) && b.base+b.found.Present <= walkLimit && b.found.Listed == "" {
		b.found.Walked, b.found.Listed = true, walkUsers(b.c, b.found.Users, b.base)
	}
	return b
}

// checkPages lists pages at some offsets while nothing is written, and returns what is wrong with them: a page is as
// long as it can be, and its users are those that were read.
func checkPages(c client, users map[string]user, all uint64) string {
	const limit = 100
	for _, offset := range []uint64{0, all / 3, all - min(all, limit/2), all} {
		path, want := fmt.Sprintf("/api/user?offset=%d&limit=%d", offset, limit), min(limit, all-offset)
		page, _, err := fetchPage(c, c.target+path)
		for tries := 0; err != nil && !errors.Is(err, cluster.ErrInterrupted) && tries < walkTries; tries++ {
			time.Sleep(retryPause)
			page, _, err = fetchPage(c, c.target+path)
		}
		if err != nil {
			return fmt.Sprintf("GET %s was not answered: %v", path, err)
		}
		if uint64(len(page)) != want {
			return fmt.Sprintf("GET %s lists %d users, expected %d of %d", path, len(page), want, all)
		}
		for _, u := range page {
			if read, ours := users[u.ID]; ours && read != u {
				return fmt.Sprintf("GET %s lists %+v, which was read as %+v", path, u, read)
			}
		}
	}
	return ""
}

// walkUsers lists all users by cursor and returns how that differs from the users that must be there, and others of
// which there are so many.
func walkUsers(c client, users map[string]user, others uint64) string {
	met, strangers, differ := map[string]bool{}, uint64(0), 0
	for url, tries := c.target+"/api/user?after=&limit=1000", 0; url != ""; {
		page, answer, err := fetchPage(c, url)
		if err != nil {
			if tries++; tries > walkTries || errors.Is(err, cluster.ErrInterrupted) {
				return fmt.Sprintf("the walk over all users could not be ended: %v", err)
			}
			time.Sleep(retryPause)
			continue
		}
		tries, url = 0, nextPage(answer)
		for _, u := range page {
			want, ours := users[u.ID]
			if met[u.ID] {
				return fmt.Sprintf("user %s is listed twice", u.ID)
			}
			met[u.ID] = true
			if !ours {
				strangers++
			} else if want != u {
				differ++
			}
		}
	}
	missing := 0
	for id := range users {
		if !met[id] {
			missing++
		}
	}
	if missing > 0 || strangers != others || differ > 0 {
		return fmt.Sprintf("of %d users that were read back %d are not listed and %d differ; %d other users are listed, %d were there before", len(users), missing, differ, strangers, others)
	}
	return ""
}

// fetchPage gets a page of users, and the answer that it came in, whose header names the page behind it.
func fetchPage(c client, url string) ([]user, *http.Response, error) {
	if isClosed(c.Early) {
		return nil, nil, cluster.ErrInterrupted
	}
	ctx, cancel := context.WithTimeout(context.Background(), pageTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, nil, err
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %.300s", answer.Status, bytes.TrimSpace(body))
	}
	var page []user
	if err == nil {
		err = json.Unmarshal(body, &page)
	}
	return page, answer, err
}
