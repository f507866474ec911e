package wire

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// speaker is who speaks the versions from least to most, where version 4 is to come: a greeting has a part more (the
// receiver's clock stands for it), get has a limit behind its id, an error has its number of nodes touched before the
// text, and a ping has no state any more.
func speaker(least, most uint64) Codec {
	table, parts := slices.Clone(layouts), greetingParts
	if most > 3 {
		later, older, between := limit, state, touched
		later.since, older.until, between.since = 4, 3, 4
		table[Get] = []field{shard, userID, later}
		table[Pong] = []field{between, clock, text}
		table[LeasePing] = []field{start, at, lease, older, claims, lastentries}
		known := number("epoch", func(m *Message) *uint64 { return &m.Epoch })
		known.since = 4
		parts = append(slices.Clone(parts), known)
		late := number("lsn", func(m *Message) *uint64 { return &m.LSN })
		late.since = 4
		table[Welcome] = []field{{}, clock, founders, known, late}
		table[Welcome][3] = layouts[Welcome][3]
	}
	table[Hello] = []field{greets(parts, least, most)}
	table[Welcome] = append([]field{greets(parts, least, most)}, table[Welcome][1:]...)
	return Codec{least, most, most, table}
}

// TestTwoVersionsOnAConnection: both sides write and read frames of the latest version that both speak, whoever dials,
// and each knows of the other's greeting all that it knows itself.
func TestTwoVersionsOnAConnection(t *testing.T) {
	for _, c := range []struct {
		name               string
		dialler, answerer  Codec
		version            uint64 // the agreed one; 0 if there is none
		atAnswerer, atDial uint64 // the greeting's new part, where it is read
	}{
		{"the same", speaker(3, 3), speaker(3, 3), 3, 0, 0},
		{"a newer node answers", speaker(3, 3), speaker(3, 4), 3, 0, 0},
		{"a newer node dials", speaker(3, 4), speaker(3, 3), 3, 0, 0},
		{"both are newer", speaker(3, 4), speaker(3, 4), 4, 7, 7},
		{"the old one is given up", speaker(4, 4), speaker(3, 4), 4, 7, 7},
		{"too new an answerer", speaker(3, 3), speaker(4, 5), 0, 0, 0},
		{"too new a dialler", speaker(4, 5), speaker(3, 3), 0, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			say := func(from Codec, kind Kind) *Message {
				g := samples()[Hello].Greeting
				g.Least, g.Most = from.least, from.most
				return &Message{Kind: kind, ID: 1, Greeting: g, Epoch: 7, LSN: 9, Clock: 5, Founders: []uint64{8}}
			}
			heard := &Message{}
			if err := c.answerer.Decode(heard, c.dialler.AppendFrame(nil,
				say(c.dialler, Hello))[HeadSize:]); err != nil {
				t.Fatal(err)
			}
			there, meets := c.answerer.Agree(heard.Greeting)
			if meets != (c.version > 0) || meets && there.Version() != c.version ||
				heard.Greeting.Most != c.dialler.most {
				t.Fatalf("the answerer agrees on %d, %v", there.Version(), meets)
			}
			if !meets {
				// what can be said whatever the other side speaks
				refusal := &Message{Kind: Error, ID: 1, Code: WrongVersion, Text: "no"}
				if err := c.dialler.Decode(heard, c.answerer.AppendFrame(nil, refusal)[HeadSize:]); err != nil ||
					heard.Text != "no" {
					t.Error(heard, err)
				}
				return
			}
			if heard.Epoch != c.atAnswerer || heard.Greeting.Shards != 24 {
				t.Errorf("the answerer heard %+v", heard)
			}
			if err := c.dialler.Decode(heard, there.AppendFrame(nil, say(c.answerer, Welcome))[HeadSize:]); err != nil {
				t.Fatal(err)
			}
			here, meets := c.dialler.Agree(heard.Greeting)
			if !meets || here.Version() != c.version || heard.Epoch != c.atDial || heard.Clock != 5 ||
				(heard.LSN == 9) != (c.version == 4) {
				t.Errorf("the dialler agrees on %d, %v, and heard %+v", here.Version(), meets, heard)
			}
			for _, m := range []*Message{{Kind: Get, ID: 2, Shard: 1, Record: Record{ID: "a"}, Limit: 6},
				{Kind: Pong, Touched: 3, Clock: 1}, {Kind: LeasePing, Start: 1, At: 2, Lease: 3, State: 1}} {
				for _, way := range [][2]Codec{{here, there}, {there, here}} {
					if err := way[1].Decode(heard, way[0].AppendFrame(nil, m)[HeadSize:]); err != nil {
						t.Fatal(err)
					}
					if (heard.Limit == 6 || heard.Touched == 3) != (c.version == 4 && m.Kind != LeasePing) ||
						(heard.State == 1) != (c.version == 3 && m.Kind == LeasePing) {
						t.Errorf("version %d: %+v", c.version, heard)
					}
				}
			}
		})
	}
}

