package main

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tandem/shard"
	"tandem/shard/replica"
)

// leftover is what can be read of a damaged shard.
type leftover struct {
	Users       []shard.Record
	Epoch, Last uint64 // of the last write that is known; Last is its LSN
	Unread      int    // buckets of which something cannot be read, or is missing by their counts
	Beyond      uint64 // users that are too many by the counts of their buckets: some that were deleted may be among all

	kept bool // this is what the file had that an earlier run wrote
}

// keptPath is where what is left of a shard lies while its copy is replaced.
func keptPath(folder string, s int) string {
	return filepath.Join(folder, fmt.Sprintf("left-of-%02d.json", s))
}

// readShard reads bucket by bucket what can be read of a shard; or the file with what was left of it, if an earlier run
// of the command has begun to replace the copy: the mark says so, or, where the marks were lost meanwhile, a copy that
// has no history yet. Any other file is of an earlier damage.
func readShard(a accepting) accepting {
	a.left = leftover{}
	kept, found, err := readKept(keptPath(a.told.Data, a.shard))
	if accepting := a.marks[a.shard].Accepting; accepting || a.store.families[a.shard] == nil {
		if a.left = kept; err != nil || !found && accepting {
			a.err = fmt.Errorf("%w: what was left of shard %d, which an earlier run has begun to replace: %w",
				ErrFolder, a.shard, cmp.Or(err, fs.ErrNotExist))
		}
		return a
	}
	store := a.store
	if a.bad[a.shard] != "" {
		store = a.salvaged
	}
	if store.families[a.shard] == nil { // none of its files can be opened
		a.left.Unread = 256
		return a
	}
	left, begun, failed := readLeft(store, a.shard)
	if a.left = left; found && failed == nil && !begun {
		if a.left = kept; err != nil {
			a.err = fmt.Errorf("%w: what was left of shard %d, which an earlier run has begun to replace: %w", ErrFolder,
				a.shard, err)
		}
	}
	return a
}

// readLeft reads what can be read of a shard. begun tells whether its copy has a history. Error: if its meta cannot be
// read, which the users tell then as far as they can.
func readLeft(store Store, s int) (left leftover, begun bool, failed error) {
	scan, found, counted := openScan(store, s), buckets{}, buckets{}
	defer func() { closeScan(scan) }()
	bad := [256]bool{}
	for bucket := range 256 {
		begin := []byte{shard.UserPrefix, byte(bucket)}
		err := walkScan(scan, begin, 0, func(key, value []byte) bool {
			id, isUser := shard.KeyID(key)
			if !isUser || key[1] != byte(bucket) {
				return false
			}
			r, odd := decodeValue(value)
			if r.ID = id; odd == nil {
				left.Users, found[bucket] = append(left.Users, r), found[bucket]+1
			}
			if odd == nil && (r.Epoch > left.Epoch || r.Epoch == left.Epoch && r.LSN > left.Last) {
				left.Epoch, left.Last = r.Epoch, r.LSN
			}
			return true
		})
		if err != nil { // an iterator that has failed once says so for ever
			bad[bucket] = true
			closeScan(scan)
			scan = openScan(store, s)
		}
	}
	failed = walkScan(scan, []byte{metaPrefix}, 0, func(key, value []byte) bool {
		switch name := string(key[:min(len(key), 2)]); {
		case name == metaBucket && len(key) == 3:
			users, lsn, _ := readBucket(value)
			counted[key[2]], left.Last = users, max(left.Last, lsn)
		case name == metaEpoch && len(key) == 10:
			begun, left.Epoch = true, max(left.Epoch, binary.BigEndian.Uint64(key[2:]))
		}
		return key[0] == metaPrefix
	})
	for bucket := range 256 {
		if bad[bucket] || failed == nil && found[bucket] < counted[bucket] {
			left.Unread++
		}
		if failed == nil {
			left.Beyond += max(found[bucket], counted[bucket]) - counted[bucket]
		}
	}
	return left, begun, failed
}

// readKept reads the file with what was left of a shard; found is false where there is none. Errors: of the file
// system, or of what is in it.
func readKept(path string) (left leftover, found bool, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return left, false, nil
	}
	if err == nil {
		err = unseal(text, &left)
	}
	left.kept = true
	return left, true, err
}

// keepShard writes what is left of a shard to a file of the folder, synced, and says so in the shard's mark, which from
// then on holds for any copy: if the command ends in the middle, a start serves nothing of the shard, and another run
// of the command goes on with the file.
func keepShard(a accepting) accepting {
	m := a.marks[a.shard]
	if m.Accepting {
		return a
	}
	if !a.left.kept { // a file of an earlier damage is nobody's to delete unread
		path := keptPath(a.told.Data, a.shard)
		aside := path + "." + time.Now().UTC().Format("20060102T150405.000Z")
		if err := os.Rename(path, aside); err == nil {
			fmt.Fprintln(a.out, "a file of an earlier run, which is not about this damage, is kept as", aside)
		}
	}
	text, err := seal(a.left)
	a.err = errors.Join(err, writeWhole(keptPath(a.told.Data, a.shard), text), syncFolder(a.told.Data))
	if a.err == nil {
		m.Accepting = true
		a.marks[a.shard] = m
		a.err = writeMarks(a.told.Data, a.marks)
	}
	return a
}

// renewShard makes an empty copy of the shard in place of the damaged one.
func renewShard(a accepting) accepting {
	if a.store.families[a.shard] == nil { // an earlier run ended between the two
		a.store, a.err = addFamilies(a.store, []int{a.shard})
		return a
	}
	renewed, err := renewFamily(a.store, a.shard)
	if a.err = err; err == nil {
		a.store = takeFamily(a.store, renewed, a.shard)
	}
	return a
}

// storeShard fills the new copy with what is left. Its history begins with the log's new end, which no other replica's
// log fits.
func storeShard(a accepting) accepting {
	layout, family, counts := shard.Layout{Nodes: len(strings.Split(a.facts.Ring, ",")), Shards: a.facts.Shards},
		a.store.ids[a.shard], buckets{}
	for rest := a.left.Users; len(rest) > 0 && a.err == nil; {
		n := min(len(rest), 1000)
		part := recordsPart(layout, a.shard, family, rest[:n], &counts)
		a.err = writeBatch(a.store, joinParts(nil, []Part{part}))
		rest = rest[n:]
	}
	last := a.left.Last + acceptedJump
	end := replica.Effect{LSN: last, History: []shard.Position{{Epoch: max(a.left.Epoch, 1), LSN: last}}}
	if a.err == nil {
		a.err = writeBatch(a.store, joinParts(nil, []Part{wholePart(a.shard, family, &end, counts)}))
	}
	if a.err == nil {
		a.err = moveLog(a.store, a.shard)
	}
	return a
}

// unmarkShard takes the shard's mark away, and the file with what was left.
func unmarkShard(a accepting) accepting {
	delete(a.marks, a.shard)
	if a.err = saveMarks(a.store, a.told.Data, a.marks); a.err == nil {
		a.err = os.Remove(keptPath(a.told.Data, a.shard))
	}
	return a
}
