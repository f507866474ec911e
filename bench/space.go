package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"tandem/bench/cluster"
)

// spaceCommand measures how much of the disk the users take.
type spaceCommand struct {
	Users  uint64 `help:"Users to create in a cluster of its own; 0 measures the one at --target." default:"0"`
	Nodes  int    `help:"Nodes of the own cluster; 0: 3." default:"0"`
	Bin    string `help:"Folder of the binaries node and gateway (default: that of bench)." type:"path"`
	Dir    string `help:"Folder of the cluster's data: that of bench cluster (default: data), or where its own is to be (default: tandem-space in the folder for temporary files)." type:"path"`
	Target string `help:"URL of the gateway (default: http://127.0.0.1:8080)."`
}

// Run prints bytes on disk, bytes of JSON, and their ratio.
func (c spaceCommand) Run(e ending) error {
	dir, nodes := c.Dir, cmp.Or(c.Nodes, cells.Nodes)
	target, wrong := parseTarget(cmp.Or(c.Target, localTarget))
	err := firstOf(wrong, checkWithin("--users", float64(c.Users), 0, mostUsers),
		checkCluster("--nodes", nodes, cells.Shards))
	if own := c.Users > 0; err == nil && (own && c.Target != "" || !own && (c.Nodes != 0 || c.Bin != "")) {
		err = fmt.Errorf("%w: --users measures a cluster of its own, with --nodes and --bin; "+
			"without it the one at --target is measured: give the flags of one of the two", errSettings)
	}
	if err != nil {
		return err
	}
	if dir == "" {
		dir = map[bool]string{false: "data", true: filepath.Join(os.TempDir(), "tandem-space")}[c.Users > 0]
	}
	if c.Users > 0 {
		l := cluster.OpenOwn(cluster.OwnSettings{Nodes: nodes, Shards: cells.Shards, Bin: c.Bin, Dir: dir,
			Early: e.Early, Running: e.Clusters})
		defer l.End()
		if l.Err != nil {
			return l.Err
		}
		target = "http://" + l.Plan.HTTP
		way := newClient(target, loaders, true, fillTimeout, time.Now())
		defer way.Close()
		way.Early = e.Early
		if err := fillUsers(way, 1, 0, c.Users, loaders); err != nil {
			return err
		}
	} else if _, files, err := diskUse(dir); err != nil || files == 0 {
		return fmt.Errorf("%w: there is no data of nodes in --dir %s: %w",
			errSettings, dir, cmp.Or(err, os.ErrNotExist))
	}
	reader := newClient(target, 1, true, pageTimeout, time.Now())
	defer reader.Close()
	reader.Early = e.Early
	b := weighUsers(reader)
	if b.Err != nil {
		return b.Err
	}
	used, files, err := diskUse(dir)
	if err != nil {
		return err
	}
	if b.Bytes == 0 || files == 0 {
		return fmt.Errorf("%w: there are no users at %s, or no data in %s", errSettings, target, dir)
	}
	_, err = fmt.Printf("users         %d\nJSON as sent  %d bytes, %.1f a user\n"+
		"on disk       %d bytes, %.1f a user, write log and both replicas included\nratio         %.2f\n",
		b.Users, b.Bytes, float64(b.Bytes)/float64(b.Users), used, float64(used)/float64(b.Users),
		float64(used)/float64(b.Bytes))
	return err
}

// bulk is how much JSON all users are.
type bulk struct {
	Users, Bytes uint64
	Err          error
}

// weighUsers walks over all users and adds up their JSON as a create sends it.
func weighUsers(c client) bulk {
	b := bulk{}
	for url := c.target + "/api/user?after=&limit=1000"; url != "" && b.Err == nil; {
		page, answer, err := fetchPage(c, url)
		if b.Err = err; err == nil {
			url = nextPage(answer)
		}
		for _, u := range page {
			text, _ := json.Marshal(u) // a user is always fit for JSON
			b.Users, b.Bytes = b.Users+1, b.Bytes+uint64(len(text))
		}
	}
	return b
}

// diskUse adds up what the files of all nodes take of the disk, as the file system has set it aside.
func diskUse(dir string) (bytes uint64, files int, err error) {
	nodes, err := filepath.Glob(filepath.Join(dir, "db-*"))
	for _, node := range nodes {
		if strings.HasSuffix(node, ".log") || strings.HasSuffix(node, ".pid") {
			continue
		}
		walkErr := filepath.WalkDir(node, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := entry.Info()
			if err != nil {
				return nil // RocksDB removed it meanwhile
			}
			if stat, ok := info.Sys().(*syscall.Stat_t); ok {
				bytes, files = bytes+uint64(stat.Blocks)*512, files+1
			}
			return nil
		})
		if err == nil {
			err = walkErr
		}
	}
	return bytes, files, err
}
