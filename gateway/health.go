package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"tandem/shard"
)

// nodeHealth is how one node looks from here.
type nodeHealth struct {
	Up      bool         `json:"up"`
	Reason  string       `json:"reason,omitempty"`
	Refused shard.Misfit `json:"refused,omitempty"` // in what the two sides do not fit, if that is the reason
}

// health answers GET /healthz: 200 while the leader of every shard can be reached, as far as the views are known here.
func health(room *Room, _ *call) response {
	nodes, up := map[string]nodeHealth{}, make([]bool, len(room.Members))
	for i, links := range room.Links {
		for _, link := range links {
			reply := make(chan LinkState, 1)
			state := LinkState{Reason: "its connection is busy"}
			select {
			case link.State <- reply:
				state = <-reply
			case <-time.After(room.Config.Try):
			}
			if !up[i] {
				nodes[link.Name], up[i] = nodeHealth(state), state.Up
			}
		}
	}
	leaderless, status := 0, http.StatusOK
	for _, view := range viewsIn(room.Views).Views {
		if !up[view.Leader] {
			leaderless, status = leaderless+1, http.StatusServiceUnavailable
		}
	}
	body, err := json.Marshal(map[string]any{"nodes": nodes, "shards_without_leader": leaderless})
	if err != nil {
		return problem(http.StatusInternalServerError, err.Error(), nil)
	}
	return response{status: status, body: append(body, '\n')}
}

// probe asks the gateway at an address for its health and returns an exit code, 0 for well: the health check of containers.
func probe(listen string) int {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		fmt.Fprintln(os.Stderr, "gateway:", err)
		return 1
	}
	if host == "" || net.ParseIP(host).IsUnspecified() { // it listens on all addresses, so on this one
		host = "127.0.0.1"
	}
	client := http.Client{Timeout: 2 * time.Second}
	answer, err := client.Get("http://" + net.JoinHostPort(host, port) + "/healthz")
	if err != nil {
		fmt.Fprintln(os.Stderr, "gateway:", err)
		return 1
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		fmt.Fprintln(os.Stderr, "gateway: its health is", answer.Status)
		return 1
	}
	return 0
}
