package cluster

import (
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"tandem/shard"
)

// ErrPlan is the class of a local cluster that cannot be started as asked.
var ErrPlan = errors.New("cannot start the cluster")

// Plan is what a local cluster is to be. Settle fills in the names and addresses of its nodes. Lists, if it is not
// empty, has the --nodes of each process, the nodes in order and then the gateway: the addresses at which it reaches
// the others.
type Plan struct {
	Dir, Bin, HTTP string
	Nodes, Port    int
	Shards         int
	Names, Addrs   []string
	Lists          []string
	Wraps          [][]string      // by process, as Lists: words before its command line, such as env and settings
	Early          <-chan struct{} // is closed when its start is to end before all serve
}

// Settle checks a plan and fills in what it leaves open: the folder of the binaries, the nodes' names and addresses,
// and absolute paths without symbolic links, because a process is known again by the path of its log.
func Settle(p Plan) (Plan, error) {
	if err := shard.CheckLayout(shard.Layout{Nodes: p.Nodes, Shards: p.Shards}); err != nil {
		return p, fmt.Errorf("%w: %w", ErrPlan, err)
	}
	if p.Port < 1 || p.Port+p.Nodes-1 > math.MaxUint16 {
		return p, fmt.Errorf("%w: --port %d: expected 1 to %d, so that each of %d nodes has a port",
			ErrPlan, p.Port, math.MaxUint16-p.Nodes+1, p.Nodes)
	}
	if p.Bin == "" {
		self, err := os.Executable()
		if err != nil {
			return p, fmt.Errorf("%w: --bin is not set and the folder of bench is unknown: %w", ErrPlan, err)
		}
		p.Bin = filepath.Dir(self)
	}
	for _, name := range []string{"node", "gateway"} {
		if _, err := os.Stat(filepath.Join(p.Bin, name)); err != nil {
			return p, fmt.Errorf("%w: no binary %s in %s (make build makes it): %w", ErrPlan, name, p.Bin, err)
		}
	}
	if err := os.MkdirAll(p.Dir, 0o755); err != nil {
		return p, fmt.Errorf("%w: the folder for its data: %w", ErrPlan, err)
	}
	real, err := filepath.EvalSymlinks(p.Dir)
	if err == nil {
		p.Dir, err = filepath.Abs(real)
	}
	if err != nil {
		return p, fmt.Errorf("%w: the folder for its data: %w", ErrPlan, err)
	}
	p.Names = NodeNames(p.Nodes)
	for i := range p.Nodes {
		p.Addrs = append(p.Addrs, net.JoinHostPort("127.0.0.1", strconv.Itoa(p.Port+i)))
	}
	return p, nil
}

// Commands returns the command line of each process of a settled plan, the nodes in order and then the gateway.
func Commands(p Plan) [][]string {
	pairs := make([]string, p.Nodes)
	for i := range pairs {
		pairs[i] = p.Names[i] + "=" + p.Addrs[i]
	}
	lists := p.Lists
	if len(lists) == 0 {
		lists = slices.Repeat([]string{strings.Join(pairs, ",")}, p.Nodes+1)
	}
	all := make([][]string, 0, p.Nodes+1)
	for i, name := range p.Names {
		argv := []string{filepath.Join(p.Bin, "node"), "--name", name, "--listen", p.Addrs[i],
			"--data", filepath.Join(p.Dir, name), "--nodes", lists[i], "--shards", strconv.Itoa(p.Shards)}
		all = append(all, argv)
	}
	all = append(all, []string{filepath.Join(p.Bin, "gateway"), "--listen", p.HTTP, "--nodes", lists[p.Nodes],
		"--shards", strconv.Itoa(p.Shards)})
	for i, wrap := range p.Wraps {
		all[i] = slices.Concat(wrap, all[i])
	}
	return all
}

// ControlFile returns the path of the control file of a node's shim.
func ControlFile(p Plan, name string) string { return filepath.Join(p.Dir, name+".disk") }

// Welcome says where everything listens and what to try first.
func Welcome(p Plan, detached bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Tandem serves. REST: http://%s/api/user/\n", p.HTTP)
	for i, name := range p.Names {
		fmt.Fprintf(&b, "  %-8s %s\n", name, p.Addrs[i])
	}
	fmt.Fprintf(&b, "Data, logs and pid files: %s\n\nTry:\n", p.Dir)
	fmt.Fprintf(&b, "  curl -i http://%s/api/user/ -H 'Content-Type: application/json' \\\n", p.HTTP)
	fmt.Fprintf(&b, "    -d '{\"id\":\"13AE742\",\"name\":\"Ada Lovelace\",\"email\":\"ada@example.org\",\"group\":1}'\n")
	fmt.Fprintf(&b, "  curl -i http://%s/api/user/13AE742\n", p.HTTP)
	fmt.Fprintf(&b, "  printf 'STATUS\\n' | nc -N 127.0.0.1 %d\n\n", p.Port)
	if detached {
		fmt.Fprintf(&b, "It goes on in the background; to stop it: bench stop --dir %s\n", p.Dir)
	} else {
		fmt.Fprintf(&b, "Ctrl-C stops all.\n")
	}
	return b.String()
}

// NodeNames are the names of the nodes of a cluster that bench starts.
func NodeNames(n int) []string {
	names := []string{}
	for i := range n {
		names = append(names, "db-"+strconv.Itoa(i))
	}
	return names
}
