package main

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/bench/cluster"
)

// Every trial of a disk hurts the data of one node only, or takes the power from nodes, and leaves every node running
// and every disk well.
func TestDiskTrials(t *testing.T) {
	names := []string{"db-0", "db-1", "db-2"}
	list := planTrials(7, diskKinds, 60, names)
	if len(list) != 60*len(diskKinds) {
		t.Fatalf("%d trials", len(list))
	}
	ways := map[string]map[string]bool{}
	for _, one := range list {
		stages, down, ill, hurt, way := diskStages[one.Kind](one, names), map[string]bool{}, map[string]bool{},
			map[string]bool{}, ""
		for _, now := range stages {
			for _, s := range now.Steps {
				if s.Node != "" && !slices.Contains(names, s.Node) || now.Wait < 0 {
					t.Fatalf("%+v: %+v", one, s)
				}
				switch way += s.Kind + " "; s.Kind {
				case cluster.FaultKill, cluster.FaultTerm:
					down[s.Node] = true
				case cluster.FaultStart, cluster.FaultLaunch, cluster.FaultRevive:
					down[s.Node] = false
				case cluster.FaultFlip, cluster.FaultPutBack:
					hurt[s.Node] = true
				case cluster.FaultIll:
					ill[s.Node] = true
					if s.Rule != lateSyncs {
						hurt[s.Node] = true
					}
				case cluster.FaultCure:
					delete(ill, s.Node)
				case cluster.FaultLose:
					delete(ill, s.Node)
					if !down[s.Node] {
						t.Errorf("%s: power is lost of a node that runs: %+v", one.Kind, stages)
					}
				}
				if s.Kind == cluster.FaultPutBack && !down[s.Node] {
					t.Errorf("%s: a folder is replaced under a node that runs: %+v", one.Kind, stages)
				}
				if s.Kind == cluster.FaultScrub && down[s.Node] {
					t.Errorf("%s: a node that is down is to read: %+v", one.Kind, stages)
				}
			}
		}
		if slices.Contains([]bool{down["db-0"], down["db-1"], down["db-2"]}, true) || len(ill) > 0 || len(hurt) > 1 ||
			len(hurt) == 1 && !hurt[one.Node] {
			t.Errorf("%s: down %v, ill %v, hurt %v: %+v", one.Kind, down, ill, hurt, stages)
		}
		if !stages[0].Whole || stages[0].Wait == 0 || len(hurt) == 0 && one.Kind != trialTorn &&
			one.Kind != trialLoneTorn {
			t.Errorf("%s hurts nothing: %+v", one.Kind, stages)
		}
		if ways[one.Kind] == nil {
			ways[one.Kind] = map[string]bool{}
		}
		ways[one.Kind][way] = true
	}
	for kind, least := range map[string]int{trialFlipLog: 4, trialFlipTable: 4, trialFlipCurrent: 4, trialOldCopy: 3,
		trialTorn: 2, trialSyncError: 3, trialWriteError: 2, trialLoneLog: 2} {
		if len(ways[kind]) < least {
			t.Errorf("%s goes in %d ways only: %v", kind, len(ways[kind]), ways[kind])
		}
	}
	again := planTrials(7, diskKinds, 60, names)
	if !slices.EqualFunc(list, again, func(a, b trial) bool {
		return a.Kind == b.Kind && a.Node == b.Node && a.Quiet == b.Quiet && a.Lasts == b.Lasts && a.Draw == b.Draw &&
			slices.Equal(a.Order, b.Order)
	}) {
		t.Error("the same seed makes other trials")
	}
	if first := slices.IndexFunc(list, func(one trial) bool { return isLone(one.Kind) }); len(roundOf(list,
		1000)) != first || len(roundOf(list[first:], 1000)) != 1 || len(roundOf(list, 20)) != 20 {
		t.Errorf("rounds of %d and %d trials", len(roundOf(list, 1000)), len(roundOf(list[first:], 1000)))
	}
}

