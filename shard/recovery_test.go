package shard

import (
	"fmt"
	"slices"
	"testing"
)

// logged makes the heads of batches of one start that hold parts of these shards, one a batch.
func logged(held []int, shards ...int) []LogPiece {
	pieces, totals := []LogPiece{}, make([]uint64, RaftPart+1)
	for i, s := range shards {
		pieces = append(pieces, LogPiece{WholeBatch, CountParts(7, uint64(i+1), []int{s}, held, totals)})
	}
	return pieces
}

func TestJudgeLog(t *testing.T) {
	held := []int{0, 3, 5}
	all := []int{0, 3, 5, RaftPart}
	bad, begun := LogPiece{Kind: BadPlace}, LogPiece{Kind: BegunBatch}
	log := func(shards ...int) []LogPiece { return logged(held, shards...) }
	with := func(pieces []LogPiece, at int, in ...LogPiece) []LogPiece {
		return slices.Concat(pieces[:at], in, pieces[at+1:])
	}
	six := log(0, 3, 0, 5, RaftPart, 0)
	passed := slices.Clone(six)
	passed[3].Kind = PassedBatch
	cases := []struct {
		name   string
		pieces []LogPiece
		known  LogKnown
		want   LogVerdict
	}{
		{"nothing", nil, LogKnown{}, LogVerdict{}},
		{"whole", six, LogKnown{Synced: BatchHead{Start: 7, Number: 6}}, LogVerdict{}},
		{"the first ones are in files", six[3:], LogKnown{}, LogVerdict{}},
		{"torn", with(six, 5, bad), LogKnown{}, LogVerdict{End: TornEnd}},
		{"torn behind its beginning", with(six, 5, begun, bad), LogKnown{}, LogVerdict{End: TornEnd}},
		{"cut off by the end of its process", with(six, 5, begun, LogPiece{Kind: CutPlace}), LogKnown{SameBoot: true},
			LogVerdict{End: TornEnd}},
		{"garbled, though only the process ended", with(six, 5, bad), LogKnown{SameBoot: true}, LogVerdict{DamagedEnd, all}},
		{"bad in the middle", with(six, 2, bad), LogKnown{}, LogVerdict{DamagedEnd, []int{0}}},
		{"bad in the middle, Raft's", with(six, 4, begun, bad), LogKnown{}, LogVerdict{DamagedEnd, []int{RaftPart}}},
		{"missing in the middle", slices.Delete(slices.Clone(six), 1, 3), LogKnown{}, LogVerdict{DamagedEnd, []int{0, 3}}},
		{"passed over behind a bad place", with(passed, 2, bad), LogKnown{}, LogVerdict{DamagedEnd, []int{0, 5}}},
		{"another batch begins behind a bad place", slices.Concat(six[:3], []LogPiece{bad, begun, bad}), LogKnown{},
			LogVerdict{DamagedEnd, all}},
		{"bad at the beginning", with(six, 0, bad), LogKnown{}, LogVerdict{DamagedEnd, all}},
		{"shorter than is known to be synced", six[:4], LogKnown{Synced: BatchHead{Start: 7, Number: 5}},
			LogVerdict{DamagedEnd, all}},
		{"gone, though it is known to be synced", nil, LogKnown{Synced: BatchHead{Start: 7, Number: 1}},
			LogVerdict{DamagedEnd, all}},
		{"known to be synced by an older start", six, LogKnown{Synced: BatchHead{Start: 6, Number: 99}}, LogVerdict{}},
	}
	for _, c := range cases {
		if got := JudgeLog(c.pieces, held, c.known); fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %+v, expected %+v", c.name, got, c.want)
		}
	}
}

// A later start has moved all of the log into files before it wrote, so what was before it no longer counts.
func TestALaterStartMakesWhatWasBeforeVoid(t *testing.T) {
	held := []int{0, 3}
	first := logged(held, 0, 3, 0)
	first[1] = LogPiece{Kind: BadPlace}
	later := []LogPiece{{WholeBatch, CountParts(8, 1, []int{3}, held, make([]uint64, RaftPart+1))}}
	if v := JudgeLog(slices.Concat(first, later), held, LogKnown{}); v.End != CleanEnd {
		t.Errorf("%+v", v)
	}
}

