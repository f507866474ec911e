package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"tandem/shard"
	"tandem/wire/proc"
)

// maxAnswer is how many bytes of an answer are read to a question about health.
const maxAnswer = 1 << 20

// nodeHealth is how one node looks from here.
type nodeHealth struct {
	Up      bool         `json:"up"`
	Reason  string       `json:"reason,omitempty"`
	Refused shard.Misfit `json:"refused,omitempty"` // in what the two sides do not fit, if that is the reason
	Lacks   string       `json:"lacks,omitempty"`   // what the node says that it lacks to take its whole part
}

// checkResult is a check and whether it holds, or else why not.
type checkResult struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Reason string `json:"reason,omitempty"`
}

// readiness is what the health check answers.
type readiness struct {
	Ready      bool                  `json:"ready"`
	Checks     []checkResult         `json:"checks,omitempty"`
	Nodes      map[string]nodeHealth `json:"nodes"`
	Leaderless int                   `json:"shards_without_leader"`
}

// live answers GET /livez: the process runs.
func live(_ *wiring, _ *call) response {
	return response{status: http.StatusOK, body: []byte("{\"live\":true}\n")}
}

// askLinks asks the connections to each node how they are: one that is up, else why none is.
func askLinks(wiring *wiring) []nodeHealth {
	nodes := make([]nodeHealth, len(wiring.Members))
	for i, links := range wiring.Links {
		for _, link := range links {
			reply := make(chan linkState, 1)
			state := linkState{Reason: "its connection is busy"}
			select {
			case link.State <- reply:
				state = <-reply
			case <-time.After(wiring.Config.Try):
			}
			if !nodes[i].Up {
				nodes[i] = nodeHealth(state)
			}
		}
	}
	return nodes
}

// health answers GET /readyz and /healthz: 200 while the gateway takes its part: it knows its cluster, and the leader
// of every shard can be reached, as far as the views are known here. With verbose each check is listed, else those that
// do not hold. A node that is refused, or that lacks something, is always named.
func health(wiring *wiring, c *call) response {
	part, names := shard.GatewayPart{}, []string{}
	r := readiness{Nodes: map[string]nodeHealth{}}
	set := currentViews(wiring.Views)
	if set.Cluster == [16]byte{} {
		part.Unknown = "no node has told yet of which cluster it is"
		if set.Late && set.Reported != "" {
			part.Unknown = "it is not known which cluster to serve; the nodes name as theirs: " + set.Reported
		}
	}
	for i, n := range askLinks(wiring) {
		name := wiring.Members[i].Name
		r.Nodes[name], names = n, append(names, name)
		part.Up, part.Lacks, part.Refused = append(part.Up, n.Up), append(part.Lacks, n.Lacks), append(part.Refused, "")
		if n.Refused != "" {
			part.Refused[i] = n.Reason
		}
	}
	r.Leaderless = shard.Leaderless(set.Views, part.Up)
	checks := shard.GatewayChecks(part, names, r.Leaderless)
	r.Ready = shard.Ready(checks)
	for _, check := range checks {
		if _, verbose := c.query["verbose"]; verbose || check.Reason != "" {
			r.Checks = append(r.Checks, checkResult{check.Name, check.Reason == "", check.Reason})
		}
	}
	status := http.StatusOK
	if !r.Ready {
		status = http.StatusServiceUnavailable
	}
	body := bytes.Buffer{}
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // people read it
	if err := encoder.Encode(r); err != nil {
		return problem(http.StatusInternalServerError, err.Error(), nil)
	}
	return response{status: status, body: body.Bytes()}
}

// askHealth asks the gateway that listens at an address for its health.
func askHealth(listen string) (readiness, error) {
	r := readiness{}
	address, err := proc.Reach(listen)
	if err != nil {
		return r, err
	}
	// asked directly, whatever proxy is set
	client := http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get("http://" + address + "/readyz")
	if err != nil {
		return r, err
	}
	defer answer.Body.Close()
	err = json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(&r)
	known := answer.StatusCode == http.StatusOK || answer.StatusCode == http.StatusServiceUnavailable
	if err != nil || !known || len(r.Nodes) == 0 { // a gateway always names its nodes
		return readiness{}, fmt.Errorf("what answers at %s is no gateway: /readyz brings %s and not what a gateway says",
			address, answer.Status)
	}
	return r, nil
}

// reportHealth writes what is not as it should be, and returns an exit code, 0 where the gateway takes its part: the
// health check of containers.
func reportHealth(r readiness, err error, out io.Writer) int {
	if err != nil {
		fmt.Fprintln(out, "gateway: it cannot be asked:", err)
		return 1
	}
	for _, c := range r.Checks {
		fmt.Fprintf(out, "gateway: %s: %s\n", c.Name, c.Reason)
	}
	if !r.Ready {
		return 1
	}
	return 0
}