func TestDiskKinds(t *testing.T) {
	for _, c := range []struct {
		words string
		want  int
	}{{"disk", 12}, {"disk-flip", 5}, {"disk-eio", 3}, {"disk-lone", 6}, {"slow", 2}, {"kill,disk-torn", 2},
		{"kill,hang,disk-full", 4}} {
		got, err := kindsOf(strings.Split(c.words, ","))
		if err != nil || len(got) != c.want {
			t.Errorf("%s: %v, %v", c.words, got, err)
		}
		for _, kind := range got {
			if _, known := lengths[kind]; !known || isDisk(kind) != (diskStages[kind] != nil) {
				t.Errorf("%s is not a kind of fault", kind)
			}
		}
	}
	for _, bad := range []string{"", "dis", "disk-", "flood", "disk-flip-"} {
		if got, err := kindsOf([]string{bad}); !errors.Is(err, errSettings) {
			t.Errorf("%q: %v, %v", bad, got, err)
		}
	}
}

func TestJudgeDisk(t *testing.T) {
	for _, c := range []struct {
		kind string
		f    found
		want int
	}{
		{trialFlipLog, found{}, 0},
		{trialFlipLog, found{Must: true}, 1},
		{trialFlipLog, found{Must: true, Named: "level=ERROR"}, 0},
		{trialFlipLog, found{Must: true, Named: "level=ERROR", Unsync: "not in sync"}, 1},
		{trialFlipLog, found{Must: true, Unsync: "not in sync"}, 2},
		{trialLoneLog, found{Must: true, Named: "level=ERROR", Unsync: "not in sync"}, 0},
		{trialLoneLog, found{Unsync: "not in sync"}, 1},
		{trialLoneTorn, found{Named: "level=ERROR", Unsync: "not in sync"}, 1},
		{trialLoneCopy, found{Must: true}, 1},
		{trialReadError, found{Must: true, Named: "level=ERROR", Ended: 1}, 1},
		{trialReadError, found{Must: true, Named: "level=ERROR", Ended: 1, Abort: "rocksdb::"}, 1},
		{trialWriteError, found{Must: true, Named: "level=ERROR", Ended: 1}, 1},
		{trialWriteError, found{Must: true, Ended: 1, Abort: "rocksdb::"}, 0},
		{trialFull, found{Must: true, Named: "level=ERROR", False: "level=ERROR"}, 1},
	} {
		if got := judgeDisk(c.kind, c.f); len(got) != c.want {
			t.Errorf("%s %+v: %v", c.kind, c.f, got)
		}
	}
}

func TestAbortIn(t *testing.T) {
	abort := "node: ./file/writable_file_writer.h:312: rocksdb::IOStatus rocksdb::WritableFileWriter::" +
		"AssertFalseAndGetStatusForPrevError(): Assertion `sync_without_flush_called_' failed."
	if got := abortIn([]byte("level=INFO\n" + abort + "\nSIGABRT: abort\n")); got != abort {
		t.Errorf("found %q", got)
	}
	if got := abortIn([]byte("level=ERROR msg=\"rocksdb::\"\npanic: Assertion `x' failed\n")); got != "" {
		t.Errorf("found %q", got)
	}
}

func TestNamedIn(t *testing.T) {
	log := `level=INFO msg=view shard=1
level=WARN msg="CURRENT was damaged or missing; it names the only manifest again"
level=ERROR msg="a write failed" error="IO error: No space left on device"
level=ERROR msg="the store cannot be used; it is set aside" reason="the store is an old copy of itself: …"
`
	for kind, want := range map[string]string{trialFlipTable: "CURRENT", trialLoneLog: "CURRENT", trialFull: "No space",
		trialSyncError: "IO error", trialOldCopy: "old copy", trialLoneCopy: "old copy", trialKill: ""} {
		if got := namedIn([]byte(log), kind); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q", kind, got)
		}
	}
	for _, line := range []string{"the write-ahead log is damaged: writes", "the data of a shard is damaged",
		"the data of shards is damaged; they are filled again", "Raft's saved state is damaged; the store",
		"the store cannot be opened as it is", "the store cannot be used; it is set aside, and a new one begins",
		`a shard cannot be read" error="store: Corruption: block`} {
		if namedIn([]byte(line+"\n"), trialFlipLog) == "" {
			t.Errorf("not told by %q", line)
		}
	}
	for _, line := range []string{`a user cannot be read" error="IO error"`, "a node cannot be reached",
		"the disk refuses writes"} {
		if got := namedIn([]byte(line+"\n"), trialFlipLog); got != "" {
			t.Errorf("told by %q", got)
		}
	}
}

