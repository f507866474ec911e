package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// served returns what each node has answered so far.
func (c *testCluster) served() []map[string]uint64 {
	all := make([]map[string]uint64, c.plan.Nodes)
	for i := range all {
		all[i] = c.status(i).Served
	}
	return all
}

// TestNodesTouched holds what is the point of the placement: a request needs few nodes whatever N is. The answer's
// header says so, and the nodes' own counters bear it out. It is said of requests that need no second try, as one does
// whose node does not answer in time on a busy machine.
func TestNodesTouched(t *testing.T) {
	for _, nodes := range []int{3, 5, 9} {
		t.Run(fmt.Sprintf("N=%d", nodes), func(t *testing.T) {
			c := startPatient(t, nodes)
			half := nodes/2 + 1
			for i := range uint64(40) {
				u := makeUser(7, i)
				c.touches(t, "create", 2, 2, 201, "POST", "/api/user/", userJSON(u))
				c.touches(t, "get", 1, 1, 200, "GET", "/api/user/"+u.ID, "")
				c.touches(t, "update", 2, 2, 200, "PUT", "/api/user/", `{"id":"`+u.ID+`","group":5}`)
				c.touches(t, "count", 1, half, 200, "GET", "/api/user/count", "")
				c.touches(t, "list", 1, half, 200, "GET", fmt.Sprintf("/api/user?offset=%d&limit=10", i/2), "")
				if i%4 == 0 {
					c.touches(t, "delete", 2, 2, 204, "DELETE", "/api/user/"+u.ID, "")
				}
			}
			c.touches(t, "whole list", 1, half, 200, "GET", "/api/user?limit=1000", "")
			c.touches(t, "missing", 1, 1, 404, "GET", "/api/user/nobody", "")
			if c.measured < 150 { // of 212 or so
				t.Errorf("only %d requests were answered without another try", c.measured)
			}
		})
	}
}

// The command measures the same: a read needs one node, a write two, or only its leader if it is refused.
func TestMicroCountsNodes(t *testing.T) {
	for _, setting := range patientSettings {
		name, value, _ := strings.Cut(setting, "=")
		t.Setenv(name, value)
	}
	code, out := runBench(t, "micro", "--bin", binaries, "--nodes", "3", "--operations", "200")
	if code != exitPass {
		t.Fatalf("code %d: %s", code, out)
	}
	for kind, want := range map[string]string{
		opGet: `  1: \d\d.*`, opCount: `  [12]: \d.*`, opList: `  [12]: \d.*`,
		opUpdate: `.*  2: \d.*`, opDelete: `.*  2: \d.*`,
		opCreate: `(  1: \d\d?)?  2: \d.*`, // of the 100 of the load none is refused
	} {
		if line := regexp.MustCompile(`(?m)^    3  ` + kind + ` *` + want + `$`); !line.MatchString(out) {
			t.Errorf("no line %v in %s", line, out)
		}
	}
}

// retries returns how many tries the gateway has made anew so far.
func (c *testCluster) retries() (n int) {
	for _, line := range retriesLine.FindAllStringSubmatch(c.must(200, "GET", "/metrics", "").body, -1) {
		one, _ := strconv.Atoi(line[1]) // digits
		n += one
	}
	return n
}

var retriesLine = regexp.MustCompile(`(?m)^tandem_retries_total\{[^}]*\} (\d+)$`)

// touches sends a request and holds that it needed least to most nodes, by its header and by the nodes' counters. One
// that was tried anew is passed over.
func (c *testCluster) touches(t *testing.T, what string, least, most, want int, method, path, body string) {
	t.Helper()
	before, retries := c.served(), c.retries()
	got := c.must(want, method, path, body)
	after := c.served()
	if c.retries() != retries {
		return
	}
	c.measured++
	asked := []string{}
	for i := range after {
		for _, kind := range []string{"get", "write", "count", "list", "append"} {
			if n := after[i][kind] - before[i][kind]; n > 0 {
				asked = append(asked, c.plan.Names[i])
			}
		}
	}
	asked = slices.Compact(asked)
	if len(asked) < least || len(asked) > most {
		t.Errorf("%s needed %v, expected %d to %d nodes", what, asked, least, most)
	}
	if n := got.touched(); n != len(asked) {
		t.Errorf("%s: the header says %d nodes, %v were asked", what, n, asked)
	}
}
