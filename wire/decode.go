package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/vmihailenco/msgpack/v5"
)

// Decode reads one body as ReadFrame returned it into m, whatever was there. Strings and bytes of the message are
// copies; the list of entries is the one that m had, so that who hands it on copies it. Errors are of class ErrFrame,
// with the byte or the field that was wrong and what was expected, or ErrChecksum; after either the connection is of no
// use.
//
// What follows the greeting of a welcome is of the version that its sender and this side agree on; of a greeting that
// does not meet this side's versions nothing else is known, so the rest is left alone.
func (c Codec) Decode(m *Message, body []byte) error {
	if err := Check(body); err != nil {
		return err
	}
	*m = Message{Entries: m.Entries[:0]}
	in := bytes.NewReader(body)
	dec := msgpack.GetDecoder()
	defer msgpack.PutDecoder(dec)
	dec.Reset(in)
	n, _ := dec.DecodeArrayLen() // Check has seen that it is an array
	if n < 2 {
		return fmt.Errorf("%w: byte 0: expected an array of kind, request id and fields, found %d elements", ErrFrame, n)
	}
	at := len(body) - in.Len()
	kind, err := unsigned(dec, uint64(kindEnd-1))
	if err != nil {
		return fmt.Errorf("%w: byte %d: kind: %w", ErrFrame, at, err)
	}
	m.Kind = Kind(kind)
	at = len(body) - in.Len()
	if m.ID, err = unsigned(dec, math.MaxUint64); err != nil {
		return fmt.Errorf("%w: byte %d: request id: %w", ErrFrame, at, err)
	}
	layout, version, want := c.layouts[kind], c.version, 2
	if greets := m.Kind == Hello || m.Kind == Welcome; greets && n > 2 {
		at = len(body) - in.Len()
		if err = layout[0].get(dec, m); err != nil {
			return fmt.Errorf("%w: byte %d: field %s: %w", ErrFrame, at, layout[0].name, err)
		}
		if m.Greeting.Most < c.least || m.Greeting.Least > c.most {
			return nil
		}
		layout, version, want = layout[1:], min(c.most, m.Greeting.Most), 3
	}
	if carriesData[kind] {
		want++
	}
	for i := range layout {
		if f := &layout[i]; f.since <= version && (f.until == 0 || f.until >= version) {
			want++
		}
	}
	if n != want {
		return fmt.Errorf("%w: byte 0: expected %d elements for kind %d, found %d", ErrFrame, want, kind, n)
	}
	for i := range layout {
		f := &layout[i]
		if f.since > version || f.until > 0 && f.until < version {
			continue
		}
		at = len(body) - in.Len()
		if err = f.get(dec, m); err != nil {
			return fmt.Errorf("%w: byte %d: field %s: %w", ErrFrame, at, f.name, err)
		}
	}
	if !carriesData[kind] {
		return nil
	}
	return checkSum(body, len(body)-in.Len())
}

// checkSum looks whether the last element of a body, from byte at on, is the CRC32C over all before it. Errors:
// ErrFrame, ErrChecksum.
func checkSum(body []byte, at int) error {
	data, sum := body[:at], body[at:]
	if len(sum) != checksumSize || sum[0] != Uint32Byte {
		return fmt.Errorf("%w: byte %d: expected a CRC32C as 0xce and 4 bytes", ErrFrame, len(data))
	}
	if crc := crc32.Checksum(data, castagnoli); crc != binary.BigEndian.Uint32(sum[1:]) {
		return fmt.Errorf("%w: expected CRC32C 0x%08x over bytes 0 to %d, found 0x%x", ErrChecksum, crc, len(data)-1, sum[1:])
	}
	return nil
}
