package shard

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Check is something that a process needs to take its part; Reason says why it does not have it, "" if it has.
type Check struct {
	Name   string `json:"name"`
	Reason string `json:"reason,omitempty"`
}

// NodePart is what a node knows of the part that it takes.
type NodePart struct {
	Waiting  string            // why its loops do not run yet; "" when they do
	Learnt   bool              // it has learnt the views since it started, as a member
	Leader   bool              // there is a Raft leader, as far as it knows
	Silent   string            // why it promises nothing and takes no part in Raft; "" while it does
	Barred   []string          // by replica: why it may not answer for its shard; "" if it may
	Damaged  []int             // shards whose only whole copy is here and damaged
	Refused  map[string]string // by peer: why it and this node do not work together
	Replaced string            // what a member says that knows this store for one that another took the place of, or for an old copy
}

// NodeChecks tells whether a node takes its part: it has its data, a place in the cluster, a disk that is well, and serves some of its shards. A node that
// waits to be fed serves none, and is not ready until it is.
func NodeChecks(p NodePart) []Check {
	views := ""
	switch {
	case p.Waiting != "":
		views = "it has not opened its data yet"
	case p.Replaced != "":
		views = p.Replaced
	case !p.Learnt && !p.Leader:
		views = "it has not learnt who leads the shards since it started, and knows no Raft leader"
	case !p.Learnt:
		views = "it has not learnt who leads the shards since it started"
	}
	reasons, serves := map[string]int{}, false
	for _, why := range p.Barred {
		serves = serves || why == ""
		if why != "" {
			reasons[why]++
		}
	}
	shards := ""
	if !serves && len(p.Barred) > 0 {
		most := slices.MaxFunc(sortedReasons(reasons), func(a, b string) int { return cmp.Compare(reasons[a], reasons[b]) })
		shards = fmt.Sprintf("it serves none of its %d shards: %s (%d)", len(p.Barred), most, reasons[most])
	}
	only := ""
	if len(p.Damaged) > 0 {
		only = fmt.Sprintf("the only whole copy of the shards %v is here and damaged; an operator must decide (node accept-loss)", p.Damaged)
	}
	peers := []string{}
	for _, peer := range sortedReasons(p.Refused) {
		peers = append(peers, peer+": "+p.Refused[peer])
	}
	return []Check{{"data", p.Waiting}, {"views", views}, {"disk", p.Silent}, {"shards", shards}, {"copies", only}, {"peers", strings.Join(peers, "; ")}}
}

// sortedReasons returns the keys of a map in order.
func sortedReasons[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Ready tells whether every check but those that only warn holds: a peer that is refused, or a copy that only an operator can give up, does not keep
// the rest from being served.
func Ready(checks []Check) bool {
	for _, c := range checks {
		if c.Reason != "" && c.Name != "peers" && c.Name != "copies" {
			return false
		}
	}
	return true
}
