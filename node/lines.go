package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
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
	long        bool // its answer may be long: few of these are made at a time, and kept until they are read
	run         func(wiring *wiring, args []string) any
}

// commands are all lines that a node answers; they only read. The table never changes.
var commands = map[string]command{
	"PING":  {"PING", "PONG once this node serves", 0, false, linePing},
	"READY": {"READY", "whether this node takes its part, and what it lacks for it", 0, false, lineReady},
	"STATUS": {"STATUS", "this node: store, readiness, Raft, connections, what it has served (SHARDS has the replicas)",
		0, false, lineStatus},
	"VIEW":   {"VIEW", "leader and backup of every shard", 0, true, lineView},
	"SHARDS": {"SHARDS", "the replicas held here: role, position, users", 0, true, lineShards},
	"GET":    {"GET id", "a user as the replica held here has it", 1, false, lineGet},
	"COUNT":  {"COUNT", "the users of the shards held here", 0, false, lineCount},
	"LIST":   {"LIST offset limit", "users of the shards led here, in the global order", 2, true, lineList},
	"REPAIR": {"REPAIR", "the backups that this node is repairing: writes to go, rate, time left", 0, true, lineRepair},
	"WAL":    {"WAL shard lsn n", "n entries of a shard's write log from an LSN on", 3, true, lineLog},
	"CONNS":  {"CONNS", "the open connections", 0, true, lineConns},
	"DIGEST": {"DIGEST shard", "count, position and hash of all records of a shard", 1, true, lineDigest},
}

// fault is the answer to a line that could not be answered.
type fault struct {
	Error    string `json:"error"`
	Expected string `json:"expected,omitempty"`
}

// serveLines is the loop that answers a connection's lines of text, one JSON line each, until the client has sent all.
func serveLines(c accepted) accepted {
	if !c.letter {
		return c
	}
	c.over = true
	wiring, raw, in := c.wiring, c.raw, c.in
	wiring.ConnEvents <- connEvent{Raw: raw, Info: connInfo{raw.RemoteAddr().String(), "lines", ""}}
	for {
		_ = raw.SetReadDeadline(time.Now().Add(idleFor))
		line, err := in.ReadSlice('\n')
		text := strings.TrimSpace(string(line))
		var answer any
		held := false // a slot among those whose answers may be long
		switch {
		case err == bufio.ErrBufferFull || len(text) > maxLine:
			answer = fault{fmt.Sprintf("a line of more than %d bytes", maxLine), "one command a line; HELP lists them"}
			err = io.EOF
		case isHTTP(text):
			_, _ = io.WriteString(raw, httpAnswer(wiring.Config.Name))
			return c
		case text != "":
			answer, held = obey(wiring, text)
		}
		var badWrite error
		if answer != nil {
			_ = raw.SetWriteDeadline(time.Now().Add(stallFor))
			badWrite = json.NewEncoder(raw).Encode(answer)
		}
		if held {
			<-wiring.Texts
		}
		if err != nil || badWrite != nil {
			return c
		}
	}
}

// obey runs one line. held tells that its answer has one of the slots for long ones, to be given back when it is
// written.
func obey(wiring *wiring, text string) (answer any, held bool) {
	words := strings.Fields(text)
	name, args := strings.ToUpper(words[0]), words[1:]
	if name == "HELP" {
		help := map[string]string{"HELP": "this list"}
		for _, c := range commands {
			help[c.usage] = c.help
		}
		return help, false
	}
	c, known := commands[name]
	switch {
	case !known:
		return fault{fmt.Sprintf("unknown command %q", words[0]),
			"one of PING, READY, STATUS, VIEW, SHARDS, GET, COUNT, LIST, WAL, REPAIR, CONNS, DIGEST, HELP"}, false
	case len(args) != c.args:
		return fault{fmt.Sprintf("%s takes %s, found %d", name, countArguments(c.args), len(args)), c.usage}, false
	case !c.long:
		return c.run(wiring, args), false
	}
	late := time.NewTimer(stallFor)
	defer late.Stop()
	select {
	case wiring.Texts <- struct{}{}:
		return c.run(wiring, args), true
	case <-late.C:
		return fault{fmt.Sprintf("%d other answers are being made or wait to be read", cap(wiring.Texts)),
			"the same line again, later"}, false
	}
}

// countArguments is a number of arguments for people.
func countArguments(n int) string {
	if n == 1 {
		return "1 argument"
	}
	return strconv.Itoa(n) + " arguments"
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
