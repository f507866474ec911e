package cluster

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

	"tandem/node/wal"
)

// Site is where trials are made.
type Site struct {
	Plan  Plan
	Do    Perform
	Limit time.Duration // how long the cluster may take until it is in sync
}

// Flipped is a bit that was flipped.
type Flipped struct {
	Path  string
	Inode uint64
	At    int64
	Was   byte
	Is    byte
	Must  bool // a node that reads all it needs meets it
	// of a bit of the log: the batch that it is of
	Sequence uint64
}

// Note is the result of a step that was done to a node's disk or data.
type Note struct {
	Text string
	Flip Flipped
	Hits uint64 // calls that a rule concerned
	// why the step was not done: it would have hit the only copy of a shard; "" if it was
	Spared string
	Err    error
}

// AsideMark is the prefix of the folders, within a node's, of stores that the node no longer uses.
const AsideMark = "set-aside-"

// FilesIn returns the files of a folder by their names within it, without those of stores that the node has set aside.
func FilesIn(folder string) []StoredFile {
	files := []StoredFile{}
	// files that vanish meanwhile are none
	_ = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.HasPrefix(d.Name(), AsideMark) {
			return fs.SkipDir
		}
		if err == nil && d.Type().IsRegular() {
			if info, gone := d.Info(); gone == nil {
				files = append(files, StoredFile{strings.TrimPrefix(path, folder+"/"), info.Size()})
			}
		}
		return nil
	})
	return files
}

// InodeOf returns the inode of a file that is there.
func InodeOf(path string) (uint64, error) {
	var stat syscall.Stat_t
	err := syscall.Stat(path, &stat)
	return stat.Ino, err
}

// flipBit flips a bit of a file of a node, by a step.
func flipBit(folder string, s Step, out chan<- Note) {
	n := Note{}
	defer func() { out <- n }()
	one, there := pickFile(FilesIn(folder), s.File, s.Chance)
	path := filepath.Join(folder, one.Name)
	text, err := os.ReadFile(path)
	if !there || err != nil || len(text) == 0 {
		n.Text = fmt.Sprintf("no bit was flipped: no file of the kind %s is there, or it is gone or empty by now: %s",
			s.File, one.Name)
		return
	}
	part := span{0, int64(len(text))}
	if s.File == FileTable {
		if part, n.Err = tablePart(text, s.Part); n.Err != nil {
			return
		}
	}
	at, bit := pickBit(part, s.Chance>>8)
	n.Flip = Flipped{Path: path, At: at, Was: text[at], Is: text[at] ^ 1<<bit, Must: mustBeMet(s)}
	if s.File == FileLog {
		h, _ := wal.ReadHeader(text)
		pieces, last := wal.Scan(text, wal.Classify(text, h.LogID, h.Segment, 0))
		n.Flip.Sequence, n.Flip.Must = batchAt(pieces, last, int(at/wal.BlockSize))
	}
	n.Text = fmt.Sprintf("bit %d of byte %d of the %d of %s %s", bit, at, len(text), one.Name, s.Part)
	if n.Flip.Inode, n.Err = InodeOf(path); n.Err == nil {
		n.Err = PutByte(path, at, n.Flip.Is)
	}
}

// mustBeMet tells whether a node that starts and reads all its users must find a flipped bit of a file other than the
// log: OPTIONS is not read, and an unreadable filter is left out.
func mustBeMet(s Step) bool { return s.File != FileOptions && s.Part != partFilter }

// batchAt returns which batch a block of a segment of the log is of, and whether a node that starts must find that it
// is damaged: another batch follows in the segment, up to last, else it looks like a torn write. The block may also be
// of none.
func batchAt(pieces []wal.Piece, last uint64, block int) (sequence uint64, must bool) {
	for _, p := range pieces {
		if p.Kind == wal.Whole && p.Block <= block && block < p.Block+wal.BlocksOf(len(p.Batch)) {
			return p.Sequence, p.Sequence < last
		}
	}
	return 0, false
}

// PutByte writes a byte of a file in its place.
func PutByte(path string, at int64, value byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFault, err)
	}
	defer file.Close()
	_, err = file.WriteAt([]byte{value}, at)
	return err
}

// FlippedFile returns the path of a file that still has its flipped bit, "" if there is none in the folder, or if it is
// of a part of the log that is not read any more, as it is in tables.
func FlippedFile(folder string, f Flipped) string {
	files, flushed := FilesIn(folder), uint64(0)
	for _, one := range files {
		if text, err := os.ReadFile(filepath.Join(folder, one.Name)); err == nil && FileKind(one.Name) == FileLog {
			h, _ := wal.ReadHeader(text)
			flushed = max(flushed, h.Flushed)
		}
	}
	for _, one := range files {
		path := filepath.Join(folder, one.Name)
		inode, err := InodeOf(path)
		if err != nil || inode != f.Inode {
			continue
		}
		text, err := os.ReadFile(path)
		if err == nil && int64(len(text)) > f.At && text[f.At] == f.Is &&
			(FileKind(one.Name) != FileLog || flushed < f.Sequence) {
			return path
		}
	}
	return ""
}