// With more shards than a batch counts, those that no batch behind a bad place counts are held for damaged, and no
// others.
func TestManyShardsAreCountedInTurn(t *testing.T) {
	held, totals, pieces := []int{}, make([]uint64, RaftPart+1), []LogPiece{}
	for s := range 5 * CountedShards {
		held = append(held, s)
	}
	for i := range uint64(20) {
		pieces = append(pieces, LogPiece{WholeBatch, CountParts(1, i+1, []int{int(i)}, held, totals)})
	}
	for at := 1; at < len(pieces)-1; at++ {
		v := JudgeLog(slices.Concat(pieces[:at], []LogPiece{{Kind: BadPlace}}, pieces[at+1:]), held, LogKnown{})
		behind := len(pieces) - 1 - at
		if !slices.Contains(v.Missing, at) || behind >= 6 && len(v.Missing) != 1 {
			t.Errorf("batch %d is bad, %d are behind it: %v are lost", at, behind, v.Missing)
		}
	}
}

func TestMarksSpeakOfOneCopy(t *testing.T) {
	m := Mark{Store: MemberID(1, [16]byte{1}), Copy: 5, Reason: "block 7"}
	for _, c := range []struct {
		self uint64
		at   uint32
		want bool
	}{{m.Store, 5, true}, {MemberOf(m.Store, 3), 5, true}, {m.Store, 6, false}, {MemberID(1, [16]byte{2}), 5, false}} {
		if got := MarkHolds(m, c.self, c.at); got != c.want {
			t.Errorf("store %x, copy %d: %v", c.self, c.at, got)
		}
	}
}

func TestNextOpen(t *testing.T) {
	for failed, want := range []struct{ lenient, ok bool }{{false, true}, {true, true}, {true, false}} {
		if lenient, ok := NextOpen(failed); ok != want.ok || ok && lenient != want.lenient {
			t.Errorf("after %d tries: %v %v", failed, lenient, ok)
		}
	}
}

// A log that ends before the data has lost its end, and with it anything.
func TestALogThatEndsBeforeTheDataIsDamaged(t *testing.T) {
	held, torn := []int{1, 2}, LogVerdict{End: TornEnd}
	if v := JudgeEnd(torn, held, 7, 7); v.End != TornEnd || len(v.Missing) > 0 {
		t.Errorf("as far as the data: %+v", v)
	}
	if v := JudgeEnd(torn, held, 8, 7); v.End != DamagedEnd || !slices.Equal(v.Missing, []int{1, 2, RaftPart}) {
		t.Errorf("short of the data: %+v", v)
	}
}

func TestPruneLog(t *testing.T) {
	const mb, sec = 1 << 20, 1000 * 1000 * 1000
	segments := []LogSegment{{10, 4 * mb, 1 * sec}, {20, 4 * mb, 2 * sec}, {30, 4 * mb, 3 * sec}, {40, 4 * mb, 4 * sec}}
	for _, c := range []struct {
		name    string
		flushed uint64
		now     int64 // s
		inSync  bool
		keep    int64 // MiB
		want    int
	}{
		{"nobody needs any", 40, 100, true, 1024, 4},
		{"what is not flushed", 29, 100, true, 0, 2},
		{"nothing is flushed", 9, 100, true, 0, 0},
		{"request ids that may be asked for", 40, 22, true, 0, 2},
		{"a backup is away, and all of it is kept", 40, 100, false, 16, 0},
		{"a backup is away, and some of it is too much", 40, 100, false, 15, 1},
		{"a backup is away, and nothing is kept", 40, 100, false, 0, 4},
		{"a backup is away, and nothing is flushed", 0, 100, false, 0, 0},
	} {
		if got := PruneLog(segments, c.flushed, c.now*sec, c.inSync, c.keep*mb); got != c.want {
			t.Errorf("%s: %d segments are pruned, expected %d", c.name, got, c.want)
		}
	}
}

func TestFlushDue(t *testing.T) {
	if FlushDue(0, 10*FlushIdle) || FlushDue(1, FlushIdle-1) || !FlushDue(1, FlushIdle) || !FlushDue(FlushBytes, 0) {
		t.Error("memory is flushed by size, or when nobody writes any more")
	}
}
