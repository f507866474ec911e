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

// NodeCheckNames are the checks of a node, in their order.
var NodeCheckNames = [...]string{"data", "views", "disk", "shards", "copies", "peers"}

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
	checks := make([]Check, len(NodeCheckNames))
	for i, reason := range [len(NodeCheckNames)]string{p.Waiting, views, p.Silent, shards, only, strings.Join(peers, "; ")} {
		checks[i] = Check{NodeCheckNames[i], reason}
	}
	return checks
}

// GatewayPart is what a gateway knows of the part that it takes, by node.
type GatewayPart struct {
	Unknown string   // why it does not know which cluster to serve; "" if it does
	Up      []bool   // a connection to the node stands
	Refused []string // why the two do not work together; "" if they do
	Lacks   []string // what the node says that it lacks to take its whole part
}

// Leaderless counts the shards whose leader cannot be reached.
func Leaderless(views []View, up []bool) int {
	n := 0
	for _, v := range views {
		if !up[v.Leader] {
			n++
		}
	}
	return n
}

// GatewayChecks tells whether a gateway takes its part: it knows its cluster, and reaches the leader of every shard. What nodes lack, and who is refused, it names
// by the nodes' names.
func GatewayChecks(p GatewayPart, names []string, leaderless int) []Check {
	shards, refused, lacks := "", []string{}, []string{}
	if leaderless > 0 {
		shards = fmt.Sprintf("the leader of %d shards cannot be reached", leaderless)
	}
	for i, name := range names {
		if p.Refused[i] != "" {
			refused = append(refused, name+": "+p.Refused[i])
		}
		if p.Lacks[i] != "" {
			lacks = append(lacks, name+": "+p.Lacks[i])
		}
	}
	return []Check{{"cluster", p.Unknown}, {"shards", shards}, {"peers", strings.Join(refused, "; ")}, {"nodes", strings.Join(lacks, "; ")}}
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

// warnings are the checks that only warn: a peer that is refused, a node that lacks something, or a copy that only an operator can give up, does not keep the
// rest from being served.
var warnings = map[string]bool{"peers": true, "copies": true, "nodes": true}

// Ready tells whether every check but those that only warn holds.
func Ready(checks []Check) bool {
	for _, c := range checks {
		if c.Reason != "" && !warnings[c.Name] {
			return false
		}
	}
	return true
}
