package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/bench/cluster"
)

// relaunchWith launches process i of the plan again, with further settings.
func (c *testCluster) relaunchWith(i int, settings ...string) {
	c.t.Helper()
	p, err := cluster.Launch(c.plan.Dir, c.processes[i].Name, append(cluster.Commands(c.plan)[i], settings...))
	if err != nil {
		c.t.Fatal(err)
	}
	c.processes[i] = p
}

// awaitText asks until what is said has all texts.
func awaitText(t *testing.T, what string, ask func() (string, error), texts ...string) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		said, err := ask()
		isSaid := func(text string) bool { return strings.Contains(said, text) }
		missing := slices.DeleteFunc(slices.Clone(texts), isSaid)
		if err == nil && len(missing) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not say %q: %v %s", what, missing, err, said)
		}
	}
}

// statusSays waits until the STATUS of a node has all texts.
func (c *testCluster) statusSays(i int, texts ...string) {
	c.t.Helper()
	awaitText(c.t, c.plan.Names[i], func() (string, error) { return cluster.AskLine(c.plan.Addrs[i], "STATUS") },
		texts...)
}

// gatewaySays waits until what the gateway answers has all texts.
func (c *testCluster) gatewaySays(path string, texts ...string) {
	c.t.Helper()
	ask := func() (string, error) {
		got, err := c.ask("GET", path, "")
		return got.body, err
	}
	awaitText(c.t, path, ask, texts...)
}

// named are n users of a name.
func named(prefix, name string, n int) []user {
	users := make([]user, n)
	for i := range users {
		users[i] = user{fmt.Sprint(prefix, i), name, "e", 1}
	}
	return users
}

// createNamed makes n users of a name, and readNamed holds that they are read so.
func (c *testCluster) createNamed(prefix, name string, n int) {
	c.t.Helper()
	c.createAll(c.t, named(prefix, name, n))
}

func (c *testCluster) readNamed(prefix, name string, n int) {
	c.t.Helper()
	c.readAll(c.t, named(prefix, name, n))
}

// TestANodeOfAnotherClusterIsNotAsked: an address of cluster A comes to belong to a node of cluster B that has the same
// name and settings, and whose views have changed more often. A goes on with its own, and all sides say why.
func TestANodeOfAnotherClusterIsNotAsked(t *testing.T) {
	t.Parallel()
	a, b := startTest(t, 3), startTest(t, 3)
	a.createNamed("u", "ofA", 50)
	b.createNamed("u", "ofB", 50)
	a.stop(1)
	for i := range 3 {
		b.stop(i)
		b.start(i)
		b.settle()
	}
	for i := range 4 {
		b.stop(i)
	}
	own := b.plan.Addrs[1]
	b.plan.Addrs[1] = a.plan.Addrs[1]
	for i := range 4 {
		b.relaunch(i)
	}
	for i := range 4 {
		b.await(i)
	}
	b.settle()
	a.gatewaySays("/healthz", `"refused":"incarnation"`)
	a.gatewaySays("/metrics", `tandem_links_refused{node="db-1",reason="incarnation"} 2`)
	a.statusSays(0, `node db-1":"incarnation: `)
	b.statusSays(1, `"gateway `+a.plan.HTTP+`":"incarnation: `)
	a.readNamed("u", "ofA", 50)
	a.createNamed("new", "ofA", 20)
	b.readNamed("u", "ofB", 50)
	for i := range 20 {
		b.eventually(404, "GET", fmt.Sprint("/api/user/new", i), "")
	}
	if a.count() != 70 || b.count() != 50 {
		t.Errorf("%d users in A, %d in B", a.count(), b.count())
	}
	for i := range 4 {
		b.stop(i)
	}
	a.start(1)
	a.settle()
	b.plan.Addrs[1] = own
	for i := range 4 {
		b.relaunch(i)
	}
	a.readNamed("new", "ofA", 20)
}

// TestAnotherOrderOfNodesIsRefused, of a node at its start, as its folder has the order in which it was made, and of a
// gateway by all nodes.
func TestAnotherOrderOfNodesIsRefused(t *testing.T) {
	t.Parallel()
	c := startTest(t, 3)
	c.createNamed("u", "x", 10)
	pair := func(i int) string { return c.plan.Names[i] + "=" + c.plan.Addrs[i] }
	right := strings.Join([]string{pair(0), pair(1), pair(2)}, ",")
	other := strings.Join([]string{pair(1), pair(0), pair(2)}, ",")
	c.stop(3)
	c.plan.Lists = []string{right, right, right, other}
	c.relaunch(3)
	c.gatewaySays("/healthz", `"refused":"ring"`, "db-0,db-1,db-2")
	c.statusSays(2, `"gateway `+c.plan.HTTP+`":"ring: `)
	c.stop(0)
	c.plan.Lists[0] = other
	c.relaunch(0)
	<-c.processes[0].Gone
	c.awaitLog(t, "db-0", "it was made as node db-0 of the nodes db-0,db-1,db-2 in this order")
	if said := cluster.DescribeEnd(c.processes[0]); !strings.Contains(said, "db-1,db-0,db-2") {
		t.Errorf("it does not name the order that it was given: %s", said)
	}
	c.stop(3)
	c.plan.Lists = nil
	c.start(0)
	c.start(3)
	c.settle()
	c.readNamed("u", "x", 10)
}

// TestOtherLeaseTimesAreRefused: a node whose lease its neighbours' grace does not cover gets no connection, is named
// on both sides, and the others go on.
func TestOtherLeaseTimesAreRefused(t *testing.T) {
	t.Parallel()
	c := startTest(t, 3)
	c.stop(0)
	c.relaunchWith(0, "--lease", "1s", "--grace", "1200ms")
	c.statusSays(0, `node db-1":"lease: `, `node db-2":"lease: `, "120 ms")
	c.statusSays(1, `node db-0":"lease: `, "1000 ms")
	c.createNamed("u", "x", 30)
	c.stop(0)
	c.start(0)
	c.settle()
	c.readNamed("u", "x", 30)
}

// TestLeaseTimesAreChangedNodeByNode: the grace is raised everywhere, then the lease; and back in the other order. No
// connection is refused on the way.
func TestLeaseTimesAreChangedNodeByNode(t *testing.T) {
	t.Parallel()
	c := startTest(t, 3)
	c.createNamed("u", "x", 30)
	longer := []string{"--grace", "400ms"}
	for _, settings := range [][]string{longer, {"--lease", "300ms", "--grace", "400ms"}, longer, nil} {
		for i := range 3 {
			c.stop(i)
			c.relaunchWith(i, settings...)
			c.await(i)
			c.settle()
		}
		c.readNamed("u", "x", 30)
	}
	waited := 0
	for _, name := range append(slices.Clone(c.plan.Names), "gateway") {
		log, err := os.ReadFile(filepath.Join(c.plan.Dir, name+".log"))
		if err != nil {
			t.Fatal(err)
		}
		waited += strings.Count(string(log), "waiting until what was promised under a longer --grace is over")
		for _, bad := range []string{"a connection is refused", "is promised nothing", "refuses this"} {
			if at := strings.Index(string(log), bad); at >= 0 {
				t.Errorf("%s: %.400s", name, log[max(0, at-100):])
			}
		}
	}
	if waited != 3 {
		t.Errorf("a longer grace was waited out %d times, want once a node", waited)
	}
}
