package wire

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"reflect"
	"testing"
	"testing/iotest"
)

// bodies are the seeds of the fuzz targets: every kind, and the frames that break a careless decoder.
func bodies() [][]byte {
	all := [][]byte{
		{}, {0xdd, 0xff, 0xff, 0xff, 0xff}, {0x93, 5, 1, 0xc6, 0xff, 0xff, 0xff, 0xff}, {0x92, 3, 1, 0},
		{0x94, 5, 1, 0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 1, 0xa0}, {0x93, 5, 1, 0xd6, 0xff, 0, 0, 0, 0}, []byte(nest(9)),
	}
	for _, m := range samples() {
		all = append(all, NewCodec().AppendFrame(nil, m)[HeadSize:])
	}
	return all
}

// FuzzCheck: the pre-pass never panics, says ErrFrame or nothing, and agrees with a plain recursive walk.
func FuzzCheck(f *testing.F) {
	for _, body := range bodies() {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		err := Check(body)
		if err != nil && !errors.Is(err, ErrFrame) {
			t.Fatalf("%v is of no class", err)
		}
		rest, ok := walk(body, 0)
		isArray := ok && (body[0]&0xf0 == fixArray || body[0] == array16 || body[0] == array32)
		if want := isArray && len(rest) == 0; want != (err == nil) {
			t.Fatalf("% x: %v, the walk says %v", body, err, want)
		}
	})
}

// walk is the same check written for reading rather than for speed: it returns what follows the value that b starts
// with.
func walk(b []byte, depth int) ([]byte, bool) {
	if len(b) == 0 {
		return nil, false
	}
	c, b := b[0], b[1:]
	width := map[byte]int{0xc0: 0, 0xc2: 0, 0xc3: 0, 0xca: 4, 0xcb: 8, 0xcc: 1, 0xcd: 2, 0xce: 4, 0xcf: 8, 0xd0: 1,
		0xd1: 2, 0xd2: 4, 0xd3: 8}
	field := map[byte]int{0xc4: 1, 0xc5: 2, 0xc6: 4, 0xd9: 1, 0xda: 2, 0xdb: 4, 0xdc: 2, 0xdd: 4}
	size, fixed := width[c]
	bytesOfLength, long := field[c]
	if len(b) < bytesOfLength {
		return nil, false
	}
	for _, digit := range b[:bytesOfLength] {
		size = size<<8 | int(digit)
	}
	b = b[bytesOfLength:]
	isArray := c>>4 == 9 || c == 0xdc || c == 0xdd
	switch {
	case c < 0x80 || c >= 0xe0 || fixed || long:
	case c>>4 == 9:
		size = int(c & 15)
	case c>>5 == 5:
		size = int(c & 31)
	default:
		return nil, false
	}
	if size > len(b) || (isArray && depth == MaxDepth) {
		return nil, false
	}
	if !isArray {
		return b[size:], true
	}
	ok := true
	for i := 0; i < size && ok; i++ {
		b, ok = walk(b, depth+1)
	}
	return b, ok
}

// FuzzDecode: decoding never panics and allocates no more than a fixed multiple of the body; what it accepts is written
// again to bytes that give an equal message, and those bytes are a fixed point. A checksum is put right first, for a
// fuzzer hardly finds one.
func FuzzDecode(f *testing.F) {
	for _, body := range bodies() {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		body = body[:min(len(body), MaxFrame)] // ReadFrame lets no longer one through
		var m *Message
		var err error
		spent := allocated(func() { m, err = decoded(body) })
		if limit := uint64(64*len(body) + 64<<10); spent > limit {
			t.Fatalf("%d bytes allocated for a body of %d", spent, len(body))
		}
		if err != nil && !errors.Is(err, ErrFrame) && !errors.Is(err, ErrChecksum) {
			t.Fatalf("%v is of no class", err)
		}
		if errors.Is(err, ErrChecksum) {
			m, err = decoded(mended(body))
		}
		if err != nil {
			return
		}
		frame := NewCodec().AppendFrame(nil, m)
		again, err := decoded(frame[HeadSize:])
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Fatalf("%+v was written and read as %+v, %v", m, again, err)
		}
		if !bytes.Equal(NewCodec().AppendFrame(nil, again), frame) {
			t.Fatalf("%+v is written in two ways", m)
		}
	})
}

// mended is body with the right checksum in its last five bytes.
func mended(body []byte) []byte {
	data := bytes.Clone(body[:len(body)-checksumSize])
	return binary.BigEndian.AppendUint32(append(data, Uint32Byte), crc32.Checksum(data, castagnoli))
}

// FuzzReadFrame: whatever the bytes and however they arrive, each frame read is the next one of the stream, and the
// buffer stays within what has arrived.
func FuzzReadFrame(f *testing.F) {
	var stream []byte
	for _, m := range samples() {
		stream = NewCodec().AppendFrame(stream, m)
	}
	f.Add(stream)
	f.Add(stream[:len(stream)-3])
	f.Add([]byte{Uint32Byte, 0, 0, 0, 0, Uint32Byte, 0, 0, 0, 1, 0x90})
	f.Add([]byte{Uint32Byte, 0, 0x10, 0, 0, 1, 2, 3})
	f.Add([]byte{Uint32Byte, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte("GET 13AE742\n"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		slow := bufio.NewReaderSize(iotest.OneByteReader(bytes.NewReader(stream)), 16)
		var scratch []byte
		for rest := stream; ; {
			body, err := ReadFrame(slow, scratch)
			if err == nil {
				frame := rest[:HeadSize+len(body)]
				if frame[0] != Uint32Byte || !bytes.Equal(frame[HeadSize:], body) {
					t.Fatalf("% x was read as % x", frame, body)
				}
				rest, scratch = rest[len(frame):], body
				continue
			}
			if (err == io.EOF) != (len(rest) == 0) {
				t.Fatalf("%v with %d bytes left", err, len(rest))
			}
			if err != io.EOF && err != io.ErrUnexpectedEOF && !errors.Is(err, ErrFrame) {
				t.Fatalf("%v is of no class", err)
			}
			if cap(scratch) > 4*len(stream)+8192 {
				t.Fatalf("a buffer of %d bytes for a stream of %d", cap(scratch), len(stream))
			}
			return
		}
	})
}
