package wire

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// nest is n arrays of one element, one in another, around an empty one.
func nest(n int) string { return strings.Repeat("\x91", n) + "\x90" }

// written is a write up to its preconditions.
var written = "\x9b\x06\x01\x00\x00\xc4\x10" + strings.Repeat("\x01", 16) + "\x02\x00\x96\xa1a\xa0\xa0\x00\x00\x00"

// greetingBytes is the body of a hello whose greeting has the length head, and more behind it.
func greetingBytes(head, more string) string {
	return "\x93\x01\x01" + head + "\x03\x03\xa0\xa0\xa0\xa0\xc4\x00\x00\x18\x00\x00\x00\x00\x00" + more
}

// TestHostileBodies: each body is refused with an error that names the byte and what was expected.
func TestHostileBodies(t *testing.T) {
	for name, c := range map[string]struct{ body, want string }{
		"nothing":  {"", "byte 0: expected 1 more elements, found the end"},
		"no array": {"\x05", "byte 0: expected an array, found 0x05"},
		"nil":      {"\xc0", "byte 0: expected an array, found 0xc0"},
		"bytes of 4 GiB": {"\x93\x05\x01\xc6\xff\xff\xff\xff",
			"byte 3: expected a length of at most the 0 bytes left, found 4294967295"},
		"text of 4 GiB": {"\x93\x05\x01\xdb\xff\xff\xff\xff",
			"byte 3: expected a length of at most the 0 bytes left, found 4294967295"},
		"array of 4 Gi": {"\xdd\xff\xff\xff\xff",
			"byte 0: expected a length of at most the 0 bytes left, found 4294967295"},
		"array of 64 Ki": {"\x93\x05\x01\xdc\xff\xff\x01",
			"byte 3: expected a length of at most the 1 bytes left, found 65535"},
		"half a length":   {"\x93\x05\x01\xdb\xff\xff", "byte 3: expected 4 bytes, 2 are left"},
		"half an integer": {"\x93\x05\x01\xcf\xff", "byte 3: expected 8 bytes, 1 are left"},
		"short text":      {"\x94\x05\x01\x06\xa7abc", "byte 4: expected 7 bytes, 3 are left"},
		"9 deep":          {nest(8), "byte 8: expected arrays nested at most 8 deep"},
		"a million deep":  {nest(MaxFrame - 1), "byte 8: expected arrays nested at most 8 deep"},
		"wide and deep": {strings.Repeat("\xdd\x00\x00\x00\x01", 9) + "\x90",
			"byte 40: expected arrays nested at most 8 deep"},
		"map": {"\x93\x05\x01\x81\x01\x02",
			"byte 3: expected nil, a boolean, a number, a string, bytes or an array, found 0x81"},
		"map of 4 Gi": {"\x93\x05\x01\xdf\xff\xff\xff\xff",
			"byte 3: expected nil, a boolean, a number, a string, bytes or an array, found 0xdf"},
		"map16": {"\x93\x05\x01\xde\x00\x00", "found 0xde"},
		"a timestamp": {"\x93\x05\x01\xd6\xff\x00\x00\x00\x00",
			"byte 3: expected nil, a boolean, a number, a string, bytes or an array, found 0xd6"},
		"ext of 4 GiB": {"\x93\x05\x01\xc9\xff\xff\xff\xff\x01", "found 0xc9"},
		"fixext1":      {"\x93\x05\x01\xd4\x01\x01", "found 0xd4"},
		"the byte never used": {"\x93\x05\x01\xc1",
			"byte 3: expected nil, a boolean, a number, a string, bytes or an array, found 0xc1"},
		"trailing byte": {"\x92\x03\x01\x00", "byte 3: expected the end, found 1 trailing bytes"},
		"a second body": {"\x92\x03\x01\x92\x03\x01", "byte 3: expected the end, found 3 trailing bytes"},
		"empty array":   {"\x90", "byte 0: expected an array of kind, request id and fields, found 0 elements"},
		"kind alone": {"\x91\x03",
			"byte 0: expected an array of kind, request id and fields, found 1 elements"},
		"unknown kind":      {"\x92\x7f\x01", "byte 1: kind: expected at most 24, found 127"},
		"kind 256":          {"\x92\xcd\x01\x00\x01", "byte 1: kind: expected at most 24, found 256"},
		"kind below zero":   {"\x92\xff\x01", "byte 1: kind: expected an unsigned integer, found 0xff"},
		"request id of nil": {"\x92\x03\xc0", "byte 2: request id: expected an unsigned integer, found 0xc0"},
		"field too few":     {"\x93\x05\x01\x06", "byte 0: expected 4 elements for kind 5, found 3"},
		"field too many":    {"\x93\x03\x01\x06", "byte 0: expected 2 elements for kind 3, found 3"},
		"shard below zero": {"\x94\x05\x01\xff\xa1a",
			"byte 3: field shard: expected an unsigned integer, found 0xff"},
		"shard int8 below zero": {"\x94\x05\x01\xd0\x80\xa1a",
			"byte 3: field shard: expected an unsigned integer, found -128"},
		"shard nil": {"\x94\x05\x01\xc0\xa1a",
			"byte 3: field shard: expected an unsigned integer, found 0xc0"},
		"shard float": {"\x94\x05\x01\xca\x40\x00\x00\x00\xa1a",
			"byte 3: field shard: expected an unsigned integer, found 0xca"},
		"shard NaN": {"\x94\x05\x01\xcb\x7f\xf8\x00\x00\x00\x00\x00\x01\xa1a",
			"byte 3: field shard: expected an unsigned integer, found 0xcb"},
		"shard text": {"\x94\x05\x01\xa16\xa1a",
			"byte 3: field shard: expected an unsigned integer, found 0xa1"},
		"shard array": {"\x94\x05\x01\x90\xa1a",
			"byte 3: field shard: expected an unsigned integer, found 0x90"},
		"shard boolean": {"\x94\x05\x01\xc3\xa1a",
			"byte 3: field shard: expected an unsigned integer, found 0xc3"},
		"id nil":      {"\x94\x05\x01\x06\xc0", "byte 4: field id: expected a string, found 0xc0"},
		"id bytes":    {"\x94\x05\x01\x06\xc4\x01a", "byte 4: field id: expected a string, found 0xc4"},
		"id a number": {"\x94\x05\x01\x06\x07", "byte 4: field id: expected a string, found 0x07"},
		"code 256": {"\x94\x00\x01\xcd\x01\x00\xa0",
			"byte 3: field code: expected at most 255, found 256"},
		"clock NaN": {"\x94\x04\x01\xca\x7f\xc0\x00\x00\xa0",
			"byte 3: field clock: expected an integer, found 0xca"},
		"clock of 64 bits": {"\x94\x04\x01\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xa0",
			"byte 3: field clock: expected at most 9223372036854775807, found 18446744073709551615"},
		"after text":      {"\x96\x0a\x01\x00\x00\xa0\x00", "byte 5: field after: expected bytes, found 0xa0"},
		"shards nil":      {"\x93\x08\x01\xc0", "byte 3: field shards: expected an array, found 0xc0"},
		"shards a number": {"\x93\x08\x01\x07", "byte 3: field shards: expected an array, found 0x07"},
		"shards negative": {"\x93\x08\x01\x92\x01\xe0",
			"byte 3: field shards: expected an unsigned integer, found 0xe0"},
		"odd counts": {"\x93\x09\x01\x91\x01",
			"byte 3: field counts: expected pairs of shard and users, found 1 elements"},
		"greeting empty":        {"\x93\x01\x01\x90", "byte 3: field greeting: expected 2 to 32 elements, found 0"},
		"greeting half a range": {"\x93\x01\x01\x91\x03", "byte 3: field greeting: expected 2 to 32 elements, found 1"},
		"greeting short":        {"\x93\x01\x01\x92\x03\x03", "byte 3: field greeting: expected 14 elements, found 2"},
		"greeting one short": {greetingBytes("\x9d", "")[:18],
			"byte 3: field greeting: expected 14 elements, found 13"},
		"greeting one more": {greetingBytes("\x9f", "") + "\x00",
			"byte 3: field greeting: expected 14 elements, found 15"},
		"greeting long": {"\x93\x01\x01\xdc\x00\x21" + strings.Repeat("\x01", 33),
			"byte 3: field greeting: expected 2 to 32 elements, found 33"},
		"greeting no elements": {"\x92\x01\x01", "byte 0: expected 3 elements for kind 1, found 2"},
		"greeting least nil": {"\x93\x01\x01\x92\xc0\xa0",
			"byte 3: field greeting: least: expected an unsigned integer, found 0xc0"},
		"greeting no range": {"\x93\x01\x01\x92\x05\x03",
			"byte 3: field greeting: most: expected at least 5, found 3"},
		"greeting role nil": {strings.Replace(greetingBytes("\x9e", ""), "\xa0\xa0\xa0\xa0", "\xa0\xc0\xa0\xa0", 1),
			"byte 3: field greeting: role: expected a string, found 0xc0"},
		"greeting incarnation": {strings.Replace(greetingBytes("\x9e", ""), "\xc4\x00", "\xc4\x011", 1),
			"byte 3: field greeting: incarnation: expected no byte or 16, found 1"},
		"greeting lease": {strings.Replace(greetingBytes("\x9e", ""), "\x18\x00", "\x18\xff", 1),
			"byte 3: field greeting: lease: expected an unsigned integer, found 0xff"},
		"two greetings": {"\x94\x01\x01" + greetingBytes("\x9e", "")[3:] + "\x00",
			"byte 0: expected 3 elements for kind 1, found 4"},
		"known of one": {"\x96\x02\x01" + greetingBytes("\x9e", "")[3:] + "\x05\x90\x91\x01",
			"field known: expected 2 to 2 elements, found 1"},
		"lease of 64 bits": {"\x98\x15\x00\x05\x05\xcf\xff\xff\xff\xff\xff\xff\xff\xff\x00\x90\x90",
			"byte 5: field lease: expected at most 9223372036854775807, found 18446744073709551615"},
		"too many founders": {"\x96\x02\x01" + greetingBytes("\x9e", "")[3:] + "\x05\xdc\x00\x41" +
			strings.Repeat("\x01", 65) + "\x92\x00\x00", "field founders: expected 0 to 64 elements, found 65"},
		"odd claims": {"\x94\x16\x00\x05\x93\x01\x01\x01",
			"byte 4: field claims: expected pairs of shard and epoch, found 3 elements"},
		"claim below zero": {"\x94\x16\x00\x05\x92\x01\xff",
			"byte 4: field claims: expected an unsigned integer, found 0xff"},
		"too many claims": {"\x94\x16\x00\x05\xdc\x20\x02" + strings.Repeat("\x01", 8194),
			"byte 4: field claims: expected 0 to 8192 elements, found 8194"},
		"at unsigned": {"\x94\x16\x00\xcf\xff\xff\xff\xff\xff\xff\xff\xff\x90",
			"byte 3: field at: expected at most 9223372036854775807"},
		"start text": {"\x98\x15\x00\xa0\x05\x00\x00\x90\x90",
			"byte 3: field start: expected an integer, found 0xa0"},
		"odd history": {"\x98\x14\x00\x01\x01\x01\x91\x01\x90\xce\x00\x00\x00\x00",
			"byte 6: field history: expected pairs of epoch and lsn, found 1 elements"},
		"raft text": {"\x94\x17\x00\xa1a\xce\x00\x00\x00\x00",
			"byte 3: field data: expected bytes, found 0xa1"},
		"raft bytes of 4 GiB": {"\x94\x17\x00\xc6\xff\xff\xff\xff\xce\x00\x00\x00\x00",
			"byte 3: expected a length of at most the 5 bytes left, found 4294967295"},
		"views of three": {"\x94\x18\x00\x93\x01\x00\x01\xce\x00\x00\x00\x00",
			"byte 3: field views: expected fours of epoch, leader, backup and insync, found 3 elements"},
		"insync a number": {"\x94\x18\x00\x94\x01\x00\x01\x01\xce\x00\x00\x00\x00",
			"byte 3: field views: insync: expected a boolean, found 0x01"},
		"leader below zero": {"\x94\x18\x00\x94\x01\xff\x01\xc3\xce\x00\x00\x00\x00",
			"byte 3: field views: leader: expected an unsigned integer, found 0xff"},
		"too many views": {"\x94\x18\x00\xdc\x10\x04" + strings.Repeat("\x01", 4100) + "\xce\x00\x00\x00\x00",
			"byte 3: field views: expected 0 to 4096 elements, found 4100"},
		"position of old": {"\x95\x0d\x00\x01\x01\x01", "byte 0: expected 6 elements for kind 13, found 5"},
		"no checksum": {"\x98\x0b\x01\x02\x05\xc2\x90\x90\x90",
			"byte 0: expected 7 elements for kind 11, found 8"},
		"checksum a number": {"\x97\x0b\x01\x02\x05\xc2\x90\x07", "byte 7: expected a CRC32C as 0xce and 4 bytes"},
		"more nil": {"\x97\x0b\x01\x02\x05\xc0\x90\xce\x00\x00\x00\x00",
			"byte 5: field more: expected a boolean, found 0xc0"},
		"more a number": {"\x97\x0b\x01\x02\x05\x01\x90\xce\x00\x00\x00\x00",
			"byte 5: field more: expected a boolean, found 0x01"},
		"match nil": {written + "\xc0\x90\xce\x00\x00\x00\x00",
			"field match: expected an array, found 0xc0"},
		"match of no kind": {written + "\x91\x00\x90\xce\x00\x00\x00\x00",
			"field match: kind: expected 1 or 2, found 0"},
		"match of kind 3": {written + "\x91\x03\x90\xce\x00\x00\x00\x00",
			"field match: kind: expected 1 or 2, found 3"},
		"match of kind 257": {written + "\x91\xcd\x01\x01\x90\xce\x00\x00\x00\x00",
			"field match: kind: expected at most 255, found 257"},
		"match of old": {written + "\x92\x01\x02\x90\xce\x00\x00\x00\x00",
			"field match: expected nothing behind kind 1 and pairs of epoch and lsn behind kind 2, found kind 1 and " +
				"1 elements"},
		"match any and more": {written + "\x93\x01\x01\x02\x90\xce\x00\x00\x00\x00",
			"field match: expected nothing behind kind 1"},
		"unless odd": {written + "\x90\x92\x02\x01\xce\x00\x00\x00\x00",
			"field unless: expected nothing behind kind 1 and pairs of epoch and lsn behind kind 2, found kind 2 and " +
				"1 elements"},
		"unless below zero": {written + "\x90\x93\x02\x01\xff\xce\x00\x00\x00\x00",
			"field unless: expected an unsigned integer, found 0xff"},
		"unless too many": {written + "\x90\xdc\x00\x23\x02" + strings.Repeat("\x01", 34) +
			"\xce\x00\x00\x00\x00", "field unless: expected 0 to 33 elements, found 35"},
		"write without unless": {strings.Replace(written, "\x9b", "\x9a", 1) + "\x90\xce\x00\x00\x00\x00",
			"byte 0: expected 11 elements for kind 6, found 10"},
		"too many shards": {"\x93\x08\x01\xdc\x10\x01" + strings.Repeat("\x00", 4097),
			"byte 3: field shards: expected 0 to 4096 elements, found 4097"},
		"last entries of three": {"\x98\x15\x00\x05\x05\x00\x00\x90\x93\x01\x02\x03",
			"byte 8: field lastentries: expected fours of shard, epoch, lastepoch and lsn, found 3 elements"},
	} {
		_, err := decoded([]byte(c.body))
		if !errors.Is(err, ErrFrame) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want a bad frame with %q", name, err, c.want)
		}
	}
}

