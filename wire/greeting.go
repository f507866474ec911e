package wire

import (
	"fmt"

	"github.com/vmihailenco/msgpack/v5"
)

// greetingMost is how many elements a greeting has at most, in any version.
const greetingMost = 32

// greetingParts are the elements of a greeting, in order. The first two stay what they are for ever, so that any
// version can be refused by name, and a later version has further ones behind the others only.
var greetingParts = []field{
	number("least", func(m *Message) *uint64 { return &m.Greeting.Least }),
	number("most", func(m *Message) *uint64 { return &m.Greeting.Most }),
	words("cluster", func(m *Message) *string { return &m.Greeting.Cluster }),
	words("role", func(m *Message) *string { return &m.Greeting.Role }),
	words("name", func(m *Message) *string { return &m.Greeting.Name }),
	words("build", func(m *Message) *string { return &m.Greeting.Build }),
	plain("incarnation", putIncarnation, getIncarnation),
	number("ring", func(m *Message) *uint64 { return &m.Greeting.Ring }),
	number("shards", func(m *Message) *uint64 { return &m.Greeting.Shards }),
	span("lease", func(m *Message) *int64 { return &m.Greeting.Lease }),
	span("grace", func(m *Message) *int64 { return &m.Greeting.Grace }),
	number("store", func(m *Message) *uint64 { return &m.Greeting.Store }),
	number("start", func(m *Message) *uint64 { return &m.Greeting.Start.Number }),
	number("nonce", func(m *Message) *uint64 { return &m.Greeting.Start.Nonce }),
}

// rangeParts is how many parts say which versions the sender speaks.
const rangeParts = 2

// greets is the greeting of who speaks the versions from least to most, with the parts of all of them. Who greets
// writes the parts of the latest version that it speaks itself, for it does not know the other side yet; who reads
// takes those that it knows, and passes over what a version that it does not know has behind them. What follows a range
// that does not meet its own it passes over, too, so that who speaks it is refused for that and not for a malformed
// frame.
func greets(parts []field, least, most uint64) field {
	put := func(e *msgpack.Encoder, m *Message) error {
		n := min(rangeParts, len(parts)) // the range is of every version, of those that nobody speaks any more, too
		for n < len(parts) && parts[n].since <= m.Greeting.Most {
			n++
		}
		err := e.EncodeArrayLen(n)
		for i := 0; i < n && err == nil; i++ {
			err = parts[i].put(e, m)
		}
		return err
	}
	get := func(d *msgpack.Decoder, m *Message) error {
		n, err := length(d, rangeParts, greetingMost)
		g := &m.Greeting
		for i := 0; i < rangeParts && err == nil; i++ {
			if err = parts[i].get(d, m); err != nil {
				return fmt.Errorf("%s: %w", parts[i].name, err)
			}
		}
		if err == nil && g.Least > g.Most {
			err = fmt.Errorf("most: expected at least %d, found %d", g.Least, g.Most)
		}
		want, meets := rangeParts, g.Most >= least && g.Least <= most
		for meets && want < len(parts) && parts[want].since <= g.Most {
			want++
		}
		if err == nil && meets && (n < want || n > want && g.Most <= most) {
			err = fmt.Errorf("expected %d elements, found %d", want, n)
		}
		for i := rangeParts; i < want && err == nil; i++ {
			if err = parts[i].get(d, m); err != nil {
				return fmt.Errorf("%s: %w", parts[i].name, err)
			}
		}
		for ; want < n && err == nil; want++ {
			err = d.Skip()
		}
		return err
	}
	return plain("greeting", put, get)
}

// putIncarnation writes none as no bytes.
func putIncarnation(e *msgpack.Encoder, m *Message) error {
	b := m.Greeting.Incarnation[:]
	if m.Greeting.Incarnation == [16]byte{} {
		b = b[:0]
	}
	return e.EncodeBytes(b)
}

func getIncarnation(d *msgpack.Decoder, m *Message) error {
	b, err := blob(d)
	if err == nil && len(b) != 0 && len(b) != len(m.Greeting.Incarnation) {
		err = fmt.Errorf("expected no byte or %d, found %d", len(m.Greeting.Incarnation), len(b))
	}
	copy(m.Greeting.Incarnation[:], b)
	return err
}
