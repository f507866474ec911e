package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tandem/shard"
	"tandem/shard/views"
)

// loggedBatches makes a store whose log holds so many batches with parts of some shards and of Raft, and returns the
// folder, the log's bytes and what each batch, from 1 on, holds.
func loggedBatches(t *testing.T, batches int) (dir string, file []byte, parts map[uint64][]int) {
	t.Helper()
	dir = t.TempDir()
	db, err := openForTest(Options{Data: dir, Shards: testLayout.Shards, CacheMB: 1, WalKeepMB: 64})
	held := heldBy(testLayout, 0)
	if err == nil {
		db, err = AddFamilies(db, held)
	}
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	w, lsns, counts := FirstWritten(1, held), map[int]uint64{}, map[int]*Buckets{}
	parts = map[uint64][]int{}
	for range batches {
		group := []Part{{}}
		for range 1 + rng.IntN(3) {
			s := held[rng.IntN(len(held))]
			if rng.IntN(8) == 0 {
				group = append(group, SavedPart(RaftFamilyID(db), []views.SavedEntry{{Key: "h", Value: []byte("hard")}},
					nil))
				parts[w.number+1] = append(parts[w.number+1], shard.RaftPart)
				continue
			}
			if counts[s] == nil {
				counts[s] = &Buckets{}
			}
			lsns[s]++
			entry := loggedEntry(s, lsns[s], 1)
			// some are longer than a block
			entry.Name = strings.Repeat("n", 1+rng.IntN(2000)*rng.IntN(20)*(rng.IntN(5)/4))
			group = append(group, EntriesPart(testLayout, s, FamilyID(db, s), []shard.Entry{entry}, lsns[s] == 1,
				counts[s], 1))
			parts[w.number+1] = append(parts[w.number+1], s)
		}
		w, group[0] = HeadPart(w, group[1:])
		if err = WriteBatch(db, JoinParts(nil, group)); err != nil {
			t.Fatal(err)
		}
	}
	numbers, err := LogFiles(dir)
	if err == nil && len(numbers) != 1 {
		err = fmt.Errorf("expected one log file, found %v", numbers)
	}
	if err == nil {
		file, err = os.ReadFile(filepath.Join(dir, LogName(numbers[0])))
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir, file, parts
}

// applied returns the numbers of the batches that a store applies of a log.
func applied(file []byte) []uint64 {
	numbers := []uint64{}
	for _, p := range PiecesOf(ScanLog(file)) {
		if p.Kind == shard.WholeBatch {
			numbers = append(numbers, p.Head.Number)
		}
	}
	return numbers
}

// A log that is cut off anywhere, as by a power loss, is whole up to its last whole batch: nothing in it is damage.
func TestACutLogIsNoDamage(t *testing.T) {
	_, file, parts := loggedBatches(t, 60)
	if whole := applied(file); len(whole) != len(parts) {
		t.Fatalf("%d batches of %d are found", len(whole), len(parts))
	}
	for size := 0; size <= len(file); size += 1 + size%53 + len(file)/800 {
		pieces := PiecesOf(ScanLog(file[:size]))
		v := shard.JudgeLog(pieces, heldBy(testLayout, 0), shard.LogKnown{SameBoot: true})
		if v.End == shard.DamagedEnd {
			t.Fatalf("cut at %d of %d: %+v", size, len(file), v)
		}
		if n := len(applied(file[:size])); n < len(parts) && n > 0 {
			v = shard.JudgeLog(pieces, heldBy(testLayout, 0),
				shard.LogKnown{Synced: shard.BatchHead{Start: 1, Number: uint64(n) + 1}})
			if v.End != shard.DamagedEnd || len(v.Missing) != len(heldBy(testLayout, 0))+1 {
				t.Fatalf("cut at %d, behind batch %d, though the next one is known to be synced: %+v", size, n, v)
			}
		}
	}
}

// Wherever a bit flips, each shard that lost a part with it is named, and Raft's part likewise; what is named without
// need is at most what no later batch counts. Only the last batch, of which nobody can say whether it was stored, may
// be lost without a word.
func TestAFlippedBitInTheLogIsDamage(t *testing.T) {
	_, file, parts := loggedBatches(t, 60)
	held, last := heldBy(testLayout, 0), uint64(len(parts))
	flips, precise := 0, 0
	for at := 0; at < len(file); at += 1 + len(file)/900 {
		bad := slices.Clone(file)
		bad[at] ^= 1 << (at % 8)
		left := applied(bad)
		v := shard.JudgeLog(PiecesOf(ScanLog(bad)), held, shard.LogKnown{})
		hurt := []int{}
		for number, shards := range parts {
			if !slices.Contains(left, number) {
				hurt = append(hurt, shards...)
			}
		}
		flips++
		if len(left) == len(parts)-1 && !slices.Contains(left, last) {
			same := shard.JudgeLog(PiecesOf(ScanLog(bad)), held, shard.LogKnown{SameBoot: true})
			if v.End == shard.CleanEnd || same.End == shard.CleanEnd {
				t.Fatalf("bit %d of byte %d, in the last batch: %+v, %+v", at%8, at, v, same)
			}
			continue
		}
		for _, s := range hurt {
			if !slices.Contains(v.Missing, s) || v.End != shard.DamagedEnd {
				t.Fatalf("bit %d of byte %d: shard %d lost a part, and the verdict is %+v", at%8, at, s, v)
			}
		}
		slices.Sort(hurt)
		if slices.Equal(slices.Compact(hurt), v.Missing) {
			precise++
		}
	}
	if precise < flips/2 {
		t.Errorf("of %d flips %d are judged precisely", flips, precise)
	}
}

// What the judge says of a damaged log holds for what RocksDB makes of it: a shard that is not named has all its users.
func TestRocksDBAppliesWhatTheJudgeSays(t *testing.T) {
	dir, file, parts := loggedBatches(t, 40)
	held := heldBy(testLayout, 0)
	wants := map[int]int{}
	for _, shards := range parts {
		for _, s := range shards {
			wants[s]++
		}
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for range 12 {
		c, bad := Options{Data: t.TempDir(), Shards: testLayout.Shards, CacheMB: 1, WalKeepMB: 64}, slices.Clone(file)
		if err := os.CopyFS(c.Data, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		at := rng.IntN(len(bad))
		bad[at] ^= 1
		numbers, err := LogFiles(c.Data)
		if err = errors.Join(err, os.WriteFile(filepath.Join(c.Data, LogName(numbers[0])), bad, 0o644)); err != nil {
			t.Fatal(err)
		}
		v := shard.JudgeLog(PiecesOf(ScanLog(bad)), held, shard.LogKnown{})
		db, err := Open(c, shard.OpenTry{Log: v.End}, false, false)
		if err != nil {
			t.Fatalf("byte %d: %+v: %v", at, v, err)
		}
		for _, s := range held {
			users := 0
			scan := OpenScan(db, s)
			err = WalkScan(scan, []byte{shard.UserPrefix}, 0, func(_, _ []byte) bool { users++; return true })
			CloseScan(scan)
			if err != nil || !slices.Contains(v.Missing, s) && v.End == shard.DamagedEnd && users != wants[s] {
				t.Errorf("byte %d: shard %d has %d users of %d, and the verdict is %+v (%v)", at, s, users, wants[s], v,
					err)
			}
		}
	}
}
