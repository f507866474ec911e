package main

import (
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
	opsRead = 1 << iota
	opsWrite
	opsSync
	opsOpen
	opsAllocate // room set aside for a file, and new files
	opsRename
)

// The files that a rule concerns, as bits.
const (
	filesLog = 1 << iota
	filesTable
	filesManifest
	filesCurrent
	filesOptions
	filesOther
	filesAll = 1<<iota - 1
)

// What a rule does with a call.
const (
	actFail  = 1 + iota
	actShort // reads and writes do half; the next write to that file fails
	actSlow
	actHang // until the rule ends
)

// rule is how a node's disk fails. Without operations it is well.
type rule struct {
	Ops, Files uint64
	Action     uint64
	Error      syscall.Errno
	Slow       time.Duration
	Every      uint64 // each so-many-th call that it concerns; 0 and 1: all
	Most       uint64 // so many calls in all; 0: no limit
}

// The layout of the file by which a shim is ruled (shim/shim.c): words of 64 bits.
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

// makeControl makes the file by which a shim is ruled, with a disk that is well.
func makeControl(path string) error {
	err := os.WriteFile(path, nil, 0o644)
	if err == nil {
		err = os.Truncate(path, controlLength)
	}
	return err
}

// shims builds the shim and returns the beginning of each node's command line: it lets the disk under the node's
// folder fail, and gives the node a small cache, so that reads reach the disk.
func shims(p clusterPlan) ([][]string, error) {
	library, err := buildShim(p.Dir)
	wraps := [][]string{}
	for _, name := range p.Names {
		control := controlOf(p, name)
		err = errors.Join(err, makeControl(control))
		wraps = append(wraps, []string{"env", "LD_PRELOAD=" + library, "SHIM_CONTROL=" + control,
			"SHIM_FOLDER=" + filepath.Join(p.Dir, name), "TANDEM_CACHE_MB=1"})
	}
	return wraps, err
}

// ruleWords returns a rule as the shim reads it, without its operations, which are written when the rest is there; the
// counters begin anew.
func ruleWords(r rule) []byte {
	b := []byte{}
	for _, word := range []uint64{r.Files, r.Action, uint64(r.Error), uint64(r.Slow.Microseconds()), r.Every, r.Most,
		0, 0} {
		b = binary.NativeEndian.AppendUint64(b, word)
	}
	return b
}

// setRule lets a disk fail by a rule from now on; the rule without operations makes it well.
func setRule(control string, r rule) error {
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

// synced is how much of a file a power loss leaves, at least.
type synced struct {
	Known bool // the shim has seen the file made
	Bytes int64
}

// shimState is what a shim has counted, and its table.
type shimState struct {
	Hits, Loads uint64
	Synced      map[uint64]synced // by inode
}

// readShim reads what a shim has counted.
func readShim(control string) (shimState, error) {
	b, err := os.ReadFile(control)
	if err == nil && len(b) != controlLength {
		err = fmt.Errorf("%d bytes, not %d", len(b), controlLength)
	}
	if err != nil {
		return shimState{}, fmt.Errorf("%w: %s: %w", errShim, control, err)
	}
	word := func(at int) uint64 { return binary.NativeEndian.Uint64(b[at*wordBytes:]) }
	s := shimState{word(wordHits), word(wordLoads), map[uint64]synced{}}
	for at := wordTable; at < wordTable+tableEntries*entryWords; at += entryWords {
		if inode := word(at); inode != 0 {
			s.Synced[inode] = synced{true, int64(word(at + 1))}
		}
	}
	return s, nil
}

// checkShims returns an error if a node runs without its shim.
func checkShims(p clusterPlan) error {
	for _, name := range p.Names {
		s, err := readShim(controlOf(p, name))
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