// TestIntegersInAnyFormat: what a generic msgpack encoder writes for 6 means 6.
func TestIntegersInAnyFormat(t *testing.T) {
	for _, six := range []string{
		"\x06", "\xcc\x06", "\xcd\x00\x06", "\xce\x00\x00\x00\x06", "\xcf\x00\x00\x00\x00\x00\x00\x00\x06",
		"\xd0\x06", "\xd1\x00\x06", "\xd2\x00\x00\x00\x06", "\xd3\x00\x00\x00\x00\x00\x00\x00\x06",
	} {
		m, err := decoded([]byte("\x94\x05\x01" + six + "\xa1a"))
		if err != nil || m.Shard != 6 {
			t.Errorf("% x: %+v, %v", six, m, err)
		}
		m, err = decoded([]byte("\x94\x04\x01" + six + "\xa0"))
		if err != nil || m.Clock != 6 {
			t.Errorf("% x: %+v, %v", six, m, err)
		}
	}
}

func TestWrongChecksum(t *testing.T) {
	for _, m := range samples() {
		if !carriesData[m.Kind] {
			continue
		}
		body := NewCodec().AppendFrame(nil, m)[HeadSize:]
		body[len(body)-1] ^= 1
		_, err := decoded(body)
		want := fmt.Sprintf("over bytes 0 to %d, found 0x%x", len(body)-6, body[len(body)-4:])
		if !errors.Is(err, ErrChecksum) || errors.Is(err, ErrFrame) || !strings.Contains(err.Error(), want) {
			t.Errorf("kind %d: %v, want a bad checksum with %q", m.Kind, err, want)
		}
	}
}

