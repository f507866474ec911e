package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// errNotInSync is the class of a cluster that does not come back in sync in time.
var errNotInSync = errors.New("the cluster does not come back in sync")

// View is a shard as a node's line VIEW has it.
type View struct {
	Shard  int
	Epoch  uint64
	Leader string
	Backup string
	InSync bool
}

// AskSync asks a node for its view of all shards and for trouble with its replicas; why says what is not yet as it
// should be.
func AskSync(addr string) (views []View, why string) {
	line, err := AskLine(addr, "VIEW")
	if err == nil {
		err = json.Unmarshal([]byte(line), &views)
	}
	if err != nil {
		return nil, fmt.Sprintf("VIEW of %s: %v", addr, err)
	}
	for _, v := range views {
		if !v.InSync {
			return views, fmt.Sprintf("%s says that the backup %s of shard %d is not in sync", addr, v.Backup, v.Shard)
		}
	}
	var held []struct {
		Shard   int
		Trouble string
	}
	if line, err = AskLine(addr, "SHARDS"); err == nil {
		err = json.Unmarshal([]byte(line), &held)
	}
	if err != nil {
		return views, fmt.Sprintf("SHARDS of %s: %v", addr, err)
	}
	for _, h := range held {
		if h.Trouble != "" {
			return views, fmt.Sprintf("%s has trouble with shard %d: %s", addr, h.Shard, h.Trouble)
		}
	}
	return views, ""
}

// AwaitSync waits until all nodes agree on the view of every shard and every backup is in sync, and sends nil, or what
// was not so in time.
func AwaitSync(addrs []string, limit time.Duration, out chan<- error) {
	why := ""
	for end := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		var first []View
		why = ""
		for i, addr := range addrs {
			views, not := AskSync(addr)
			if i == 0 {
				first = views
			}
			for s := range min(len(views), len(first)) {
				if not == "" && views[s] != first[s] {
					not = fmt.Sprintf("%s sees %+v, %s sees %+v", addrs[0], first[s], addr, views[s])
				}
			}
			if len(views) != len(first) && not == "" {
				not = fmt.Sprintf("%s sees %d shards, %s %d", addrs[0], len(first), addr, len(views))
			}
			if not != "" {
				why = not
				break
			}
		}
		switch {
		case why == "":
			out <- nil
			return
		case time.Now().After(end):
			out <- fmt.Errorf("%w within %v: %s", errNotInSync, limit, why)
			return
		}
	}
}
