package cluster

import (
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// shimSource is a library that stands between RocksDB and the C library and lets its calls fail.
//
//go:embed shim/shim.c
var shimSource []byte

// errShim is the class of disk faults that cannot be made here.
var errShim = errors.New("faults of the disk cannot be made")

// The operations that a rule concerns, as bits.
const (
	OpsRead = 1 << iota
	OpsWrite
	OpsSync
	opsOpen
	OpsAllocate // room set aside for a file, and new files
	opsRename
)

// The files that a rule concerns, as bits.
const (
	FilesLog = 1 << iota
	FilesTable
	FilesManifest
	FilesCurrent
	filesOptions
	filesOther
	FilesAll = 1<<iota - 1
)

// What a rule does with a call.
const (
	ActFail  = 1 + iota
	ActShort // reads and writes do half; the next write to that file fails
	ActSlow
	ActHang // until the rule ends
)

// Rule is how a node's disk fails. The rule without operations lets nothing fail.
type Rule struct {
	Ops, Files uint64
	Action     uint64
	Error      syscall.Errno
	Slow       time.Duration
	Every      uint64 // each so-many-th call that it concerns; 0 and 1: all
	Most       uint64 // so many calls in all; 0: no limit
}

// The layout of the control file, which a shim reads its rule from and counts in (shim/shim.c): words of 64 bits.
const (
	wordBytes     = 8
	wordOps       = 0
	wordHits      = 8
	wordLoads     = 9 // how many processes have loaded the shim
	wordTable     = 16
	tableEntries  = 8192
	entryWords    = 3 // inode, how much of it is synced, whether a sync of it was failed
	controlLength = wordBytes * (wordTable + tableEntries*entryWords)
)

// buildShim compiles the shim into a folder with the C compiler of this machine (CC, or cc) and returns the library's
// path.
func buildShim(dir string) (string, error) {
	compiler := os.Getenv("CC")
	if compiler == "" {
		compiler = "cc"
	}
	source, library := filepath.Join(dir, "shim.c"), filepath.Join(dir, "shim.so")
	if err := os.WriteFile(source, shimSource, 0o644); err != nil {
		return "", fmt.Errorf("%w: %w", errShim, err)
	}
	out, err := exec.Command(compiler, "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: they need a C compiler (cc, or what CC names): %s: %w: %s", errShim, compiler, err,
			out)
	}
	return library, nil
}

// makeControl makes a control file whose rule lets nothing fail.
func makeControl(path string) error {
	err := os.WriteFile(path, nil, 0o644)
	if err == nil {
		err = os.Truncate(path, controlLength)
	}
	return err
}

// Shims builds the shim and returns the beginning of each node's command line: it lets the disk under the node's
// folder fail, and gives the node a small cache, so that reads reach the disk.
func Shims(p Plan) ([][]string, error) {
	library, err := buildShim(p.Dir)
	wraps := [][]string{}
	for _, name := range p.Names {
		control := ControlFile(p, name)
		err = errors.Join(err, makeControl(control))
		wraps = append(wraps, []string{"env", "LD_PRELOAD=" + library, "SHIM_CONTROL=" + control,
			"SHIM_FOLDER=" + filepath.Join(p.Dir, name), "TANDEM_CACHE_MB=1"})
	}
	return wraps, err
}

// ruleWords returns a rule as the shim reads it, without its operations, which are written when the rest is there; the
// counters begin anew.
func ruleWords(r Rule) []byte {
	b := []byte{}
	for _, word := range []uint64{r.Files, r.Action, uint64(r.Error), uint64(r.Slow.Microseconds()), r.Every, r.Most,
		0, 0} {
		b = binary.NativeEndian.AppendUint64(b, word)
	}
	return b
}

// SetRule lets a disk fail by a rule from now on; the rule without operations ends that.
func SetRule(control string, r Rule) error {
	file, err := os.OpenFile(control, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("%w: %w", errShim, err)
	}
	defer file.Close()
	_, err = file.WriteAt(make([]byte, wordBytes), wordOps)
	if err == nil && r.Ops != 0 {
		_, err = file.WriteAt(ruleWords(r), wordBytes)
	}
	if err == nil {
		_, err = file.WriteAt(binary.NativeEndian.AppendUint64(nil, r.Ops), wordOps)
	}
	return err
}

// Synced is how much of a file a power loss leaves, at least.
type Synced struct {
	Known bool // the shim has seen the file made
	Bytes int64
}

// ShimState is what a shim has counted, and its table.
type ShimState struct {
	Hits, Loads uint64
	Synced      map[uint64]Synced // by inode
}

// ReadShim reads what a shim has counted.
func ReadShim(control string) (ShimState, error) {
	b, err := os.ReadFile(control)
	if err == nil && len(b) != controlLength {
		err = fmt.Errorf("%d bytes, not %d", len(b), controlLength)
	}
	if err != nil {
		return ShimState{}, fmt.Errorf("%w: %s: %w", errShim, control, err)
	}
	word := func(at int) uint64 { return binary.NativeEndian.Uint64(b[at*wordBytes:]) }
	s := ShimState{word(wordHits), word(wordLoads), map[uint64]Synced{}}
	for at := wordTable; at < wordTable+tableEntries*entryWords; at += entryWords {
		if inode := word(at); inode != 0 {
			s.Synced[inode] = Synced{true, int64(word(at + 1))}
		}
	}
	return s, nil
}

// CheckShims returns an error if a node runs without its shim.
func CheckShims(p Plan) error {
	for _, name := range p.Names {
		s, err := ReadShim(ControlFile(p, name))
		if err == nil && s.Loads == 0 {
			err = fmt.Errorf("%w: %s runs without the library that was to be loaded before the C library", errShim,
				name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// RuleText says how a disk fails.
func RuleText(r Rule) string {
	names := func(bits uint64, words []string) string {
		list := []string{}
		for i, word := range words {
			if bits>>i&1 > 0 {
				list = append(list, word)
			}
		}
		return strings.Join(list, ",")
	}
	text := fmt.Sprintf("%s of %s: ", names(r.Ops, []string{"read", "write", "sync", "open", "allocate", "rename"}),
		names(r.Files, []string{"log", "table", "manifest", "current", "options", "other"}))
	switch r.Action {
	case ActSlow:
		text += fmt.Sprintf("%v late", r.Slow)
	case ActHang:
		text += "hanging"
	case ActShort:
		text += fmt.Sprintf("half is done, then %v", r.Error)
	default:
		text += r.Error.Error()
	}
	if r.Every > 1 {
		text += fmt.Sprintf(", one in %d", r.Every)
	}
	return text
}
