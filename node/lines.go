package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// maxLine is the longest line of text in bytes.
const maxLine = 1024

// command is a line of text that a node answers: what it takes, what it says, and what makes its answer.
type command struct {
	usage, help string
	args        int
	run         func(room *Room, args []string) any
}

// commands are all lines that a node answers; they only read. The table never changes.
var commands = map[string]command{
	"PING":   {"PING", "PONG once this node serves", 0, linePing},
	"STATUS": {"STATUS", "this node: settings, replicas, what it has served", 0, lineStatus},
	"VIEW":   {"VIEW", "leader and backup of every shard", 0, lineView},
	"SHARDS": {"SHARDS", "the replicas held here: role, position, users", 0, lineShards},
	"GET":    {"GET id", "a user as the replica held here has it", 1, lineGet},
	"COUNT":  {"COUNT", "the users of the shards held here", 0, lineCount},
	"LIST":   {"LIST offset limit", "users of the shards led here, in the global order", 2, lineList},
	"REPAIR": {"REPAIR", "the backups that this node is repairing: writes to go, rate, time left", 0, lineRepair},
	"WAL":    {"WAL shard lsn n", "n entries of a shard's write log from an LSN on", 3, lineLog},
	"CONNS":  {"CONNS", "the open connections", 0, lineConns},
	"DIGEST": {"DIGEST shard", "count, position and hash of all records of a shard", 1, lineDigest},
}

// fault is the answer to a line that could not be answered.
type fault struct {
	Error    string `json:"error"`
	Expected string `json:"expected,omitempty"`
}

// serveLines is the loop that answers a connection's lines of text, one JSON line each, until the client has sent all.
func serveLines(room *Room, raw net.Conn, in *bufio.Reader, closed chan<- struct{}) {
	defer close(closed)
	room.Doors <- door{Raw: raw, Info: ConnInfo{raw.RemoteAddr().String(), "lines", ""}}
	for {
		_ = raw.SetReadDeadline(time.Now().Add(idleFor))
		line, err := in.ReadSlice('\n')
		text := strings.TrimSpace(string(line))
		var answer any
		switch {
		case err == bufio.ErrBufferFull || len(text) > maxLine:
			answer = fault{fmt.Sprintf("a line of more than %d bytes", maxLine), "one command a line; HELP lists them"}
			err = io.EOF
		case isHTTP(text):
			_, _ = io.WriteString(raw, httpAnswer(room.Config.Name))
			return
		case text != "":
			answer = obey(room, text)
		}
		_ = raw.SetWriteDeadline(time.Now().Add(writeFor))
		if answer != nil {
			if badWrite := json.NewEncoder(raw).Encode(answer); badWrite != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// obey runs one line.
func obey(room *Room, text string) any {
	words := strings.Fields(text)
	name, args := strings.ToUpper(words[0]), words[1:]
	if name == "HELP" {
		help := map[string]string{"HELP": "this list"}
		for _, c := range commands {
			help[c.usage] = c.help
		}
		return help
	}
	c, known := commands[name]
	switch {
	case !known:
		return fault{fmt.Sprintf("unknown command %q", words[0]), "one of PING, STATUS, VIEW, SHARDS, GET, COUNT, LIST, WAL, REPAIR, CONNS, DIGEST, HELP"}
	case len(args) != c.args:
		return fault{fmt.Sprintf("%s takes %d arguments, found %d", name, c.args, len(args)), c.usage}
	}
	return c.run(room, args)
}

// isHTTP tells a request line of HTTP, which has come to the wrong port.
func isHTTP(text string) bool {
	words := strings.Fields(text)
	return len(words) == 3 && strings.HasPrefix(words[2], "HTTP/")
}

func httpAnswer(name string) string {
	body := fmt.Sprintf(`{"title":"Not REST","status":400,"detail":"this is the wire port of node %s; REST is served by the gateway, by default on port 8080"}`+"\n", name)
	return "HTTP/1.1 400 Bad Request\r\nContent-Type: application/problem+json\r\nConnection: close\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
}
