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

// dial is what the stages of a dial know so far.
type dial struct {
	names    proc.Names
	patience time.Duration
	mine     func() shard.Greeting
	expected string
	address  string       // which names gave
	conn     Conn         // its Err ends the dial
	codec    wire.Codec   // of the greeting
	answer   wire.Message // to the hello
}

// dialStages are a dial. The list never changes.
var dialStages = [...]func(dial) dial{connect, sayHello, awaitAnswer, checkWelcome}

// Dial dials a node, greets it, waits for its welcome and returns the connection, or why there is none.
//
// It dials the address that names gives, and tells names what came of it. patience holds for the look-up, again for the
// connection, and again for the welcome. mine is asked for this process's greeting when the connection stands, so that
// it says what is known by then. expected is the name that the settings give to the node.
//
// Errors: proc.ErrName while no address is known; MisfitError if the two do not fit, or the node refuses this process
// or answers no welcome; wire.ErrFrame, wire.ErrChecksum; those of net and io.
func Dial(names proc.Names, patience time.Duration, mine func() shard.Greeting, expected string) Conn {
	d := dial{names: names, patience: patience, mine: mine, expected: expected}
	for _, stage := range dialStages {
		if d.conn.Err == nil {
			d = stage(d)
		}
	}
	names.Tell(d.address, d.conn.Err)
	switch {
	case d.conn.Err == nil:
		_ = d.conn.Raw.SetDeadline(time.Time{})
		return d.conn
	case d.conn.Raw != nil:
		d.conn.Raw.Close()
	}
	return Conn{Err: d.conn.Err}
}

// connect makes a connection to the next address of the node.
func connect(d dial) dial {
	if d.address, d.conn.Err = d.names.Next(d.patience); d.conn.Err != nil {
		return d
	}
	raw, err := net.DialTimeout("tcp", d.address, d.patience)
	if err != nil {
		d.conn.Err = err
		return d
	}
	d.conn.Raw, d.conn.In = raw, bufio.NewReaderSize(raw, readBuffer)
	return d
}

// sayHello sends this process's greeting, and sets the time for it and the answer.
func sayHello(d dial) dial {
	d.conn.Mine, d.codec = d.mine(), wire.NewCodec()
	hello := d.codec.AppendFrame(nil, &wire.Message{Kind: wire.Hello, ID: 1, Greeting: Say(d.conn.Mine)})
	_ = d.conn.Raw.SetDeadline(time.Now().Add(d.patience))
	_, d.conn.Err = d.conn.Raw.Write(hello)
	return d
}

// awaitAnswer reads the frame that answers the hello.
func awaitAnswer(d dial) dial {
	body, err := wire.ReadFrame(d.conn.In, nil)
	if err == nil {
		err = d.codec.Decode(&d.answer, body)
	}
	d.conn.Err = err
	return d
}

// checkWelcome takes what a welcome says, and looks whether the two fit. What is no welcome is a refusal.
func checkWelcome(d dial) dial {
	m := &d.answer
	if m.Kind != wire.Welcome {
		d.conn.Err = MisfitError{misfits[m.Code], m.Text, true}
		return d
	}
	d.conn.Theirs, d.conn.Known, d.conn.Offset = Hear(m), m.Known, m.Clock-proc.Clock()
	d.conn.Codec, _ = d.codec.Agree(m.Greeting)
	if misfit, text := shard.Fits(d.conn.Mine, d.conn.Theirs, d.expected); misfit != "" {
		d.conn.Err = MisfitError{misfit, text, false}
	}
	return d
}
