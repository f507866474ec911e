package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"
)

// atOnce is how many requests a test has under way where their order says nothing.
const atOnce = 16

// forEach does something for each number below n, some of them at once. What fails ends the test.
func forEach(t *testing.T, n int, do func(i int) error) {
	t.Helper()
	next, failed := make(chan int), make(chan error, atOnce)
	for range atOnce {
		go func() {
			var err error
			for i := range next {
				if err == nil {
					err = do(i)
				}
			}
			failed <- err
		}()
	}
	for i := range n {
		next <- i
	}
	close(next)
	var err error
	for range atOnce {
		err = errors.Join(err, <-failed)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// createAll creates users, and readAll holds that each is read as it was written.
func (c *testCluster) createAll(t *testing.T, users []user) {
	t.Helper()
	forEach(t, len(users), func(i int) error {
		_, err := c.insist(http.StatusCreated, "POST", "/api/user/", userJSON(users[i]))
		return err
	})
}

func (c *testCluster) readAll(t *testing.T, users []user) {
	t.Helper()
	forEach(t, len(users), func(i int) error {
		got, err := c.insist(http.StatusOK, "GET", "/api/user/"+users[i].ID, "")
		var found user
		if err == nil {
			err = json.Unmarshal([]byte(got.body), &found)
		}
		if err == nil && found != users[i] {
			err = fmt.Errorf("%+v is read as %+v", users[i], found)
		}
		return err
	})
}
