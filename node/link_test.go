package main

import (
	"bufio"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"tandem/wire"
)

// lateConn is a connection whose read deadline has passed so many times before what is there can be read.
type lateConn struct {
	net.Conn
	late *int
	data []byte
}

func (c lateConn) SetReadDeadline(time.Time) error { return nil }

func (c lateConn) Read(b []byte) (int, error) {
	if *c.late--; *c.late >= 0 {
		return 0, os.ErrDeadlineExceeded
	}
	return copy(b, c.data), nil
}

// A deadline that passed while this process stood still does not end a connection by which a frame has come; silence
// does.
func TestPauseIsNoSilence(t *testing.T) {
	frame := wire.NewCodec().AppendFrame(nil, &wire.Message{Kind: wire.Pong, Clock: 7})
	for late, alive := range []bool{true, true, false} {
		left := late
		raw := lateConn{late: &left, data: frame}
		in := bufio.NewReader(raw)
		_, err := awaitFrame(raw, in, time.Time{}, time.Second)
		if alive != (err == nil) || err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%d deadlines passed: %v", late, err)
		}
		if body, bad := wire.ReadFrame(in, nil); alive &&
			(bad != nil || wire.NewCodec().Decode(&wire.Message{}, body) != nil) {
			t.Errorf("the frame after it: %v", bad)
		}
	}
}
