package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tandem/bench/cluster"
	"tandem/shard"
	"tandem/wire"
)

// The end-to-end tests start the real processes; this file is what they share.

// patience is how long a test polls for what must come about: far longer than it ever takes.
const patience = 60 * time.Second

// binaries is the folder that TestMain makes for buildAll.
var binaries string

// watchdog ends every process whose binary is in a folder, and the folder, when its input ends: also when a test is
// killed or runs into its time limit and no cleanup is done.
const watchdog = `cat; for p in /proc/[0-9]*; do
	case $(readlink "$p/exe") in "$1"/*) kill -9 "${p#/proc/}";; esac
done; rm -rf "$1"`

func TestMain(m *testing.M) {
	if signal.Ignored(syscall.SIGHUP) { // as under nohup: what is caught here is not ignored by the processes of the tests
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	}
	dir, err := os.MkdirTemp("", "tandem-bin-")
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	guard := exec.Command("sh", "-c", watchdog, "sh", dir)
	guard.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	var alive io.Closer
	if err == nil {
		alive, err = guard.StdinPipe()
	}
	if err == nil {
		err = guard.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binaries = dir
	code := m.Run()
	_ = alive.Close()
	_ = guard.Wait()
	os.Exit(code)
}

// buildAll makes the three binaries, once for all tests.
var buildAll = sync.OnceValue(func() error {
	out, err := exec.Command("go", "build", "-o", binaries, "tandem/node", "tandem/gateway",
		"tandem/bench").CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
})

// The ports of the tests lie between those of bench's own clusters and those of outgoing connections.
const (
	firstPort = cluster.MostPort
	portCount = 2700
)

// portsGiven counts the ports that tests were given, from a random one on: tests that run at once get different ones.
var portsGiven = func() *atomic.Int64 {
	given := &atomic.Int64{}
	given.Store(rand.Int64N(portCount))
	return given
}()

// freePorts returns the first of n ports in a row that nobody listens on.
func freePorts(t *testing.T, n int) int {
	t.Helper()
	for range 200 {
		first := (int(portsGiven.Add(int64(n))) - n) % portCount
		base, free := firstPort+first, first+n <= portCount
		for port := base; port < base+n && free; port++ {
			probe, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
			if free = err == nil; free {
				probe.Close()
			}
		}
		if free {
			return base
		}
	}
	t.Fatal("no free ports")
	return 0
}

// testCluster is a running cluster of real processes.
type testCluster struct {
	t         *testing.T
	plan      cluster.Plan
	processes []cluster.Process // the nodes in order, then the gateway
	client    *http.Client
	measured  int // requests whose nodes were counted
}

// planTest returns a settled plan in a folder of its own.
func planTest(t *testing.T, nodes int) cluster.Plan {
	t.Helper()
	if err := buildAll(); err != nil {
		t.Fatal(err)
	}
	base := freePorts(t, nodes+1)
	http := net.JoinHostPort("127.0.0.1", strconv.Itoa(base+nodes))
	plan, err := cluster.Settle(cluster.Plan{Dir: t.TempDir(), Bin: binaries, HTTP: http, Nodes: nodes, Port: base,
		Shards: 24})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// startTest starts a cluster that ends with the test; its logs must then be free of panics.
func startTest(t *testing.T, nodes int) *testCluster {
	t.Helper()
	return startPlan(t, planTest(t, nodes))
}

// startPlan starts the cluster of a plan, which ends with the test.
func startPlan(t *testing.T, plan cluster.Plan) *testCluster {
	t.Helper()
	processes, err := cluster.Start(plan)
	return adopt(t, plan, processes, err)
}

// patientSettings are settings with which nothing of a cluster goes by how busy the machine is. The list never changes.
var patientSettings = []string{"TANDEM_DEADLINE=8s", "TANDEM_TRY=8s", "TANDEM_LEASE=1s", "TANDEM_GRACE=1200ms",
	"TANDEM_SILENT=900ms", "TANDEM_SLOW_DISK=900ms"}

// startPatient is startTest with a gateway that waits long and asks once: for tests of what is answered, which must not
// hang on how busy the machine is, and where a second try would be counted.
func startPatient(t *testing.T, nodes int) *testCluster {
	t.Helper()
	plan := planTest(t, nodes)
	// Views must not change because many processes share few processors.
	plan.Wraps = slices.Repeat([][]string{append([]string{"env"}, patientSettings...)}, nodes+1)
	return startPlan(t, plan)
}

// adopt ends the processes of a plan with the test.
func adopt(t *testing.T, plan cluster.Plan, processes []cluster.Process, err error) *testCluster {
	t.Helper()
	c := &testCluster{t, plan, processes, &http.Client{Timeout: 10 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: 64}}, 0}
	t.Cleanup(func() {
		c.client.CloseIdleConnections()
		cluster.StopProcesses(c.processes, cluster.StopGrace)
		logs, _ := filepath.Glob(filepath.Join(plan.Dir, "*.log"))
		for _, log := range logs {
			text, err := os.ReadFile(log)
			if err != nil || bytes.Contains(text, []byte("panic")) || bytes.Contains(text, []byte("fatal error")) {
				t.Errorf("%s: %v\n%s", log, err, text[:min(len(text), 8000)])
			} else if t.Failed() {
				t.Logf("the end of %s:\n%s", log, text[max(0, len(text)-3000):])
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	c.settle()
	return c
}

// settle waits until every backup is in sync and every shard is led by the node that placement wants.
func (c *testCluster) settle() {
	c.t.Helper()
	l, why := shard.Layout{Nodes: c.plan.Nodes, Shards: c.plan.Shards}, ""
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if err := cluster.AwaitSync(c.plan.Addrs, time.Minute); err != nil {
			c.t.Fatal(err)
		}
		views, _ := cluster.AskSync(c.plan.Addrs[0])
		why = ""
		for _, v := range views {
			if want := c.plan.Names[shard.InitialView(l, v.Shard).Leader]; v.Leader != want {
				why = fmt.Sprintf("shard %d is led by %s, not by %s", v.Shard, v.Leader, want)
			}
		}
		if why == "" {
			return
		}
	}
	c.t.Fatal(why)
}

// start launches process i of the plan again and waits until it serves.
func (c *testCluster) start(i int) {
	c.t.Helper()
	c.relaunch(i)
	c.await(i)
}

func (c *testCluster) relaunch(i int) {
	c.t.Helper()
	p, err := cluster.Launch(c.plan.Dir, c.processes[i].Name, cluster.Commands(c.plan)[i])
	if err != nil {
		c.t.Fatal(err)
	}
	c.processes[i] = p
}

func (c *testCluster) await(i int) {
	c.t.Helper()
	ready := make(chan error, 1)
	if i < c.plan.Nodes {
		cluster.AwaitNode(c.processes[i], c.plan.Addrs[i], ready)
	} else {
		cluster.AwaitGateway(c.processes[i], c.plan.HTTP, ready)
	}
	if err := <-ready; err != nil {
		c.t.Fatal(err)
	}
}

// kill ends process i with SIGKILL.
func (c *testCluster) kill(i int) {
	c.t.Helper()
	if err := c.processes[i].Cmd.Process.Signal(syscall.SIGKILL); err != nil {
		c.t.Fatal(err)
	}
	<-c.processes[i].Gone
}

// reply is an answer of the gateway, read whole.
type reply struct {
	status int
	header http.Header
	body   string
	url    *url.URL // that was asked
}

// user reads the body as a user.
func (r reply) user(t *testing.T) user {
	t.Helper()
	var u user
	if err := json.Unmarshal([]byte(r.body), &u); err != nil {
		t.Fatalf("%v in %q", err, r.body)
	}
	return u
}

// touched is how many nodes the answer says that it needed.
func (r reply) touched() int {
	n, err := strconv.Atoi(r.header.Get("Tandem-Nodes-Touched"))
	if err != nil {
		return -1
	}
	return n
}

// ask sends one request to the gateway; headers are pairs of name and value.
func (c *testCluster) ask(method, path, body string, headers ...string) (reply, error) {
	request, err := http.NewRequest(method, "http://"+c.plan.HTTP+path, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer, err := c.client.Do(request)
	if err != nil {
		return reply{}, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return reply{answer.StatusCode, answer.Header, string(text), answer.Request.URL}, err
}

// must is ask where another status than the wanted one ends the test.
func (c *testCluster) must(want int, method, path, body string, headers ...string) reply {
	c.t.Helper()
	got, err := c.ask(method, path, body, headers...)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	if got.status != want {
		c.t.Fatalf("%s %s %s: status %d, expected %d: %s", method, path, body[:min(len(body), 200)], got.status, want,
			got.body)
	}
	return got
}

// eventually is must with patience: 503 is asked again. A create that was answered so may have been done all the same,
// so that the next try gets 409.
func (c *testCluster) eventually(want int, method, path, body string) reply {
	c.t.Helper()
	got, err := c.insist(want, method, path, body)
	if err != nil {
		c.t.Fatal(err)
	}
	return got
}

// insist is eventually for a goroutine, which must not end the test.
func (c *testCluster) insist(want int, method, path, body string) (reply, error) {
	again := false
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		got, err := c.ask(method, path, body)
		if err == nil && (got.status == want || again && want == http.StatusCreated && got.status == http.StatusConflict) {
			return got, nil
		}
		again = true
		if err != nil || got.status != http.StatusServiceUnavailable || time.Now().After(end) {
			return got, fmt.Errorf("%s %s: %v, status %d, expected %d: %s", method, path, err, got.status, want,
				got.body)
		}
	}
}

// count asks for the number of users.
func (c *testCluster) count() uint64 {
	c.t.Helper()
	var got struct{ Count uint64 }
	answer := c.eventually(http.StatusOK, "GET", "/api/user/count", "")
	if err := json.Unmarshal([]byte(answer.body), &got); err != nil {
		c.t.Fatalf("%v in %q", err, answer.body)
	}
	return got.Count
}

// nodeStatus is what the tests read from a node's STATUS.
type nodeStatus struct {
	Node    string
	Cluster string
	Ready   bool
	Served  map[string]uint64
}

func (c *testCluster) status(i int) nodeStatus {
	c.t.Helper()
	var got nodeStatus
	line, err := cluster.AskLine(c.plan.Addrs[i], "STATUS")
	if err == nil {
		err = json.Unmarshal([]byte(line), &got)
	}
	if err != nil {
		c.t.Fatalf("STATUS of %s: %v in %q", c.plan.Names[i], err, line)
	}
	return got
}

// hello is the first frame of a connection to a node of this cluster.
func (c *testCluster) hello() []byte {
	return wire.NewCodec().AppendFrame(nil, &wire.Message{Kind: wire.Hello, ID: 1, Greeting: c.greeting()})
}

// greeting is that of a client of this cluster.
func (c *testCluster) greeting() wire.Greeting {
	return wire.Greeting{Least: wire.Least, Most: wire.Most, Cluster: "tandem", Role: shard.RoleGateway, Name: "test",
		Ring: shard.RingHash(c.plan.Names), Shards: uint64(c.plan.Shards)}
}

// userJSON is a user as the body of a request.
func userJSON(u user) string {
	text, _ := json.Marshal(u) // a user is always fit for JSON
	return string(text)
}
