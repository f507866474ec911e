package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// site is where trials are made.
type site struct {
	Plan  clusterPlan
	Do    perform
	Limit time.Duration // how long the cluster may take until it is in sync
}

// flipped is a bit that was flipped.
type flipped struct {
	Path  string
	Inode uint64
	At    int64
	Was   byte
	Is    byte
	Must  bool // a node that reads all it needs meets it
}

// noted is what an act on a node's data has come to.
type noted struct {
	Text string
	Flip flipped
	Hits uint64 // calls that a rule concerned
	Err  error
}

// asideMark begins the name of a folder, within a node's, with a store that the node uses no more.
const asideMark = "set-aside-"

// filesIn returns the files of a folder by their names within it, without those of stores that the node has set aside.
func filesIn(folder string) []stored {
	files := []stored{}
	// files that vanish meanwhile are none
	_ = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.HasPrefix(d.Name(), asideMark) {
			return fs.SkipDir
		}
		if err == nil && d.Type().IsRegular() {
			if info, gone := d.Info(); gone == nil {
				files = append(files, stored{strings.TrimPrefix(path, folder+"/"), info.Size()})
			}
		}
		return nil
	})
	return files
}

// inodeOf returns the inode of a file that is there.
func inodeOf(path string) (uint64, error) {
	var stat syscall.Stat_t
	err := syscall.Stat(path, &stat)
	return stat.Ino, err
}

// flipBit flips a bit of a file of a node, by a step.
func flipBit(folder string, s step, out chan<- noted) {
	n := noted{}
	defer func() { out <- n }()
	one, there := pickFile(filesIn(folder), s.File, s.Chance)
	path := filepath.Join(folder, one.Name)
	text, err := os.ReadFile(path)
	if !there || err != nil || len(text) == 0 {
		n.Text = fmt.Sprintf("no bit was flipped: no file of the kind %s is there, or it is gone or empty by now: %s",
			s.File, one.Name)
		return
	}
	part := span{0, int64(len(text))}
	if s.File == fileTable {
		if part, n.Err = tablePart(text, s.Part); n.Err != nil {
			return
		}
	}
	at, bit := pickBit(part, s.Chance>>8)
	n.Flip = flipped{path, 0, at, text[at], text[at] ^ 1<<bit, mustBeMet(s, one.Name, at, int64(len(text)))}
	n.Text = fmt.Sprintf("bit %d of byte %d of the %d of %s %s", bit, at, len(text), one.Name, s.Part)
	if n.Flip.Inode, n.Err = inodeOf(path); n.Err == nil {
		n.Err = putByte(path, at, n.Flip.Is)
	}
}

// mustBeMet tells whether a node that starts and has all its users read must meet a flipped bit. At the end of a log it
// is like a write that power loss has torn; what follows in another block of the log shows that it is none. OPTIONS is
// not read, a filter that cannot be read is left out, and a log in the archive is read only for a peer that was away.
func mustBeMet(s step, name string, at, size int64) bool {
	switch s.File {
	case fileLog:
		return !strings.HasPrefix(name, archiveFolder) && size-(at/logBlock+1)*logBlock > logMargin
	case fileOptions:
		return false
	}
	return s.Part != partFilter
}

// archiveFolder is where RocksDB keeps the logs of what lies in tables.
const archiveFolder = "archive/"

// RocksDB's log has blocks of so many bytes, and so much of the next one holds a whole record under a load such as
// chaos has.
const (
	logBlock  = 32 << 10
	logMargin = 4 << 10
)

// putByte writes a byte of a file in its place.
func putByte(path string, at int64, value byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("%w: %w", errFault, err)
	}
	defer file.Close()
	_, err = file.WriteAt([]byte{value}, at)
	return err
}

// whereIs returns the path of a file that still has its flipped bit, "" if there is none in the folder. RocksDB may
// have moved it to its archive.
func whereIs(folder string, f flipped) string {
	for _, one := range filesIn(folder) {
		path := filepath.Join(folder, one.Name)
		inode, err := inodeOf(path)
		if err != nil || inode != f.Inode {
			continue
		}
		text, err := os.ReadFile(path)
		if err == nil && int64(len(text)) > f.At && text[f.At] == f.Is {
			return path
		}
	}
	return ""
}

