package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/shard"
	"tandem/wire"
	"tandem/wire/proc"
)

// configsOf makes the settings of three nodes with free ports, and the listeners there. Its times are long: on a busy
// machine the three, which share a process, would take each other for dead, and no test here is about that.
func configsOf(t testing.TB) ([]config, []net.Listener) {
	configs, listeners, names := make([]config, 3), make([]net.Listener, 3), make([]string, 3)
	for i := range listeners {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		listeners[i], names[i] = l, fmt.Sprintf("db-%d=%s", i, l.Addr())
	}
	for i, l := range listeners {
		dir, err := os.MkdirTemp("", "tandem")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		configs[i] = config{Name: fmt.Sprintf("db-%d", i), Listen: l.Addr().String(), Data: filepath.Join(dir, "data"),
			Nodes: strings.Join(names, ","), Cluster: "test", Shards: 24, CacheMB: 8, UnreadMB: 64, UnreadEachMB: 8,
			WalKeepMB: 64, RepairMB: 16, Lease: 2 * time.Second, Grace: 2200 * time.Millisecond,
			Silent: 5 * time.Second, SlowDisk: 5 * time.Second,
			LeaveFor: time.Second, MaxConnections: 256}
	}
	return configs, listeners
}

// startCluster runs three nodes in this process, on free ports.
func startCluster(t testing.TB) []*wiring {
	configs, listeners := configsOf(t)
	wirings, started := make([]*wiring, 3), make(chan *wiring)
	for i, l := range listeners {
		go func() { started <- startNode(t, configs[i], l) }()
	}
	for range wirings {
		wiring := <-started
		if wiring == nil {
			t.FailNow()
		}
		wirings[wiring.Self] = wiring
	}
	for _, wiring := range wirings {
		for ready := false; !ready; time.Sleep(time.Millisecond) {
			ready = true
			// bootstrap: the leaders pass a view in which they are alone, and go back to where placement wants them
			for _, h := range holdings(&wiring.Node, &wiring.Handles) {
				ready = ready && h.Error == "" && h.InSync && (h.Role == "leader") == (shard.InitialView(testLayout,
					h.Shard).Leader == wiring.Self)
			}
		}
	}
	return wirings
}

// startNode runs a node in this process as main does; nil if it cannot.
func startNode(t testing.TB, c config, l net.Listener) *wiring {
	members, self, err := check(c)
	if err != nil {
		t.Error(err)
		return nil
	}
	layout := shard.Layout{Nodes: len(members), Shards: c.Shards}
	s := starting{wiring: newWiring(c, layout, members, self, proc.Output{}, slog.New(slog.DiscardHandler)),
		held: heldBy(layout, self)}
	if s = runStages(s, openingStages[:]); s.err == nil {
		served := make(chan starting, 1)
		serve(s, l, served)
		s = <-served
	}
	if s.err != nil {
		t.Error(s.err)
		return nil
	}
	return s.wiring
}

func TestWhoGreetsTooEarlyComesAgainWhenTheNodeOpens(t *testing.T) {
	configs, listeners := configsOf(t)
	started := make(chan *wiring)
	go func() { started <- startNode(t, configs[0], listeners[0]) }()
	members, self, err := check(configs[0])
	if err != nil {
		t.Fatal(err)
	}
	early := connect(t, newWiring(configs[0], testLayout, members, self, proc.Output{}, nil))
	if m := early.ask(&wire.Message{Kind: wire.Get, ID: 2, Record: wire.Record{ID: "13AE742"}}); m.Kind != wire.Error ||
		m.Code != wire.Unavailable {
		t.Fatalf("expected that a node that waits for the others serves nothing, found %+v", m)
	}
	for i := 1; i < 3; i++ {
		go func() { started <- startNode(t, configs[i], listeners[i]) }()
	}
	if _, err := wire.ReadFrame(early.in, nil); !errors.Is(err, io.EOF) {
		t.Errorf("expected the end of a connection that was greeted before the node opened, found %v", err)
	}
	for range configs {
		if <-started == nil {
			t.FailNow()
		}
	}
}

// A data folder that is a link to nothing is named with what it links to.
func TestADataFolderThatIsALinkToNothing(t *testing.T) {
	link := filepath.Join(t.TempDir(), "data")
	if err := os.Symlink("/nowhere", link); err != nil {
		t.Fatal(err)
	}
	s := readFolder(starting{wiring: &wiring{Node: Node{Config: config{Data: link}}}})
	if s.err == nil || !strings.Contains(s.err.Error(), link+" is a symbolic link to /nowhere") {
		t.Error(s.err)
	}
}