// TestHostileHeads: what is no frame is refused before its body is waited for.
func TestHostileHeads(t *testing.T) {
	for name, c := range map[string]struct {
		in, want string
		class    error
	}{
		"nothing":        {"", "EOF", io.EOF},
		"cut head":       {"\xce\x00\x00", "unexpected EOF", io.ErrUnexpectedEOF},
		"cut body":       {"\xce\x00\x00\x00\x03\x92\x03", "unexpected EOF", io.ErrUnexpectedEOF},
		"body to come":   {"\xce\x00\x00\x00\x03", "unexpected EOF", io.ErrUnexpectedEOF},
		"no format byte": {"\x92\x03\x01\x00\x00", "byte 0: expected 0xce and a 4-byte length, found 0x92", ErrFrame},
		"bytes of 4 GiB": {"\xce\xff\xff\xff\xff\x93", "byte 1: expected a length of at most 1048576, found 4294967295",
			ErrFrame},
		"1 MiB and one": {"\xce\x00\x10\x00\x01\x93", "byte 1: expected a length of at most 1048576, found 1048577",
			ErrFrame},
		"11 bytes, each claiming 4 GiB": {"\xdd\xff\xff\xff\xff\xdd\xff\xff\xff\xff\x00",
			"byte 0: expected 0xce and a 4-byte length, found 0xdd", ErrFrame},
	} {
		_, err := ReadFrame(bufio.NewReader(strings.NewReader(c.in)), nil)
		if !errors.Is(err, c.class) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// allocated is the number of bytes that f allocates.
func allocated(f func()) uint64 {
	var before, behind runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&behind)
	return behind.TotalAlloc - before.TotalAlloc
}

// TestHostileFramesCostNoMemory: the worst frames allocate their error texts and little else.
func TestHostileFramesCostNoMemory(t *testing.T) {
	const frames = 50
	for name, body := range map[string]string{
		"array of 4 Gi": "\xdd\xff\xff\xff\xff", "nested arrays of 4 Gi": strings.Repeat("\xdd\xff\xff\xff\xff", 8),
		"11 bytes for 32 GiB": "\x93\x05\x01\xdd\xff\xff\xff\xff\x00\x00\x00",
		"bytes of 4 GiB":      "\x93\x05\x01\xc6\xff\xff\xff\xff",
		"a million deep":      nest(MaxFrame - 1), "many elements": "\xdd\x00\x0f\xff\xfa" +
			strings.Repeat("\x00", MaxFrame-6),
	} {
		in := []byte(body)
		spent := allocated(func() {
			for range frames {
				if _, err := decoded(in); err == nil {
					t.Errorf("%s: no error", name)
				}
			}
		})
		if spent > frames*4096 {
			t.Errorf("%s: %d bytes allocated a frame", name, spent/frames)
		}
	}
}

// TestClaimedLengthAllocatesNothing: a head that claims 1 MiB costs what has arrived, not what was claimed.
func TestClaimedLengthAllocatesNothing(t *testing.T) {
	in := bufio.NewReader(strings.NewReader("\xce\x00\x10\x00\x00" + strings.Repeat("\x00", 5000)))
	var err error
	spent := allocated(func() { _, err = ReadFrame(in, nil) })
	if !errors.Is(err, io.ErrUnexpectedEOF) || spent > 64<<10 {
		t.Errorf("%d bytes allocated, %v", spent, err)
	}
}

// TestLargestFrame: exactly MaxFrame goes through, in pieces too, and one byte more is a broken invariant of the
// sender.
func TestLargestFrame(t *testing.T) {
	text := strings.Repeat("x", MaxFrame-len("\x94\x00\x01\x0a\xdb1234"))
	frame := NewCodec().AppendFrame(nil, &Message{Kind: Error, ID: 1, Code: Disk, Text: text})
	if size := binary.BigEndian.Uint32(frame[1:]); size != MaxFrame {
		t.Fatalf("%d bytes", size)
	}
	body, err := ReadFrame(bufio.NewReaderSize(bytes.NewReader(frame), 16), nil)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := decoded(body); err != nil || m.Text != text {
		t.Errorf("%v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a frame that is too long was written")
		}
	}()
	NewCodec().AppendFrame(nil, &Message{Kind: Error, ID: 1, Code: Disk, Text: text + "x"})
}

