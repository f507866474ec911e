package store

import (
	"errors"
	"os"
	"testing"

	"tandem/node/wal"
	"tandem/shard/views"
)

// readAll reads the log of a store to its end, and returns the sequence of the last batch.
func readAll(db DB) (last uint64, err error) {
	r, err := OpenLog(db, 0)
	for err == nil {
		var batch []byte
		if r, batch, err = NextBatch(r); batch == nil {
			break
		}
		last = SequenceBehind(batch) - 1
	}
	CloseLog(r)
	return last, err
}

// The append that a process before has not ended is an end of what it wrote, and no damage: the log goes on behind it.
// A batch that was acknowledged and cannot be read is damage.
func TestTheLogIsReadBehindATornAppend(t *testing.T) {
	c, held := Options{Data: t.TempDir(), Shards: testLayout.Shards, CacheMB: 1}, heldBy(testLayout, 0)
	db, err := openForTest(c)
	if err == nil {
		db, err = AddFamilies(db, held)
	}
	store := func(l Log, size int) Log {
		s := Store(Storing{DB: db, Log: l, Parts: []Part{
			SavedPart(RaftFamilyID(db), []views.SavedEntry{{Key: "h", Value: make([]byte, size)}}, nil)}})
		err = errors.Join(err, s.Err)
		return s.Log
	}
	l, bad := BeginLog(c.Data, wal.Recovery{}, 1, held)
	err = errors.Join(err, bad)
	l = store(l, 100)
	end := l.next
	store(store(l, 9000), 100)
	path := SegmentPath(c.Data, 1)
	text, bad := os.ReadFile(path)
	if err = errors.Join(err, bad); err != nil {
		t.Fatal(err)
	}
	if last, err := readAll(db); err != nil || last != 3 {
		t.Fatalf("a whole log: batch %d, %v", last, err)
	}
	text[(end+1)*wal.BlockSize+100] ^= 1 // of the second block of the second batch
	if err = os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	if last, err := readAll(db); !errors.Is(err, ErrLogDamaged) || last != 1 {
		t.Errorf("a batch cannot be read, and one lies behind it: batch %d, %v", last, err)
	}
	clear(text[(end+1)*wal.BlockSize:]) // the second batch was the last, and is torn
	if err = os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	found, err := RecoverLog(c.Data)
	next, bad := BeginLog(c.Data, found, 2, held)
	if err = errors.Join(err, bad); err != nil {
		t.Fatal(err)
	}
	store(next, 100)
	if last, bad := readAll(db); bad != nil || err != nil || last != found.Last+1 {
		t.Errorf("behind a torn append: batch %d, expected %d, %v", last, found.Last+1, errors.Join(bad, err))
	}
}
