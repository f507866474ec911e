package wire

import (
	"encoding/binary"
	"fmt"
)

// MaxDepth is how deep arrays may nest in a body.
const MaxDepth = 8

// The msgpack format bytes that the pre-pass tells apart (msgpack specification, "Formats").
const (
	fixMap, fixArray, fixStr, fixNeg = 0x80, 0x90, 0xa0, 0xe0
	fixStrEnd, nilByte               = 0xbf, 0xc0
	bin8, bin32                      = 0xc4, 0xc6
	ext8, ext32                      = 0xc7, 0xc9
	falseByte, trueByte, neverUsed   = 0xc2, 0xc3, 0xc1
	uint8Byte, uint64Byte            = 0xcc, 0xcf
	int8Byte, int64Byte              = 0xd0, 0xd3
	fixExt1, fixExt16                = 0xd4, 0xd8
	str8, str32                      = 0xd9, 0xdb
	array16, array32                 = 0xdc, 0xdd
)

// sizes gives the number of payload bytes behind each format byte from 0xc0 to 0xdf; of a format with a length field it
// is the size of that field.
var sizes = [32]int{
	0, 0, 0, 0, 1, 2, 4, 1, 2, 4, 4, 8, 1, 2, 4, 8,
	1, 2, 4, 8, 2, 3, 5, 9, 17, 1, 2, 4, 2, 4, 2, 4,
}

// Check is the pre-pass over a body before anything is decoded: one msgpack array, nested at most MaxDepth deep, every
// length within the bytes that are left, nothing trailing, no maps and no extension types. It is one loop without
// recursion and allocates nothing. The error is of class ErrFrame and names the byte (counted from the start of the
// body) and what was expected.
func Check(body []byte) error {
	var left [MaxDepth + 1]int // elements still to come, a level each
	depth, at := 0, 0
	left[0] = 1
	for depth > 0 || left[0] > 0 {
		if left[depth] == 0 {
			depth--
			continue
		}
		left[depth]--
		if at >= len(body) {
			return fmt.Errorf("%w: byte %d: expected %d more elements, found the end", ErrFrame, at, left[depth]+1)
		}
		c, start := body[at], at
		at++
		count, skip := 0, 0
		isArray := c&0xf0 == fixArray || c == array16 || c == array32
		switch {
		case depth == 0 && !isArray:
			return fmt.Errorf("%w: byte 0: expected an array, found 0x%02x", ErrFrame, c)
		case c < fixMap || c >= fixNeg:
		case c&0xf0 == fixArray:
			count = int(c & 0x0f)
		case c >= fixStr && c <= fixStrEnd:
			skip = int(c & 0x1f)
		case c < fixArray, c == 0xde, c == 0xdf, c == neverUsed, c >= ext8 && c <= ext32, c >= fixExt1 && c <= fixExt16:
			return fmt.Errorf("%w: byte %d: expected nil, a boolean, a number, a string, bytes or an array, found 0x%02x", ErrFrame, start, c)
		default:
			skip = sizes[c-0xc0]
		}
		hasLength := (c >= bin8 && c <= bin32) || (c >= str8 && c <= array32)
		if skip > len(body)-at {
			return fmt.Errorf("%w: byte %d: expected %d bytes, %d are left", ErrFrame, start, skip, len(body)-at)
		}
		if hasLength {
			var field [8]byte
			copy(field[8-skip:], body[at:at+skip])
			at += skip
			count, skip = int(binary.BigEndian.Uint64(field[:])), 0
			if !isArray {
				count, skip = 0, count
			}
		}
		if skip > len(body)-at || count > len(body)-at {
			return fmt.Errorf("%w: byte %d: expected a length of at most the %d bytes left, found %d", ErrFrame, start, len(body)-at, skip+count)
		}
		at += skip
		if isArray && depth == MaxDepth {
			return fmt.Errorf("%w: byte %d: expected arrays nested at most %d deep", ErrFrame, start, MaxDepth)
		}
		if isArray {
			depth++
			left[depth] = count
		}
	}
	if at != len(body) {
		return fmt.Errorf("%w: byte %d: expected the end, found %d trailing bytes", ErrFrame, at, len(body)-at)
	}
	return nil
}
