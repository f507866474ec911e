package main

import (
	"log/slog"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"tandem/shard"
	"tandem/shard/views"
	"tandem/wire/proc"
)

// councilRoom opens a store in dir with the loops that a council needs.
func councilRoom(t *testing.T, dir string, l shard.Layout, self int) *Room {
	t.Helper()
	c := Config{Data: dir, Shards: l.Shards, CacheMB: 1, WalKeepMB: 64}
	room := newRoom(c, l, make([]Member, l.Nodes), self, proc.Output{}, slog.New(slog.DiscardHandler))
	st, err := openForTest(c)
	if err == nil {
		st, err = addFamilies(st, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	room.Store = st
	room.Pulse, room.Index = make(chan beat, 1<<16), make(chan indexNote, 1<<16) // whose loops do not run
	return room
}

func TestFactsShareABatchWithShards(t *testing.T) {
	entries := someEntries()
	one := buildPart(testLayout, 5, 9, entries, false, &buckets{}, 1234)
	facts := buildFacts(7, []views.SavedEntry{{Key: "e\x00\x01", Value: []byte("entry")}, {Key: "e\x00\x02", Delete: true},
		{Key: "h", Value: nil}}, nil)
	want := []Logged{{Shard: 5, Stamp: 1234, Entries: entries}}
	for _, parts := range [][]Part{{facts, one}, {one, facts}, {facts, one, facts}} {
		got, err := readBatch(joinParts(nil, parts), nil)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v\n got %+v\nwant %+v", err, got, want)
		}
	}
	if got, err := readBatch(joinParts(nil, []Part{facts}), nil); err != nil || len(got) != 0 {
		t.Errorf("%v %v", got, err)
	}
}

func TestFactsAreReadBackInOrder(t *testing.T) {
	room := councilRoom(t, t.TempDir(), testLayout, 0)
	write := func(facts ...views.SavedEntry) {
		if err := writeBatch(room.Store, joinParts(nil, []Part{buildFacts(room.Store.raftID, facts, nil)})); err != nil {
			t.Fatal(err)
		}
	}
	write(views.SavedEntry{Key: "s", Value: []byte("1")}, views.SavedEntry{Key: "e2", Value: []byte("2")},
		views.SavedEntry{Key: "e1", Value: []byte{}})
	write(views.SavedEntry{Key: "e3", Value: []byte("3")}, views.SavedEntry{Key: "e3", Delete: true},
		views.SavedEntry{Key: "e2", Delete: true}, views.SavedEntry{Key: "e2", Value: []byte("4")})
	got, err := readFacts(room.Store)
	want := []views.SavedEntry{{Key: "e1", Value: []byte{}}, {Key: "e2", Value: []byte("4")}, {Key: "s",
		Value: []byte("1")}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\n got %+v\nwant %+v", err, got, want)
	}
}

// TestCouncilLoopsAgree runs three councils on real disks: they are born, elect, decide, go on without a leader whose
// disk is sick, and what they stored is enough to start from.
func TestCouncilLoopsAgree(t *testing.T) {
	l := shard.Layout{Nodes: 3, Shards: 6}
	rooms, desks, members := make([]*Room, 3), make([]*CouncilDesk, 3), make([]uint64, 3)
	for i := range rooms {
		rooms[i] = councilRoom(t, t.TempDir(), l, i)
		var err error
		if members[i], err = memberID(i, Facts{Store: uuid.NewString()}); err != nil || shard.NodeOf(members[i]) != i {
			t.Fatal(members[i], err)
		}
		rooms[i].Member = members[i]
	}
	born := make(chan []views.SavedEntry, 3)
	heard := make([]chan heardGreeting, 3)
	for i, room := range rooms {
		heard[i] = make(chan heardGreeting, 16)
		go func() {
			steps := make(chan opened, 1)
			awaitBirth(room, unwritten(nil), heard[i], steps)
			all := <-steps
			if all.err != nil {
				t.Error(all.err)
			}
			born <- all.saved
		}()
	}
	for i := range rooms {
		heard[0] <- heardGreeting{i, shard.Greeting{Member: members[i]}}
	}
	facts := <-born
	for i := 1; i < 3; i++ {
		heard[i] <- heardGreeting{0, shard.Greeting{Member: members[0], Founders: members}}
		if again := <-born; !reflect.DeepEqual(again, facts) {
			t.Fatal("two births differ")
		}
	}
	start := func(i int, member uint64) {
		facts, err := readFacts(rooms[i].Store)
		if err != nil {
			t.Fatal(err)
		}
		c, err := views.Load(views.Process{Member: member, Start: views.Start{Number: 1, Nonce: member},
			Least: views.InitialVersion, Most: views.InitialVersion, Rules: views.EntryRules}, l, views.DefaultTiming,
			facts, clock())
		if err != nil {
			t.Fatal(err)
		}
		desks[i] = newCouncilDesk(c, 1)
		go runDisk(rooms[i], unwritten(nil))
		go runCouncil(rooms[i], desks[i])
	}
	for i := range rooms {
		start(i, members[i])
	}
	link := func(from, to *CouncilDesk, node int) {
		for data := range from.Out[node] {
			to.In <- data
		}
	}
	for i, from := range desks {
		for j, to := range desks {
			if i != j {
				from.Greets <- greeted{Node: j, Up: true}
				go link(from, to, j)
			}
		}
	}
	for i, d := range desks {
		v := shard.InitialView(l, i)
		v.Epoch, v.InSync = 2, false
		until := time.After(5 * time.Second)
		for done := false; !done; {
			select {
			case d.Asks <- []shard.Proposal{{Shard: i, Epoch: 1, View: v}}:
			case b := <-d.Books[0]:
				done = b.Views[i] == v
			case <-until:
				t.Fatalf("node %d: no agreement", i)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	ask := func(d *CouncilDesk) CouncilState {
		reply := make(chan CouncilState, 1)
		d.Inspect <- reply
		return <-reply
	}
	for i, d := range desks {
		if s := ask(d); s.Member != members[i] || s.Lead == 0 || s.Term < 2 || s.Sick != "" ||
			!slices.Equal(s.Book.Members, members) {
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
	lead := shard.NodeOf(ask(desks[0]).Lead)
	other := desks[(lead+1)%3]
	desks[lead].Sick <- "no space"
	await("a sick leader leads on", func() bool { s := ask(other); return s.Lead != 0 && s.Lead != members[lead] })
	if s := ask(desks[lead]); s.Sick != "no space" {
		t.Errorf("the sick node says %+v", s)
	}
	desks[lead].Sick <- ""
	await("a node that is well again does not follow",
		func() bool { s := ask(desks[lead]); return s.Lead == ask(other).Lead && s.Sick == "" })
	for i, d := range desks {
		stored, err := readFacts(rooms[i].Store)
		if err != nil {
			t.Fatal(err)
		}
		c, err := views.Load(views.Process{Member: members[i], Start: views.Start{Number: 2},
			Least: views.InitialVersion, Most: views.InitialVersion, Rules: views.EntryRules}, l, views.DefaultTiming,
			stored, clock())
		if err != nil {
			t.Fatal(err)
		}
		c, _ = views.Step(c, &views.Event{Kind: views.Ticked, Now: clock()}, nil)
		if book := ask(d).Book; c.State.Index < 2 || c.State.Index > book.Index {
			t.Errorf("node %d would start with book %d of %d", i, c.State.Index, book.Index)
		}
	}
}
