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

// AskSync asks a node for its view of all shards and for errors of its replicas; why says what is not yet as it
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
		Shard int
		Error string
	}
	if line, err = AskLine(addr, "SHARDS"); err == nil {
		err = json.Unmarshal([]byte(line), &held)
	}
	if err != nil {
		return views, fmt.Sprintf("SHARDS of %s: %v", addr, err)
	}
	for _, h := range held {
		if h.Error != "" {
			return views, fmt.Sprintf("%s says of shard %d: %s", addr, h.Shard, h.Error)
		}
	}
	return views, ""
}

// syncRound is a look at all nodes.
type syncRound struct {
	addrs []string
	views [][]View // of the nodes at which all is as it should be
	why   string   // what is not
}

// syncStages are a look at all nodes. The list never changes.
var syncStages = []func(syncRound) syncRound{askNodes, compareViews}

// AwaitSync waits until all nodes agree on the view of every shard and every backup is in sync, and returns nil, or
// what was not so in time.
func AwaitSync(addrs []string, limit time.Duration) error {
	for end := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		k := syncRound{addrs: addrs}
		for _, stage := range syncStages {
			k = stage(k)
		}
		switch {
		case k.why == "":
			return nil
		case time.Now().After(end):
			return fmt.Errorf("%w within %v: %s", errNotInSync, limit, k.why)
		}
	}
}

// askNodes asks the nodes, up to the first at which something is not as it should be.
func askNodes(k syncRound) syncRound {
	for _, addr := range k.addrs {
		var views []View
		if views, k.why = AskSync(addr); k.why != "" {
			return k
		}
		k.views = append(k.views, views)
	}
	return k
}

// compareViews looks for a node that has other views than the first one. It stands before the node at which something
// else is not as it should be, and is named instead.
func compareViews(k syncRound) syncRound {
	for i, views := range k.views {
		first := k.views[0]
		for s := range min(len(views), len(first)) {
			if views[s] != first[s] {
				k.why = fmt.Sprintf("%s sees %+v, %s sees %+v", k.addrs[0], first[s], k.addrs[i], views[s])
				return k
			}
		}
		if len(views) != len(first) {
			k.why = fmt.Sprintf("%s sees %d shards, %s %d", k.addrs[0], len(first), k.addrs[i], len(views))
			return k
		}
	}
	return k
}