func TestFalseIn(t *testing.T) {
	log := "level=ERROR msg=\"the store cannot be opened as it is\"\n" +
		"level=ERROR msg=\"the write-ahead log is damaged: writes\"\n"
	for kind, want := range map[string]string{
		trialFull: "the write-ahead", trialTorn: "the write-ahead", trialReadError: "the write-ahead",
		trialLoneTorn: "the write-ahead", trialFlipLog: "", trialLoneTable: "", trialOldCopy: "", trialLoneCopy: ""} {
		if got := falseIn([]byte(log), kind); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q", kind, got)
		}
	}
}

func TestNoteDown(t *testing.T) {
	f := found{}
	for _, n := range []cluster.Note{{Text: "EIO of all"}, {Text: "3 calls met it", Hits: 3},
		{Text: cluster.EndedMark + "meanwhile: killed"}, {}} {
		f = noteDown(f, trialWriteError, n)
	}
	if !f.Must || f.Hits != 3 || f.Ended != 1 || len(f.Notes) != 3 {
		t.Errorf("%+v", f)
	}
	for _, kind := range []string{trialSlowSync, trialTorn, trialLoneTorn} {
		if f = noteDown(found{}, kind, cluster.Note{Hits: 3}); f.Must {
			t.Errorf("%s: a disk that was slow is nothing that a node must tell of", kind)
		}
	}
}

// The rounds' faults of disks are added up by kind, and numbered in the run.
func TestDisksAreReported(t *testing.T) {
	r := chaosReport{Faults: 4, Kinds: map[string]faultCost{}, Disks: map[string]diskFaultCost{}}
	one := report{Faults: []faultReport{{event: event{Kind: trialTorn}}, {event: event{Kind: trialTorn, Heal: true,
		Disk: &found{Whole: time.Second}}}, {event: event{Kind: trialFlipLog}},
		{event: event{Kind: trialFlipLog, Heal: true}}, {event: event{Kind: trialFlipLog, Heal: true,
			Disk: &found{Must: true, Ended: 2, Wrong: []string{"it says nothing"}, Notes: []string{"bit 3"}}}}}}
	r = addRound(r, one, nil)
	if r.Faults != 6 || len(r.Trials) != 2 || r.Trials[1].Number != 6 ||
		r.Disks[trialFlipLog] != (diskFaultCost{Tried: 1,
			Met: 1, Ended: 1, Bad: 1}) || r.Disks[trialTorn].Whole != time.Second {
		t.Errorf("%+v", r)
	}
	if text := disksText(r); !strings.Contains(text, "fault 6, disk-flip-wal: it says nothing (bit 3)") {
		t.Error(text)
	}
}

// What would hit the only copy of a shard is not done, and is no trial, but for the kinds that are about that.
func TestTheOnlyCopyIsSpared(t *testing.T) {
	for _, kind := range diskKinds {
		for draw := range uint64(256) {
			one := trial{Kind: kind, Node: "db-1", Draw: draw * 0x0101010101010101, Order: []int{0, 1, 2}}
			for _, now := range diskStages[kind](one, []string{"db-0", "db-1", "db-2"}) {
				for _, s := range now.Steps {
					if hurts := s.Kind == cluster.FaultFlip || s.Kind == cluster.FaultPutBack; hurts && s.Spare == isLone(kind) {
						t.Fatalf("%s, draw %d: %+v", kind, draw, s)
					}
				}
			}
		}
	}
	f := noteDown(found{Must: true}, trialOldCopy, cluster.Note{Text: "why", Spared: "why"})
	if f.Spared != "why" || f.Must || len(judgeDisk(trialOldCopy, f)) > 0 {
		t.Errorf("%+v", f)
	}
	r := addDisks(chaosReport{Disks: map[string]diskFaultCost{}}, []faultReport{{event: event{Kind: trialOldCopy, Disk: &f}}})
	if got := r.Disks[trialOldCopy]; got.Tried != 0 || got.Spared != 1 {
		t.Errorf("%+v", got)
	}
}

func TestLastLine(t *testing.T) {
	for text, want := range map[string]string{
		"process db-1 (exit status 1; the end of x/db-1.log:\n  level=INFO msg=a\n" +
			"  node: store: Corruption\n) ended before it served": "node: store: Corruption",
		"it does not serve": "it does not serve",
		"process db-1: died by itself: db-1 (exit status 2; the end of x:\n  panic\n)": "panic"} {
		if got := cluster.LastLine(errors.New(text)); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}
