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

	"tandem/node/wal"
	"tandem/shard"
	"tandem/shard/views"
)

// loggedBatches makes a store whose log holds so many batches with parts of some shards and of Raft, and returns the
// folder, the path and the bytes of the log's only segment, what each batch, from 1 on, holds, and at which block each
// of them ends.
func loggedBatches(t *testing.T, batches int) (path string, file []byte, parts map[uint64][]int, ends []int) {
	t.Helper()
	c, held := Options{Data: t.TempDir(), Shards: testLayout.Shards, CacheMB: 1}, heldBy(testLayout, 0)
	db, err := openForTest(c)
	if err == nil {
		db, err = AddFamilies(db, held)
	}
	l, bad := BeginLog(c.Data, wal.Recovery{}, 1, held)
	if err = errors.Join(err, bad); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	lsns, counts := map[int]uint64{}, map[int]*Buckets{}
	parts = map[uint64][]int{}
	for number := uint64(1); number <= uint64(batches); number++ {
		group := []Part{}
		for range 1 + rng.IntN(3) {
			s := held[rng.IntN(len(held))]
			if rng.IntN(8) == 0 {
				group = append(group, SavedPart(RaftFamilyID(db), []views.SavedEntry{{Key: "h", Value: []byte("hard")}},
					nil))
				parts[number] = append(parts[number], shard.RaftPart)
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
			parts[number] = append(parts[number], s)
		}
		stored := Store(Storing{DB: db, Log: l, Parts: group})
		if l = stored.Log; stored.Err != nil {
			t.Fatal(stored.Err)
		}
		ends = append(ends, l.next)
	}
	numbers, err := segmentsIn(c.Data)
	if err == nil && len(numbers) != 1 {
		err = fmt.Errorf("expected one segment, found %v", numbers)
	}
	path = SegmentPath(c.Data, 1)
	if err == nil {
		file, err = readWhole(path)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path, file, parts, ends
}

// recovered is what a recovery makes of the bytes of the only segment.
func recovered(file []byte) wal.Recovery {
	h, _ := wal.ReadHeader(file)
	pieces, last := wal.Scan(file, wal.Classify(file, h.LogID, 1, h.Blocks))
	return wal.End(wal.Add(wal.Begin([]wal.Header{h}), wal.Segment{Number: 1, Header: h, Pieces: pieces, Last: last}))
}

// judged is what the core says of it.
func judged(file []byte, known shard.LogKnown) shard.LogVerdict {
	return shard.JudgeLog(LogPieces(recovered(file).Pieces), heldBy(testLayout, 0), known)
}

// numbersIn returns the numbers of the batches that are read from a log.
func numbersIn(file []byte) []uint64 {
	numbers := []uint64{}
	for _, p := range LogPieces(recovered(file).Pieces) {
		if p.Kind == shard.WholeBatch {
			numbers = append(numbers, p.Head.Number)
		}
	}
	return numbers
}

// A log of which the last append was not, or only in part, written, as by a power loss, is whole up to the batch
// before: nothing in it is damage, unless the batch is known to have been synced.
func TestATornLogIsNoDamage(t *testing.T) {
	_, file, parts, ends := loggedBatches(t, 60)
	if whole := numbersIn(file); len(whole) != len(parts) {
		t.Fatalf("%d batches of %d are found", len(whole), len(parts))
	}
	rng := rand.New(rand.NewPCG(5, 6))
	for n := len(ends); n > 0; n-- {
		begin := 1
		if n > 1 {
			begin = ends[n-2]
		}
		torn := slices.Clone(file)
		clear(torn[ends[n-1]*wal.BlockSize:])
		gone := begin + rng.IntN(ends[n-1]-begin)
		clear(torn[gone*wal.BlockSize : (gone+1)*wal.BlockSize])
		if left := numbersIn(torn); len(left) != n-1 {
			t.Fatalf("batch %d is torn, and %d are left", n, len(left))
		}
		if v := judged(torn, shard.LogKnown{SameBoot: true}); v.End == shard.DamagedEnd {
			t.Fatalf("batch %d is torn: %+v", n, v)
		}
		v := judged(torn, shard.LogKnown{Synced: shard.BatchHead{Start: 1, Number: uint64(n)}})
		if v.End != shard.DamagedEnd || len(v.Missing) != len(heldBy(testLayout, 0))+1 {
			t.Fatalf("batch %d is torn, though it is known to be synced: %+v", n, v)
		}
	}
}

// Wherever a bit flips, each shard that lost a part with it is named, and Raft's part likewise; what is named without
// need is at most what no later batch counts. Only the last batch, of which nobody can say whether it was stored, may
// be lost without a word if the machine went down.
func TestAFlippedBitInTheLogIsDamage(t *testing.T) {
	_, file, parts, ends := loggedBatches(t, 60)
	last := uint64(len(parts))
	used := ends[len(ends)-1] * wal.BlockSize
	flips, precise := 0, 0
	for at := wal.BlockSize; at < used; at += 1 + used/900 {
		bad := slices.Clone(file)
		bad[at] ^= 1 << (at % 8)
		left := numbersIn(bad)
		v := judged(bad, shard.LogKnown{})
		hurt := []int{}
		for number, shards := range parts {
			if !slices.Contains(left, number) {
				hurt = append(hurt, shards...)
			}
		}
		flips++
		if len(left) == len(parts)-1 && !slices.Contains(left, last) {
			if same := judged(bad, shard.LogKnown{SameBoot: true}); v.End == shard.CleanEnd ||
				same.End != shard.DamagedEnd {
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

// What the judge says of a damaged log holds for what is replayed of it: a shard that is not named has all its users.
func TestReplayGivesWhatTheJudgeSays(t *testing.T) {
	path, file, parts, ends := loggedBatches(t, 40)
	held := heldBy(testLayout, 0)
	wants := map[int]int{}
	for _, shards := range parts {
		for _, s := range shards {
			wants[s]++
		}
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for range 12 {
		c, bad := Options{Data: t.TempDir(), Shards: testLayout.Shards, CacheMB: 1}, slices.Clone(file)
		if err := os.CopyFS(c.Data, os.DirFS(filepath.Dir(filepath.Dir(path)))); err != nil {
			t.Fatal(err)
		}
		at := wal.BlockSize + rng.IntN((ends[len(ends)-1]-1)*wal.BlockSize)
		bad[at] ^= 1
		if err := os.WriteFile(SegmentPath(c.Data, 1), bad, 0o644); err != nil {
			t.Fatal(err)
		}
		v := judged(bad, shard.LogKnown{})
		found, err := RecoverLog(c.Data)
		db := DB{}
		if err == nil {
			db, err = Open(c, false, false, false)
		}
		if err == nil {
			err = Replay(db, found)
		}
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
