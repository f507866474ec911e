package main

import (
	"log/slog"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"tandem/node/store"
	"tandem/shard"
	"tandem/shard/views"
	"tandem/wire/proc"
)

// serviceWiring opens a store in dir with the loops that the view service needs.
func serviceWiring(t *testing.T, dir string, l shard.Layout, self int) *wiring {
	t.Helper()
	c := config{Data: dir, Shards: l.Shards, CacheMB: 1}
	wiring := newWiring(c, l, make([]member, l.Nodes), self, proc.Output{}, slog.New(slog.DiscardHandler))
	db, err := openForTest(storeOptions(c))
	if err == nil {
		db, err = store.AddFamilies(db, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	wiring.DB = db
	wiring.Health, wiring.Index = make(chan diskReport, 1<<16), make(chan indexNote, 1<<16) // whose loops do not run
	return wiring
}

// TestViewServicesAgree runs three view services on real disks: they are bootstrapped, elect, decide, go on without a
// leader whose disk is unhealthy, and what they stored is enough to start from.
func TestViewServicesAgree(t *testing.T) {
	l := shard.Layout{Nodes: 3, Shards: 6}
	wirings, handles, members := make([]*wiring, 3), make([]*viewsHandle, 3), make([]uint64, 3)
	for i := range wirings {
		wirings[i] = serviceWiring(t, t.TempDir(), l, i)
		var err error
		if members[i], err = store.MemberID(i, store.Identity{Store: uuid.NewString()}); err != nil ||
			shard.NodeOf(members[i]) != i {
			t.Fatal(members[i], err)
		}
		wirings[i].Member = members[i]
	}
	founded := make(chan []views.SavedEntry, 3)
	heard := make([]chan heardGreeting, 3)
	for i, wiring := range wirings {
		heard[i] = make(chan heardGreeting, 16)
		go func() {
			s := awaitBootstrap(starting{wiring: wiring, log: logFor(t, wiring), heard: heard[i],
				over: make(chan struct{})})
			if s.err != nil {
				t.Error(s.err)
			}
			founded <- s.saved
		}()
	}
	for i := range wirings {
		heard[0] <- heardGreeting{i, shard.Greeting{Member: members[i]}}
	}
	saved := <-founded
	for i := 1; i < 3; i++ {
		heard[i] <- heardGreeting{0, shard.Greeting{Member: members[0], Founders: members}}
		if again := <-founded; !reflect.DeepEqual(again, saved) {
			t.Fatal("two bootstraps differ")
		}
	}
	start := func(i int, member uint64) {
		saved, err := store.ReadSaved(wirings[i].DB)
		if err != nil {
			t.Fatal(err)
		}
		c, err := views.Load(views.Process{Member: member, Start: views.Start{Number: 1, Nonce: member},
			Least: views.InitialVersion, Most: views.InitialVersion, Rules: views.EntryRules}, l, views.DefaultTiming,
			saved, proc.Clock())
		if err != nil {
			t.Fatal(err)
		}
		handles[i] = newViewsHandle(c, 1)
		go runDisk(&wirings[i].Node, &wirings[i].Handles, &wirings[i].Storage, logFor(t, wirings[i]))
		go runViewService(&wirings[i].Node, &wirings[i].Storage, handles[i])
	}
	for i := range wirings {
		start(i, members[i])
	}
	link := func(from, to *viewsHandle, node int) {
		for data := range from.Out[node] {
			to.In <- data
		}
	}
	for i, from := range handles {
		for j, to := range handles {
			if i != j {
				from.Greets <- greeted{Node: j, Up: true}
				go link(from, to, j)
			}
		}
	}
	for i, d := range handles {
		v := shard.InitialView(l, i)
		v.Epoch, v.InSync = 2, false
		until := time.After(5 * time.Second)
		for done := false; !done; {
			select {
			case d.Asks <- []shard.Proposal{{Shard: i, Epoch: 1, View: v}}:
			case b := <-d.States[0]:
				done = b.Views[i] == v
			case <-until:
				t.Fatalf("node %d: no agreement", i)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	ask := func(d *viewsHandle) viewsReport {
		reply := make(chan viewsReport, 1)
		d.Inspect <- reply
		return <-reply
	}
	for i, d := range handles {
		if s := ask(d); s.Member != members[i] || s.Lead == 0 || s.Term < 2 || s.Unhealthy != "" ||
			!slices.Equal(s.State.Members, members) {
			t.Errorf("node %d says %+v", i, s)
		}
	}
	await := func(what string, is func() bool) {
		t.Helper()
		for until := time.Now().Add(5 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(until) {
				t.Fatal(what)
			}
		}
	}
	lead := shard.NodeOf(ask(handles[0]).Lead)
	other := handles[(lead+1)%3]
	handles[lead].Unhealthy <- "no space"
	await("an unhealthy leader leads on", func() bool {
		s := ask(other)
		return s.Lead != 0 && s.Lead != members[lead]
	})
	if s := ask(handles[lead]); s.Unhealthy != "no space" {
		t.Errorf("the unhealthy node says %+v", s)
	}
	handles[lead].Unhealthy <- ""
	await("a node that is healthy again does not follow",
		func() bool { s := ask(handles[lead]); return s.Lead == ask(other).Lead && s.Unhealthy == "" })
	for i, d := range handles {
		stored, err := store.ReadSaved(wirings[i].DB)
		if err != nil {
			t.Fatal(err)
		}
		c, err := views.Load(views.Process{Member: members[i], Start: views.Start{Number: 2},
			Least: views.InitialVersion, Most: views.InitialVersion, Rules: views.EntryRules}, l, views.DefaultTiming,
			stored, proc.Clock())
		if err != nil {
			t.Fatal(err)
		}
		c, _ = views.Step(c, &views.Event{Kind: views.Ticked, Now: proc.Clock()}, nil)
		if state := ask(d).State; c.State.Index < 2 || c.State.Index > state.Index {
			t.Errorf("node %d would start with state %d of %d", i, c.State.Index, state.Index)
		}
	}
}
