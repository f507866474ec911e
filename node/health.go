package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"tandem/shard"
	"tandem/shard/replica"
	"tandem/wire/proc"
)

// readiness is what READY answers, and a part of STATUS: whether the node takes its part, and each thing that it needs
// for it.
type readiness struct {
	Node   string        `json:"node"`
	Ready  bool          `json:"ready"`
	Checks []checkResult `json:"checks"`
}

// checkResult is a check and whether it holds, or else why not: in the form that the gateway's /readyz has, too.
type checkResult struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Reason string `json:"reason,omitempty"`
}

// checkResults says of each check whether it holds.
func checkResults(checks []shard.Check) []checkResult {
	all := make([]checkResult, len(checks))
	for i, c := range checks {
		all[i] = checkResult{c.Name, c.Reason == "", c.Reason}
	}
	return all
}

// partOf gathers what the node knows of the part that it takes: how its replicas are, how its view service is, and who
// is refused.
func partOf(node *Node, peers *Peers, held []Held, c viewsReport) shard.NodePart {
	refused := make(chan map[string]string, 1)
	peers.Refusals <- refused
	p := shard.NodePart{Leader: c.Lead != 0, Joins: !slices.Contains(c.State.Members, node.Member), Silent: c.Unhealthy,
		Refused: <-refused}
	for _, why := range p.Refused {
		if text, replaced := strings.CutPrefix(why, string(shard.OtherStore)+": "); replaced {
			p.Replaced = text
		}
	}
	for _, h := range held {
		p.Learnt = p.Learnt || h.state.Known
		p.NotServing = append(p.NotServing, replica.NotServing(&h.state, h.now))
		if r := &h.state; r.Damage.Reason != "" && r.Known {
			leads := r.View.Leader == node.Self
			p.Damaged = append(p.Damaged, shard.DamagedCopy{Shard: h.Shard, Peer: r.Peer, PeerUp: r.Stream.Number != 0,
				Leads: leads, InSync: r.View.InSync, For: h.now - r.Damage.At})
		}
	}
	return p
}

// healthEvery is how often a node looks whether it takes its part.
const healthEvery = 500 * time.Millisecond

// runHealth is the loop that looks whether the node takes its part, says so in the log when that changes, and keeps the
// newest word in a cell for whoever answers pings.
func runHealth(node *Node, handles *Handles, peers *Peers) {
	said, known := "", ""
	ticks := time.NewTicker(healthEvery)
	for range ticks.C {
		held, c := holdings(node, handles), viewsStatus(peers)
		checks := shard.NodeChecks(partOf(node, peers, held, c))
		reasons := []string{}
		for _, check := range checks {
			if check.Reason != "" {
				reasons = append(reasons, check.Name+": "+check.Reason)
			}
		}
		lacks := strings.Join(reasons, "; ")
		<-node.Lacks
		node.Lacks <- lacks
		switch settled := lacks == known; {
		case settled && lacks != said && lacks != "":
			level := slog.LevelWarn
			if shard.AwaitsOperator(checks) {
				level = slog.LevelError
			}
			node.Log.Log(context.Background(), level, "the node does not take its whole part", "ready",
				shard.Ready(checks), "reason", lacks)
			said = lacks
		case settled && lacks != said:
			node.Log.Info("the node takes its whole part")
			said = lacks
		}
		known = lacks
	}
}

// lacks returns what the node lacks to take its whole part, as the last look has found it; "" if nothing.
func lacks(node *Node) string {
	text := <-node.Lacks
	node.Lacks <- text
	return text
}

// lineReady answers READY.
func lineReady(wiring *wiring, _ []string) any {
	p := shard.NodePart{Waiting: "it waits for its own data, or for the other nodes of a new cluster"}
	if wiring.Started {
		held, c := holdings(&wiring.Node, &wiring.Handles), viewsStatus(&wiring.Peers)
		p = partOf(&wiring.Node, &wiring.Peers, held, c)
	}
	checks := shard.NodeChecks(p)
	return readiness{wiring.Config.Name, shard.Ready(checks), checkResults(checks)}
}

// tellReady writes what is not as it should be in the answer to READY, and returns an exit code, 0 where the node takes
// its part: the health check of containers.
func tellReady(answer readiness, err error, out io.Writer) int {
	if err != nil {
		fmt.Fprintln(out, "node: it cannot be asked:", err)
		return 1
	}
	for _, c := range answer.Checks {
		if c.Reason != "" {
			fmt.Fprintf(out, "node: %s: %s: %s\n", answer.Node, c.Name, c.Reason)
		}
	}
	if !answer.Ready {
		return 1
	}
	return 0
}

// askReady asks for READY where a node listens.
func askReady(listen string) (readiness, error) {
	answer := readiness{}
	address, err := proc.Reach(listen)
	if err != nil {
		return answer, err
	}
	raw, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return answer, err
	}
	defer raw.Close()
	_ = raw.SetDeadline(time.Now().Add(time.Second))
	_, err = fmt.Fprintln(raw, "READY")
	text := ""
	if err == nil {
		text, err = bufio.NewReader(raw).ReadString('\n')
	}
	if err == nil {
		err = json.Unmarshal([]byte(text), &answer)
	}
	if err == nil && answer.Checks == nil {
		err = fmt.Errorf("expected the answer to READY from %s, found %q", address, strings.TrimSpace(text))
	}
	return answer, err
}
