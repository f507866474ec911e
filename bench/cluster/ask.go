package cluster

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"time"
)

// AskLine sends one line of text to a node and returns its one line of answer.
func AskLine(addr, line string) (string, error) {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err = conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return "", err
	}
	if _, err = conn.Write([]byte(line + "\n")); err != nil {
		return "", err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSuffix(answer, "\n"), err
}

// Digest is a node's answer to DIGEST.
type Digest struct {
	Shard  int
	Role   string
	Users  uint64
	LSN    uint64
	Digest string
	Error  string
}

// AskDigest asks a node for the digest of a shard.
func AskDigest(addr string, shard int) Digest {
	var d Digest
	line, err := AskLine(addr, fmt.Sprintf("DIGEST %d", shard))
	if err == nil {
		err = json.Unmarshal([]byte(line), &d)
	}
	if err != nil {
		d.Error = err.Error()
	}
	return d
}
