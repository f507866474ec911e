package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

// probe asks the node at an address whether it serves and returns an exit code, 0 for yes: the health check of containers.
func probe(listen string) int {
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		fmt.Fprintln(os.Stderr, "node:", err)
		return 1
	}
	raw, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", port), time.Second)
	if err != nil {
		fmt.Fprintln(os.Stderr, "node:", err)
		return 1
	}
	defer raw.Close()
	_ = raw.SetDeadline(time.Now().Add(time.Second))
	_, err = fmt.Fprintln(raw, "PING")
	answer := ""
	if err == nil {
		answer, err = bufio.NewReader(raw).ReadString('\n')
	}
	if err != nil || !strings.Contains(answer, "PONG") {
		fmt.Fprintln(os.Stderr, "node: no PONG:", answer, err)
		return 1
	}
	return 0
}
