package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/vmihailenco/msgpack/v5"
)

// castagnoli is the CRC32C table; it never changes.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksumSize is the length of the element that holds the checksum: 0xce and four bytes.
const checksumSize = 5

// AppendFrame appends m to b as one frame, head included, and returns the longer slice. It panics when the body would
// be longer than MaxFrame: the sender cuts lists at PageBytes, so a longer one is a broken invariant.
func (c Codec) AppendFrame(b []byte, m *Message) []byte {
	start := len(b)
	out := bytes.NewBuffer(append(b, Uint32Byte, 0, 0, 0, 0))
	enc := msgpack.GetEncoder()
	enc.Reset(out)
	enc.UseCompactInts(true)
	layout, elements := c.layouts[m.Kind], 2
	if carriesData[m.Kind] {
		elements++
	}
	for i := range layout {
		if f := &layout[i]; f.since <= c.version && (f.until == 0 || f.until >= c.version) {
			elements++
		}
	}
	_ = enc.EncodeArrayLen(elements) // a bytes.Buffer never fails
	_ = enc.EncodeUint(uint64(m.Kind))
	_ = enc.EncodeUint(m.ID)
	for i := range layout {
		if f := &layout[i]; f.since <= c.version && (f.until == 0 || f.until >= c.version) {
			_ = f.put(enc, m)
		}
	}
	msgpack.PutEncoder(enc)
	b = out.Bytes()
	body := b[start+HeadSize:]
	if carriesData[m.Kind] {
		b = append(b, Uint32Byte)
		b = binary.BigEndian.AppendUint32(b, crc32.Checksum(body, castagnoli))
	}
	size := len(b) - start - HeadSize
	if size > MaxFrame {
		panic(fmt.Sprintf("wire: a frame of kind %d has %d bytes, more than %d", m.Kind, size, MaxFrame))
	}
	binary.BigEndian.PutUint32(b[start+1:], uint32(size))
	return b
}