// loseUnsynced cuts each of RocksDB's files back to somewhere between what was synced and what was written. What is
// left counts as synced from then on: the control file is made anew, without a rule.
func loseUnsynced(folder, control string, chance uint64, out chan<- Note) {
	state, err := ReadShim(control)
	cut := []string{}
	for i, one := range FilesIn(folder) {
		if FileKind(one.Name) == "" || err != nil {
			continue
		}
		path := filepath.Join(folder, one.Name)
		inode, gone := InodeOf(path)
		if to := cutTo(one.Size, state.Synced[inode], chance>>(i%32)); gone == nil && to < one.Size {
			cut = append(cut, fmt.Sprintf("%s from %d to %d", one.Name, one.Size, to))
			err = os.Truncate(path, to)
		}
	}
	if err == nil {
		err = makeControl(control)
	}
	out <- Note{Text: fmt.Sprintf("%d calls met it, cut: %v", state.Hits, cut), Hits: state.Hits, Err: err}
}

// DropAside removes the stores that a node has set aside, as its operator would, and says which.
func DropAside(folder string) []string {
	asides, _ := filepath.Glob(filepath.Join(folder, AsideMark+"*")) // the pattern is well-formed
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

// putBack replaces a data folder by its copy, with a new control file, which has nothing on these files.
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

// ledAlone says which shards a node leads without a backup in sync, by the views that another node knows; "" if it
// leads none so, or if no other node answers.
func ledAlone(p Plan, node string) string {
	shards := []int{}
	for i, name := range p.Names {
		var views []struct {
			Shard  int
			Leader string
			InSync bool
		}
		if name == node {
			continue
		}
		line, err := AskLine(p.Addrs[i], "VIEW")
		if err != nil || json.Unmarshal([]byte(line), &views) != nil {
			continue
		}
		for _, v := range views {
			if v.Leader == node && !v.InSync && !slices.Contains(shards, v.Shard) {
				shards = append(shards, v.Shard)
			}
		}
	}
	if len(shards) == 0 {
		return ""
	}
	return fmt.Sprintf("the data was spared, as %s has the only whole copy of the shards %v", node, shards)
}

// scrub has a node read all users of all its shards. What it finds is in the node's own log.
func scrub(p Plan, node string, out chan<- Note) {
	addr := p.Addrs[slices.Index(p.Names, node)]
	var held []struct{ Shard int }
	if line, err := AskLine(addr, "SHARDS"); err == nil {
		_ = json.Unmarshal([]byte(line), &held) // a node that cannot tell reads nothing
	}
	errs := []string{}
	for _, h := range held {
		if d := AskDigest(addr, h.Shard); d.Error != "" {
			errs = append(errs, fmt.Sprintf("shard %d: %s", h.Shard, d.Error))
		}
	}
	out <- Note{Text: fmt.Sprintf("%d shards read, errors: %.200s", len(held), strings.Join(errs, "; "))}
}

// tryAgain is the time between two tries.
const tryAgain = 100 * time.Millisecond

// startTries is how often a process that exits while it starts is started, as a supervisor would do.
const startTries = 3

// startAgain starts a process that has ended, and starts it again if it exits before it serves.
func startAgain(at Site, s Step, out chan<- Note) {
	ends, err := []string{}, at.Do(s)
	for try := 1; errors.Is(err, errEnded) && try < startTries; try++ {
		ends = append(ends, LastLine(err))
		time.Sleep(tryAgain)
		err = at.Do(Step{Kind: FaultRevive, Node: s.Node})
	}
	text := ""
	if len(ends) > 0 {
		text = fmt.Sprintf("%s%d times: %s", EndedMark, len(ends), ends[0])
	}
	out <- Note{Text: text, Err: err}
}

// EndedMark begins the note about a process that ended by itself.
const EndedMark = "it ended by itself "

// DoDiskStep does one step of a disk's trial.
func DoDiskStep(at Site, s Step, out chan<- Note) {
	folder, control := filepath.Join(at.Plan.Dir, s.Node), ControlFile(at.Plan, s.Node)
	if s.Spare {
		if alone := ledAlone(at.Plan, s.Node); alone != "" {
			out <- Note{Text: alone, Spared: alone}
			return
		}
	}
	switch s.Kind {
	case FaultFlip:
		go flipBit(folder, s, out)
	case FaultCopy:
		out <- Note{Err: copyFolder(folder)}
	case FaultPutBack:
		out <- Note{Err: putBack(folder, control)}
	case FaultLose:
		go loseUnsynced(folder, control, s.Chance, out)
	case FaultIll:
		err := SetRule(control, s.Rule)
		out <- Note{Text: RuleText(s.Rule), Err: err}
	case FaultCure:
		state, err := ReadShim(control)
		if err == nil {
			err = SetRule(control, Rule{})
		}
		out <- Note{Text: fmt.Sprintf("%d calls met it", state.Hits), Hits: state.Hits, Err: err}
	case FaultScrub:
		go scrub(at.Plan, s.Node, out)
	case FaultStart, FaultRevive:
		go startAgain(at, s, out)
	case FaultLook:
		text := ""
		if err := at.Do(s); err != nil {
			text = EndedMark + "meanwhile: " + LastLine(err)
		}
		out <- Note{Text: text}
	default:
		err := at.Do(s)
		n := Note{Err: err}
		if errors.Is(err, os.ErrProcessDone) { // it was to be killed
			n = Note{Text: EndedMark + "before it was killed"}
		}
		out <- n
	}
}

// LastLine is the last line of what an error says: of a process that has ended, the last line of its log.
func LastLine(err error) string {
	text := strings.TrimRight(strings.TrimSuffix(err.Error(), " ended before it served"), " )\n")
	return strings.TrimSpace(text[strings.LastIndex(text, "\n")+1:])
}
