package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tandem/bench/cluster"
)

// errNodes is the class of nodes that cannot be asked.
var errNodes = errors.New("the nodes cannot be asked")

// localNodes is where the nodes of a local cluster listen by default.
const localNodes = "db-0=127.0.0.1:7400,db-1=127.0.0.1:7401,db-2=127.0.0.1:7402"

// verifyCommand compares the replicas of every shard.
type verifyCommand struct {
	Nodes string        `help:"All nodes, name=host:port, separated by commas." default:"${localNodes}"`
	Wait  time.Duration `help:"How long both replicas of a shard may take to come to the same position." default:"30s"`
}

// Run prints the digests' sum; different replicas are wrong answers.
func (c verifyCommand) Run(e ending) error {
	addrs := []string{}
	for part := range strings.SplitSeq(c.Nodes, ",") {
		_, addr, ok := strings.Cut(strings.TrimSpace(part), "=")
		if err := checkAddress("--nodes", addr); !ok || err != nil {
			return fmt.Errorf("%w: --nodes: expected name=host:port,…, found %q", errSettings, part)
		}
		addrs = append(addrs, addr)
	}
	if err := checkTime("--wait", c.Wait, 0, longestWait); err != nil {
		return err
	}
	out, d := make(chan digests, 1), digests{}
	go func() { out <- compareDigests(addrs, c.Wait) }()
	select {
	case d = <-out:
	case <-e.Early:
		return cluster.ErrInterrupted
	}
	if d.Err != nil {
		return d.Err
	}
	_, err := fmt.Print(digestText(d))
	if len(d.Unequal) > 0 {
		return verdict{Code: exitWrong, Word: "the replicas differ"}
	}
	return err
}

// digests is what the comparison of all replicas has shown.
type digests struct {
	Shards  int
	Users   uint64
	Took    time.Duration
	Unequal []string
	Err     error
}

// digestText says what the comparison has shown.
func digestText(d digests) string {
	if len(d.Unequal) == 0 {
		return fmt.Sprintf("digests     %d shards, %d users: both replicas of each are equal (%v)\n", d.Shards, d.Users,
			short(d.Took))
	}
	return fmt.Sprintf("digests     %d of %d shards DIFFER:\n  %s\n", len(d.Unequal), d.Shards,
		strings.Join(d.Unequal, "\n  "))
}

// holders asks all nodes which shards they hold.
func holders(addrs []string) (map[int][]string, error) {
	by := map[int][]string{}
	for _, addr := range addrs {
		var held []struct{ Shard int }
		line, err := cluster.AskLine(addr, "SHARDS")
		if err == nil {
			err = json.Unmarshal([]byte(line), &held)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: SHARDS of %s: %w", errNodes, addr, err)
		}
		for _, h := range held {
			by[h.Shard] = append(by[h.Shard], addr)
		}
	}
	return by, nil
}

// comparison is what the stages of a comparison of all replicas know so far.
type comparison struct {
	addrs []string
	began time.Time
	wait  time.Duration
	by    map[int][]string // shard → the nodes that hold it
	found digests          // its Err ends the comparison
}

// compareStages compare all replicas. The list never changes.
var compareStages = []func(comparison) comparison{findHolders, compareHeld}

// compareDigests compares the digests of every shard on all nodes that hold it, again until they are at the same
// position or the time to wait is over.
func compareDigests(addrs []string, wait time.Duration) digests {
	k := comparison{addrs: addrs, began: time.Now(), wait: wait}
	for _, stage := range compareStages {
		if k.found.Err == nil {
			k = stage(k)
		}
	}
	k.found.Took = time.Since(k.began)
	return k.found
}

// findHolders asks which node holds which shards, again until all nodes have answered or the time to wait is over.
func findHolders(k comparison) comparison {
	k.by, k.found.Err = holders(k.addrs)
	for k.found.Err != nil && time.Since(k.began) < k.wait {
		time.Sleep(retryPause)
		k.by, k.found.Err = holders(k.addrs)
	}
	if k.found.Err == nil && len(k.by) == 0 {
		k.found.Err = fmt.Errorf("%w: none of them holds a shard", errNodes)
	}
	return k
}

// compareHeld compares the digests of the shards.
func compareHeld(k comparison) comparison {
	by, d, held := k.by, &k.found, slices.Sorted(maps.Keys(k.by))
	d.Shards = len(held)
	for i, shard := range held {
		if i == 0 && shard > 0 || i > 0 && shard != held[i-1]+1 {
			d.Unequal = append(d.Unequal, fmt.Sprintf("the shard before %d is held by nobody", shard))
		}
		for {
			first, differ := cluster.AskDigest(by[shard][0], shard), []string{}
			for _, addr := range by[shard][1:] {
				other := cluster.AskDigest(addr, shard)
				if first.Error+other.Error != "" || first.Role == other.Role || first.LSN != other.LSN ||
					first.Digest != other.Digest || first.Users != other.Users {
					differ = append(differ, fmt.Sprintf("shard %d: %s %+v, %s %+v", shard, by[shard][0], first, addr, other))
				}
			}
			if len(by[shard]) != 2 {
				differ = append(differ, fmt.Sprintf("shard %d is held by %v, not by two nodes", shard, by[shard]))
			}
			if len(differ) == 0 || time.Since(k.began) > k.wait {
				d.Users, d.Unequal = d.Users+first.Users, append(d.Unequal, differ...)
				break
			}
			time.Sleep(retryPause)
		}
	}
	return k
}
