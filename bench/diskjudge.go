package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"tandem/bench/cluster"
)

// errDisk is the class of a trial of a disk that a node has failed.
var errDisk = errors.New("a fault of a disk")

// found is what a trial of a disk has shown.
type found struct {
	Notes  []string      `json:"notes"`            // what was done exactly
	Hits   uint64        `json:"hits,omitempty"`   // calls that failed
	Ended  int           `json:"ended,omitempty"`  // how often the node ended by itself, and was started again
	Must   bool          `json:"must"`             // it has met what it must tell of
	Named  string        `json:"named,omitempty"`  // the first line of its log that tells of it
	False  string        `json:"false,omitempty"`  // the first line of its log that tells of damage where none was done
	Whole  time.Duration `json:"whole,omitempty"`  // from the last step until all was in sync
	Unsync string        `json:"unsync,omitempty"` // why it was not in the end
	Abort  string        `json:"abort,omitempty"`  // the assertion of RocksDB that has ended the node
	Spared string        `json:"spared,omitempty"` // why its data was left as it was, so that this was no trial
	Wrong  []string      `json:"wrong,omitempty"`
}

// telling are the words by which a node's log names what has happened to its disk, by the prefix of the kind of trial.
// The table never changes.
var telling = []struct {
	Kind  string
	Words *regexp.Regexp
}{
	{"disk-flip-", damageWords}, {"disk-lone-copy", oldWords}, {"disk-lone-", damageWords}, {"disk-old-copy", oldWords},
	{"disk-full", regexp.MustCompile(`(?i)no space`)},
	{"disk-", regexp.MustCompile(`(?i)input/output|i/o error|io error|no space`)},
}

var (
	damageWords = regexp.MustCompile(`CURRENT was damaged|write-ahead log is damaged|data of (a shard|shards) is damaged|` +
		`Raft's saved state is damaged|store cannot be (opened as it is|used)|(shard|user) cannot be read.*Corruption: `)
	oldWords = regexp.MustCompile(`the store is an old copy of itself`)
)

// namedIn returns the first line of a node's log that tells of what a kind of trial has done to its disk.
func namedIn(log []byte, kind string) string {
	for _, t := range telling {
		if !strings.HasPrefix(kind, t.Kind) {
			continue
		}
		for line := range bytes.Lines(log) {
			if t.Words.Match(line) {
				return string(bytes.TrimSpace(line))
			}
		}
		return ""
	}
	return ""
}

// lossWords are those of damageWords with which a node gives up data; an opening that goes on with all of it is none.
var lossWords = regexp.MustCompile(`log is damaged|data of (a shard|shards) is damaged|` +
	`saved state is damaged|store cannot be used`)

// falseIn returns the first line of a node's log that tells of damaged data although no file was changed in its kind of
// trial.
func falseIn(log []byte, kind string) string {
	if flips[kind] != "" || kind == trialOldCopy || kind == trialLoneCopy {
		return ""
	}
	for line := range bytes.Lines(log) {
		if lossWords.Match(line) {
			return string(bytes.TrimSpace(line))
		}
	}
	return ""
}

// refusing are the kinds in which the disk refuses writes or syncs. Debian builds RocksDB with its assertions, one of
// which fails where a write of the OPTIONS file is refused: no program can prevent that; a supervisor starts it again.
var refusing = []string{trialWriteError, trialSyncError, trialShort, trialFull}

// abortIn returns the assertion of RocksDB with which a node's log ends a process, "" if there is none.
func abortIn(log []byte) string {
	for line := range bytes.Lines(log) {
		if bytes.Contains(line, []byte("rocksdb::")) && bytes.Contains(line, []byte("Assertion `")) {
			return string(bytes.TrimSpace(line))
		}
	}
	return ""
}

// judgeDisk lists what is wrong with what a trial of a disk has shown. Where both copies may be hit, a lone leader's
// that is, the cluster need not be in sync if the node tells why. Whether all that was answered can be right the
// histories say.
func judgeDisk(kind string, f found) []string {
	wrong := []string{}
	aborted := f.Abort != "" && slices.Contains(refusing, kind)
	if f.Ended > 0 && !aborted {
		wrong = append(wrong, "the node ended by itself")
	}
	if f.False != "" {
		wrong = append(wrong, "the node tells of damage that nobody has done: "+f.False)
	}
	if f.Must && f.Named == "" && !aborted {
		wrong = append(wrong, "the node does not say what it found")
	}
	if f.Unsync != "" && (!isLone(kind) || kind == trialLoneTorn || f.Named == "") {
		wrong = append(wrong, f.Unsync)
	}
	return wrong
}

// logSize returns how long a node's log is.
func logSize(p cluster.Plan, node string) int64 {
	info, err := os.Stat(filepath.Join(p.Dir, node+".log"))
	if err != nil {
		return 0
	}
	return info.Size()
}

// logSince returns a node's log from a place on, and its STATUS.
func logSince(p cluster.Plan, node string, from int64) []byte {
	text, err := os.ReadFile(filepath.Join(p.Dir, node+".log"))
	if err != nil {
		return nil
	}
	status, _ := cluster.AskLine(p.Addrs[slices.Index(p.Names, node)], "STATUS") // of a node that is down there is none
	return append(text[min(from, int64(len(text))):], status...)
}

// loneSettle is how long a cluster may take until it is in sync after a lone leader's data was damaged. It need not
// succeed.
const loneSettle = 10 * time.Second

