package wire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// The protocol versions that this build speaks, which hello and welcome carry. What came before was never released.
const (
	Least = 3
	Most  = 3
)

const (
	// Uint32Byte is the first byte of every frame: msgpack's format byte of a uint 32.
	Uint32Byte = 0xce
	// HeadSize is the number of bytes before a body: Uint32Byte and a big-endian uint32 length.
	HeadSize = 5
	// MaxFrame is the largest body in bytes.
	MaxFrame = 1 << 20
	// PageBytes is the size at which a sender cuts a list of records or entries into a further frame: the frame limit
	// less room for the largest record.
	PageBytes = MaxFrame / 2
)

// ErrFrame is the class of every malformed frame: its text says at which byte and what was expected.
var ErrFrame = errors.New("bad frame")

// ErrChecksum is the class of a frame whose CRC32C does not fit its bytes.
var ErrChecksum = errors.New("bad checksum")

// ReadFrame reads one frame from r and returns its body, which is valid until scratch is used again. The buffer grows
// with the bytes that have arrived, never with the length that a frame merely claims. Errors: io.EOF between frames,
// io.ErrUnexpectedEOF within one, ErrFrame for a bad head, and what r returns.
func ReadFrame(r *bufio.Reader, scratch []byte) ([]byte, error) {
	return ReadFrameUpTo(r, scratch, MaxFrame)
}

// ReadFrameUpTo is ReadFrame with a limit in bytes of its own, for a sender that has no large frames to send.
func ReadFrameUpTo(r *bufio.Reader, scratch []byte, most int) ([]byte, error) {
	head, err := r.Peek(HeadSize)
	if err == io.EOF && len(head) > 0 {
		return nil, io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, err
	}
	if head[0] != Uint32Byte {
		return nil, fmt.Errorf("%w: byte 0: expected 0xce and a 4-byte length, found 0x%02x", ErrFrame, head[0])
	}
	size := int(binary.BigEndian.Uint32(head[1:]))
	if size > most {
		return nil, fmt.Errorf("%w: byte 1: expected a length of at most %d, found %d", ErrFrame, most, size)
	}
	if _, err = r.Discard(HeadSize); err != nil {
		return nil, err
	}
	body := scratch[:0]
	for len(body) < size {
		step := min(size-len(body), max(len(body), 4096))
		body = slices.Grow(body, step)[:len(body)+step]
		if _, err = io.ReadFull(r, body[len(body)-step:]); err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, err
		}
	}
	return body, nil
}
