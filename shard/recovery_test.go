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
	held, torn := []int{1, 2}, LogVerdict{End: TornEnd}
	if try, v, ok := NextOpen(torn, held, nil); try != (OpenTry{Log: TornEnd}) || len(v.Missing) > 0 || !ok {
		t.Errorf("the first try: %+v %+v %v", try, v, ok)
	}
	if try, v, ok := NextOpen(torn, held, []OpenFailure{OpenDamaged}); try != (OpenTry{DamagedEnd, true}) ||
		v.End != TornEnd || !ok {
		t.Errorf("a file is damaged: %+v %+v %v", try, v, ok)
	}
	if _, v, ok := NextOpen(torn, held, []OpenFailure{OpenLogGone}); len(v.Missing) != 3 || !ok {
		t.Errorf("a log file is missing: %+v %v", v, ok)
	}
	if _, _, ok := NextOpen(torn, held, []OpenFailure{OpenDamaged, OpenDamaged}); ok {
		t.Error("nothing can be read, and yet there is another try")
	}
}