// tryDiskFault makes a trial of a disk. Nothing else is wrong with the cluster when it begins, so that it hits one
// copy only. When quit is closed the rules of all disks end, all nodes are started, and nothing is judged.
func tryDiskFault(r trialRun, done chan<- error) {
	t, at, quit := r.trial, r.at, r.quit
	f, flip := found{Must: t.Kind == trialOldCopy || t.Kind == trialLoneCopy}, cluster.Flipped{}
	from, failed := logSize(at.Plan, t.Node), error(nil)
	folder, list, withdrawn := filepath.Join(at.Plan.Dir, t.Node), diskStages[t.Kind](t, at.Plan.Names), false
	// what the older copy serves without the newer one counts, too
	for i := 0; i < len(list) && (failed == nil || isLone(t.Kind)); i++ {
		ready := make(chan error, 1)
		go awaitStage(list[i], at, ready)
		select {
		case err := <-ready:
			if err != nil { // nothing has been done yet, or the node has passed what was done before
				done <- err
				return
			}
		case <-quit:
			list, quit, withdrawn = append(list[:i:i], withdrawal(at.Plan.Names)...), nil, true
		}
		now := list[i]
		if first := now.Steps[0]; first.Kind == cluster.FaultStart && flip.Must {
			f.Must = f.Must || cluster.FlippedFile(folder, flip) != ""
		}
		e, results := event{Kind: t.Kind, Text: now.Steps[0].Text(), Heal: i > 0, At: time.Since(r.begin)},
			make(chan cluster.Note, len(now.Steps))
		for _, s := range now.Steps {
			go cluster.DoDiskStep(at, s, results)
		}
		for range now.Steps {
			n := <-results
			if f = noteDown(f, t.Kind, n); n.Flip.Path != "" {
				flip = n.Flip
			}
			if n.Err != nil && failed == nil {
				failed = fmt.Errorf("%s: %s", e.Text, cluster.LastLine(n.Err))
			}
		}
		e.Took = time.Since(r.begin) - e.At
		r.events <- e
	}
	if withdrawn {
		done <- nil
		return
	}
	last := event{Kind: t.Kind, Text: "in sync", Heal: true, At: time.Since(r.begin)}
	end := diskEnd{t, at, f, flip, from, failed}
	for _, stage := range diskEnds {
		end = stage(end)
	}
	f = end.found
	last.Took, last.Disk = f.Whole, &f
	if r.events <- last; len(f.Wrong) > 0 {
		done <- fmt.Errorf("%w: %s of %s: %s (%s)", errDisk, t.Kind, t.Node, strings.Join(f.Wrong, "; "),
			strings.Join(f.Notes, "; "))
		return
	}
	done <- nil
}

// awaitStage waits until a stage can begin.
func awaitStage(s stage, at cluster.Site, ready chan<- error) {
	time.Sleep(s.Wait)
	if !s.Whole {
		ready <- nil
		return
	}
	ready <- cluster.AwaitSync(at.Plan.Addrs, at.Limit)
}

// diskEnd is the end of a trial of a disk.
type diskEnd struct {
	trial  trial
	at     cluster.Site
	found  found
	flip   cluster.Flipped
	from   int64 // where the node's log begins that the trial is judged by
	failed error // a step that could not be done
}

// diskEnds end and judge a trial of a disk, one after the other. The list never changes.
var diskEnds = []func(diskEnd) diskEnd{awaitWhole, unflip, judgeTrial}

// awaitWhole ends the rule of the disk and waits until the cluster is in sync again.
func awaitWhole(e diskEnd) diskEnd {
	limit, began := e.at.Limit, time.Now()
	if isLone(e.trial.Kind) && e.trial.Kind != trialLoneTorn {
		limit = min(limit, loneSettle)
	}
	if e.failed != nil { // it cannot be
		limit = 0
	}
	// the control file is there, as the cluster has started with it
	_ = cluster.SetRule(cluster.ControlFile(e.at.Plan, e.trial.Node), cluster.Rule{})
	if err := cluster.AwaitSync(e.at.Plan.Addrs, limit); err != nil && e.failed == nil {
		e.found.Unsync = err.Error()
	}
	e.found.Whole = time.Since(began)
	return e
}

// unflip flips a bit back that the node did not read, so that the next trial, of another node, does not find it.
func unflip(e diskEnd) diskEnd {
	path := cluster.FlippedFile(filepath.Join(e.at.Plan.Dir, e.trial.Node), e.flip)
	if path != "" && e.flip.Path != "" {
		e.found.Notes = append(e.found.Notes, "the bit was still there in the end")
		_ = cluster.PutByte(path, e.flip.At, e.flip.Was) // the file may be gone by now
	}
	return e
}

// judgeTrial reads the node's log and judges what was found.
func judgeTrial(e diskEnd) diskEnd {
	kind, f, said := e.trial.Kind, e.found, logSince(e.at.Plan, e.trial.Node, e.from)
	f.Named, f.False, f.Abort = namedIn(said, kind), falseIn(said, kind), abortIn(said)
	if f.Wrong = judgeDisk(kind, f); e.failed != nil {
		f.Wrong = append(f.Wrong, e.failed.Error())
	}
	if len(f.Wrong) == 0 { // a node keeps few stores that it has set aside, and ends when there are more
		f.Notes = append(f.Notes, cluster.DropAside(filepath.Join(e.at.Plan.Dir, e.trial.Node))...)
	}
	e.found = f
	return e
}

// noteDown adds the result of a step. A node whose calls have failed must name that in its log.
func noteDown(f found, kind string, n cluster.Note) found {
	if n.Text != "" {
		f.Notes = append(f.Notes, n.Text)
	}
	if strings.HasPrefix(n.Text, cluster.EndedMark) {
		f.Ended++
	}
	if f.Hits += n.Hits; n.Spared != "" {
		f.Spared, f.Must = n.Spared, false
	}
	late := kind == trialTorn || kind == trialLoneTorn // their calls were late only
	f.Must = f.Must || n.Hits > 0 && !late && strings.HasPrefix(kind, "disk-")
	return f
}
