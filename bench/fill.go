package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"tandem/bench/cluster"
)

// errFill is the class of a fill that did not create all of its users.
var errFill = errors.New("not all users were created")

// progressEvery is the time between two lines of progress.
const progressEvery = 2 * time.Second

// A create that is answered 503 is asked again, as Retry-After says.
const (
	fillTries   = 10
	fillPause   = 200 * time.Millisecond
	fillTimeout = 10 * time.Second
	existed     = "status 409 Conflict"
)

// fillUsers creates the users first to first+users-1 of a seed through REST, connections at once, and prints its
// progress. It ends early with its client.
func fillUsers(c client, seed, first, users uint64, connections int) error {
	target, client := c.target, &http.Client{Timeout: c.timeout, Transport: c.http.Transport}
	numbers, outcomes := make(chan uint64, connections), make(chan string, connections)
	for range max(1, connections) {
		go createUsers(client, target, seed, numbers, outcomes)
	}
	go func() {
		defer close(numbers)
		for i := range users {
			select {
			case numbers <- first + i:
			case <-c.Early:
				return
			}
		}
	}()
	begin := time.Now()
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	failures, failed := map[string]uint64{}, uint64(0)
	for done := uint64(0); done < users; {
		select {
		case <-c.Early:
			return fmt.Errorf("%w: %d of %d users were created", cluster.ErrInterrupted, done-failed, users)
		case why := <-outcomes:
			done++
			if why != "" {
				failures[why]++
				failed++
			}
		case <-tick.C:
			spent := time.Since(begin).Seconds()
			left := time.Duration(float64(users-done) * spent / float64(max(done, 1)) * float64(time.Second))
			go cluster.Tell("%d of %d users, %.0f users/s, %d errors, %v left\n",
				done, users, float64(done)/spent, failed, left.Round(time.Second))
		}
	}
	spent := time.Since(begin)
	fmt.Printf("%d users in %v: %.0f users/s, %d errors\n", users-failed, spent.Round(time.Millisecond),
		float64(users)/spent.Seconds(), failed)
	if failed == 0 {
		return nil
	}
	reasons, class := []string{}, errFill
	for why, n := range failures {
		reasons = append(reasons, fmt.Sprintf("%d times %s", n, why))
		if strings.HasPrefix(why, ownShare(cluster.OfGenerator, "")) {
			class = cluster.ErrOwn
		}
	}
	slices.Sort(reasons)
	return fmt.Errorf("%w: %s", class, strings.Join(reasons, "; "))
}

// createUsers creates the users whose numbers come, one after the other, and sends an empty outcome for each, or why it
// failed.
func createUsers(client *http.Client, target string, seed uint64, numbers <-chan uint64, outcomes chan<- string) {
	for i := range numbers {
		why, again := createUser(client, target, makeUser(seed, i))
		for try := 1; again && try < fillTries; try++ {
			time.Sleep(fillPause)
			why, again = createUser(client, target, makeUser(seed, i))
			if why == existed {
				why = "" // by the try before, whose answer did not come in time
			}
		}
		outcomes <- why
	}
}

// createUser sends one create and returns why it failed, "" if it did not, and whether the answer asks to try again.
func createUser(client *http.Client, target string, u user) (why string, again bool) {
	body, err := json.Marshal(u)
	if err != nil {
		return err.Error(), false
	}
	answer, err := client.Post(target+"/api/user/", "application/json", bytes.NewReader(body))
	if err != nil {
		return ownShare(cluster.Blame(err), reasonOf(err)), false
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	switch {
	case err != nil:
		return "an answer broke off", false
	case answer.StatusCode != http.StatusCreated:
		return "status " + answer.Status, answer.StatusCode == http.StatusServiceUnavailable
	}
	return "", false
}
