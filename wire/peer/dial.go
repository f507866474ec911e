package peer

import (
	"bufio"
	"net"
	"time"

	"tandem/shard"
	"tandem/wire"
	"tandem/wire/proc"
)

// readBuffer is how many bytes of a connection are read ahead.
const readBuffer = 64 << 10

// Conn is a connection to a node that has welcomed this process, or with Err why there is none: then nothing is open,
// and nothing else is to be used.
type Conn struct {
	Raw    net.Conn        // without deadlines
	In     *bufio.Reader   // reads Raw; what follows the welcome may be in it already
	Codec  wire.Codec      // of the version that was agreed on
	Mine   shard.Greeting  // what this process said
	Theirs shard.Greeting  // what the node said, with the Founders of its cluster
	Known  wire.StoreStart // the newest start of this process's store that the node knows; zero for none
	Offset int64           // at least so many ns is the node's boot-time clock ahead of this machine's
	Err    error
}

// Dial is a goroutine that dials a node, greets it, waits for its welcome and hands the outcome to out, once.
//
// It dials the address that names gives, and tells names what came of it. patience holds for the look-up, again for the
// connection, and again for the welcome. mine is asked for this process's greeting when the connection stands, so that
// it says what is known by then. expected is the name that the settings give to the node.
//
// Errors: proc.ErrName while no address is known; MisfitError if the two do not fit, or the node refuses this process
// or answers no welcome; wire.ErrFrame, wire.ErrChecksum; those of net and io.
func Dial(names proc.Names, patience time.Duration, mine func() shard.Greeting, expected string, out chan<- Conn) {
	address, err := names.Next(patience)
	var raw net.Conn
	if err == nil {
		raw, err = net.DialTimeout("tcp", address, patience)
	}
	if err != nil {
		names.Tell(address, err)
		out <- Conn{Err: err}
		return
	}
	c := Conn{Raw: raw, In: bufio.NewReaderSize(raw, readBuffer), Mine: mine()}
	codec, m := wire.NewCodec(), &wire.Message{}
	hello := codec.AppendFrame(nil, &wire.Message{Kind: wire.Hello, ID: 1, Greeting: Say(c.Mine)})
	_ = raw.SetDeadline(time.Now().Add(patience))
	_, err = raw.Write(hello)
	body := []byte{}
	if err == nil {
		body, err = wire.ReadFrame(c.In, nil)
	}
	if err == nil {
		err = codec.Decode(m, body)
	}
	switch {
	case err != nil:
	case m.Kind != wire.Welcome:
		err = MisfitError{misfits[m.Code], m.Text, true}
	default:
		c.Theirs, c.Known, c.Offset = Hear(m), m.Known, m.Clock-proc.Clock()
		c.Codec, _ = codec.Agree(m.Greeting)
		if misfit, text := shard.Fits(c.Mine, c.Theirs, expected); misfit != "" {
			err = MisfitError{misfit, text, false}
		}
	}
	names.Tell(address, err)
	if err != nil {
		raw.Close()
		out <- Conn{Err: err}
		return
	}
	_ = raw.SetDeadline(time.Time{})
	out <- c
}