// loseUnsynced cuts each of RocksDB's files back to somewhere between what was synced and what was written. What is
// left has survived, and is not lost the next time: the control begins anew, with a disk that is well.
func loseUnsynced(folder, control string, chance uint64, out chan<- noted) {
	state, err := readShim(control)
	cut := []string{}
	for i, one := range filesIn(folder) {
		if fileKind(one.Name) == "" || err != nil {
			continue
		}
		path := filepath.Join(folder, one.Name)
		inode, gone := inodeOf(path)
		if to := cutTo(one.Size, state.Synced[inode], chance>>(i%32)); gone == nil && to < one.Size {
			cut = append(cut, fmt.Sprintf("%s from %d to %d", one.Name, one.Size, to))
			err = os.Truncate(path, to)
		}
	}
	if err == nil {
		err = makeControl(control)
	}
	out <- noted{Text: fmt.Sprintf("%d calls met it, cut: %v", state.Hits, cut), Hits: state.Hits, Err: err}
}

// dropAside removes the stores that a node has set aside, as its operator would, and says which.
func dropAside(folder string) []string {
	asides, _ := filepath.Glob(filepath.Join(folder, asideMark+"*")) // the pattern is well-formed
	notes := []string{}
	for _, aside := range asides {
		if err := os.RemoveAll(aside); err == nil {
			notes = append(notes, "it had "+filepath.Base(aside))
		}
	}
	return notes
}

// copyOf is where the copy of a data folder lies.
func copyOf(folder string) string { return folder + ".copy" }

// copyFolder copies a data folder.
func copyFolder(folder string) error {
	err := os.RemoveAll(copyOf(folder))
	if err == nil {
		err = os.CopyFS(copyOf(folder), os.DirFS(folder))
	}
	return err
}

// putBack puts the copy in the place of a data folder, with a control that knows nothing of these files.
func putBack(folder, control string) error {
	err := os.RemoveAll(folder)
	if err == nil {
		err = os.Rename(copyOf(folder), folder)
	}
	if err == nil {
		err = makeControl(control)
	}
	return err
}

// scrub has a node read all users of all its shards. Whether that goes well the node is to say.
func scrub(p clusterPlan, node string, out chan<- noted) {
	addr := p.Addrs[slices.Index(p.Names, node)]
	var held []struct{ Shard int }
	if line, err := askLine(addr, "SHARDS"); err == nil {
		_ = json.Unmarshal([]byte(line), &held) // a node that cannot tell reads nothing
	}
	errs := []string{}
	for _, h := range held {
		if d := askDigest(addr, h.Shard); d.Error != "" {
			errs = append(errs, fmt.Sprintf("shard %d: %s", h.Shard, d.Error))
		}
	}
	out <- noted{Text: fmt.Sprintf("%d shards read, errors: %.200s", len(held), strings.Join(errs, "; "))}
}

// startTries is how often a start is tried of a process that ends by itself, as a supervisor does.
const startTries = 3

// startAgain starts a process that has ended, again if it ends before it serves.
func startAgain(at site, s step, out chan<- noted) {
	ends, err := []string{}, at.Do(s)
	for try := 1; errors.Is(err, errEnded) && try < startTries; try++ {
		ends = append(ends, gist(err))
		time.Sleep(retryPause)
		err = at.Do(step{Kind: faultRevive, Node: s.Node})
	}
	text := ""
	if len(ends) > 0 {
		text = fmt.Sprintf("%s%d times: %s", endedMark, len(ends), ends[0])
	}
	out <- noted{Text: text, Err: err}
}

// endedMark begins the note about a process that ended by itself.
const endedMark = "it ended by itself "

// disturb does one step of a disk's trial.
func disturb(at site, s step, out chan<- noted) {
	folder, control := filepath.Join(at.Plan.Dir, s.Node), controlOf(at.Plan, s.Node)
	switch s.Kind {
	case faultFlip:
		go flipBit(folder, s, out)
	case faultCopy:
		out <- noted{Err: copyFolder(folder)}
	case faultPutBack:
		out <- noted{Err: putBack(folder, control)}
	case faultLose:
		go loseUnsynced(folder, control, s.Chance, out)
	case faultIll:
		err := setRule(control, s.Rule)
		out <- noted{Text: ruleText(s.Rule), Err: err}
	case faultCure:
		state, err := readShim(control)
		if err == nil {
			err = setRule(control, rule{})
		}
		out <- noted{Text: fmt.Sprintf("%d calls met it", state.Hits), Hits: state.Hits, Err: err}
	case faultScrub:
		go scrub(at.Plan, s.Node, out)
	case faultStart, faultRevive:
		go startAgain(at, s, out)
	case faultLook:
		text := ""
		if err := at.Do(s); err != nil {
			text = endedMark + "meanwhile: " + gist(err)
		}
		out <- noted{Text: text}
	default:
		err := at.Do(s)
		n := noted{Err: err}
		if errors.Is(err, os.ErrProcessDone) { // it was to be killed
			n = noted{Text: endedMark + "before it was killed"}
		}
		out <- n
	}
}