// TestAFrameOfAnotherVersionIsRefused: decoding is strict for the version agreed on, both ways.
func TestAFrameOfAnotherVersionIsRefused(t *testing.T) {
	older, newer := speaker(3, 4), speaker(3, 4)
	older.version = 3
	get := &Message{Kind: Get, ID: 2, Shard: 1, Record: Record{ID: "a"}, Limit: 6}
	if err := older.Decode(&Message{}, newer.AppendFrame(nil, get)[HeadSize:]); !errors.Is(err, ErrFrame) ||
		!strings.Contains(err.Error(), "expected 4 elements for kind 5, found 5") {
		t.Error(err)
	}
	if err := newer.Decode(&Message{}, older.AppendFrame(nil, get)[HeadSize:]); !errors.Is(err, ErrFrame) ||
		!strings.Contains(err.Error(), "expected 5 elements for kind 5, found 4") {
		t.Error(err)
	}
}

// TestFourMayStandForThree: the table of a version to come writes what this one has as this one does.
func TestFourMayStandForThree(t *testing.T) {
	later := speaker(3, 4)
	later.version = 3
	for _, m := range samples() {
		if got, want := later.AppendFrame(nil, m), NewCodec().AppendFrame(nil, m); !slices.Equal(got, want) {
			t.Errorf("kind %d: % x, want % x", m.Kind, got, want)
		}
		got := &Message{}
		if err := later.Decode(got, NewCodec().AppendFrame(nil, m)[HeadSize:]); err != nil ||
			!reflect.DeepEqual(got, m) {
			t.Errorf("kind %d: %+v, %v", m.Kind, got, err)
		}
	}
}

// TestAnotherVersionIsKnownByItsRange: whatever it has behind it, hello is read, so that it can be refused for its
// version.
func TestAnotherVersionIsKnownByItsRange(t *testing.T) {
	for body, want := range map[string]Greeting{
		"\x93\x01\x01\x92\x01\x02":                                                               {Least: 1, Most: 2},
		"\x93\x01\x01\x97\x01\x02\xa6tandem\xa4node\xa4db-0\x03\x18":                             {Least: 1, Most: 2},
		"\x93\x01\x01\x99\x04\x63\xc0\xa1a\xc4\x01a\xc3\x92\x01\x91\x01\xca\x00\x00\x00\x00\xff": {Least: 4, Most: 99},
		"\x95\x02\x01\x92\x04\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xc0\xc0": {Least: 4,
			Most: math.MaxUint64},
	} {
		m, err := decoded([]byte(body))
		if err != nil || m.Greeting != want {
			t.Errorf("% x: %+v, %v", body, m, err)
		}
		if _, meets := NewCodec().Agree(m.Greeting); meets {
			t.Errorf("% x fits", body)
		}
	}
}

// TestVersionsCostNoMemory: a codec is a value, and choosing one for a connection allocates nothing.
func TestVersionsCostNoMemory(t *testing.T) {
	m, buffer := samples()[Get], make([]byte, 0, 4096)
	before := testing.AllocsPerRun(100, func() { buffer = NewCodec().AppendFrame(buffer[:0], m) })
	g, c := samples()[Hello].Greeting, NewCodec()
	if n := testing.AllocsPerRun(100, func() { c, _ = c.Agree(g) }); n != 0 || before > 1 {
		t.Errorf("%v allocations to agree, %v to write a frame", n, before)
	}
}