// TestDecodedValuesAreCopies: the buffer of ReadFrame is used again while the message lives on.
func TestDecodedValuesAreCopies(t *testing.T) {
	for i, m := range samples() {
		body := NewCodec().AppendFrame(nil, m)[HeadSize:]
		got, err := decoded(body)
		if err != nil {
			t.Fatal(err)
		}
		for at := range body {
			body[at] = 0xff
		}
		if again := NewCodec().AppendFrame(nil, got); !bytes.Equal(again, NewCodec().AppendFrame(nil, samples()[i])) {
			t.Errorf("kind %d changed with the buffer", m.Kind)
		}
	}
}

// TestCheckAllocatesNothing holds for every kind.
func TestCheckAllocatesNothing(t *testing.T) {
	for _, m := range samples() {
		body := NewCodec().AppendFrame(nil, m)[HeadSize:]
		if n := testing.AllocsPerRun(100, func() { _ = Check(body) }); n != 0 {
			t.Errorf("kind %d: %v allocations", m.Kind, n)
		}
	}
}

// TestScratchIsUsedAgain: with a buffer that is large enough, reading a frame allocates nothing.
func TestScratchIsUsedAgain(t *testing.T) {
	frame := NewCodec().AppendFrame(nil, samples()[Write])
	stream := bytes.NewReader(slices.Repeat(frame, 200))
	in, scratch := bufio.NewReader(stream), make([]byte, 0, 8192)
	n := testing.AllocsPerRun(100, func() {
		if _, err := ReadFrame(in, scratch); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}
