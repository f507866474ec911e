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
	Waiting    string            // why its loops do not run yet; "" when they do
	Learnt     bool              // it has learnt the views since it started, as a member
	Leader     bool              // there is a Raft leader, as far as it knows
	Silent     string            // why it promises nothing and takes no part in Raft; "" while it does
	NotServing []string          // by replica: why it may not answer for its shard; "" if it may
	Joins      bool              // its store is no member of the cluster yet
	Damaged    []DamagedCopy     // copies here that cannot be trusted, of shards whose views are known
	Refused    map[string]string // by peer: why it and this node do not work together
	// what a member says that knows this store for one that another took the place of, or for an old copy
	Replaced string
}

// AskOperator says what is left to do where no node can heal something.
const AskOperator = "an operator must decide (node accept-loss)"

// DamagedCopy is a copy of a shard that is damaged here.
type DamagedCopy struct {
	Shard         int
	Peer          string // the node that holds the other copy
	PeerUp        bool   // a connection to it stands
	Leads, InSync bool   // by the view: this node leads the shard; both copies have all writes
	For           int64  // ns since the damage was found
}

// damagedCopies says which shards nobody can fill again. A copy that is not in sync is filled by the leader's, unless
// it is the leader's own. A node whose copy is whole takes over, or goes on alone, long before StuckFor; what that has
// not ended, the other copy cannot heal.
func damagedCopies(copies []DamagedCopy) string {
	only, down, both := []int{}, map[string][]int{}, map[string][]int{}
	for _, c := range copies {
		switch {
		case c.Leads && !c.InSync:
			only = append(only, c.Shard)
		case c.InSync && !c.PeerUp:
			down[c.Peer] = append(down[c.Peer], c.Shard)
		case c.InSync && c.For > StuckFor:
			both[c.Peer] = append(both[c.Peer], c.Shard)
		}
	}
	reasons := []string{}
	if len(only) > 0 {
		reasons = append(reasons, fmt.Sprintf("the only whole copy of the shards %v is here and damaged; %s", only,
			AskOperator))
	}
	for _, peer := range sortedReasons(down) {
		reasons = append(reasons, fmt.Sprintf("the shards %v are damaged here, and %s, which has the other copy, "+
			"cannot be reached; if it is lost %s", down[peer], peer, AskOperator))
	}
	for _, peer := range sortedReasons(both) {
		reasons = append(reasons, fmt.Sprintf("the shards %v are damaged here, and %s does not serve them either; "+
			"if its copy is damaged, too, %s", both[peer], peer, AskOperator))
	}
	return strings.Join(reasons, "; ")
}

// NodeChecks tells whether a node takes its part: it has its data, a place in the cluster, a disk that is well, and
// serves some of its shards. A node that waits to be fed serves none, and is not ready until it is.
func NodeChecks(p NodePart) []Check {
	views := ""
	switch {
	case p.Waiting != "":
		views = "it has not opened its data yet"
	case p.Replaced != "":
		views = p.Replaced
	case p.Joins:
		views = "its store is no member of the cluster yet; where the store before it led shards alone " +
			AskOperator
	case !p.Learnt && !p.Leader:
		views = "it has not learnt who leads the shards since it started, and knows no Raft leader"
	case !p.Learnt:
		views = "it has not learnt who leads the shards since it started"
	}
	reasons, serves := map[string]int{}, false
	for _, why := range p.NotServing {
		serves = serves || why == ""
		if why != "" {
			reasons[why]++
		}
	}
	shards := ""
	if !serves && len(p.NotServing) > 0 {
		most := slices.MaxFunc(sortedReasons(reasons), func(a, b string) int { return cmp.Compare(reasons[a], reasons[b]) })
		shards = fmt.Sprintf("it serves none of its %d shards: %s (%d)", len(p.NotServing), most, reasons[most])
	}
	peers := []string{}
	for _, peer := range sortedReasons(p.Refused) {
		peers = append(peers, peer+": "+p.Refused[peer])
	}
	checks := make([]Check, len(NodeCheckNames))
	for i, reason := range [len(NodeCheckNames)]string{p.Waiting, views, p.Silent, shards, damagedCopies(p.Damaged),
		strings.Join(peers, "; ")} {
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

// GatewayChecks tells whether a gateway takes its part: it knows its cluster, and reaches the leader of every shard.
// What nodes lack, and who is refused, it names by the nodes' names.
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
	return []Check{{"cluster", p.Unknown}, {"shards", shards}, {"peers", strings.Join(refused, "; ")},
		{"nodes", strings.Join(lacks, "; ")}}
}

// AwaitsOperator tells whether a node's damage waits until an operator decides.
func AwaitsOperator(checks []Check) bool {
	return slices.ContainsFunc(checks, func(c Check) bool { return c.Name == "copies" && c.Reason != "" })
}

// UnderReplicated counts the shards that a node leads without a backup in sync: to lose the node would lose them.
func UnderReplicated(views []View, node int) int {
	n := 0
	for _, v := range views {
		if v.Leader == node && !v.InSync {
			n++
		}
	}
	return n
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

// warnings are the checks that only warn: a peer that is refused, a node that lacks something, or a copy that only an
// operator can give up, does not keep the rest from being served.
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
