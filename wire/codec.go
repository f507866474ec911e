package wire

import (
	"cmp"
	"errors"
	"fmt"
	"math"

	"github.com/vmihailenco/msgpack/v5"
)

// field is one element of a body: its name in errors and in the frame table, how it is written and read, and the
// versions that have it.
type field struct {
	name  string
	put   func(*msgpack.Encoder, *Message) error
	get   func(*msgpack.Decoder, *Message) error
	since uint64 // the first version that has it
	until uint64 // the last one, 0 while there is none
}

// Codec writes and reads frames as one version of the protocol has them. It is a value that never changes, so any
// goroutine may use it.
type Codec struct {
	least, most uint64    // what this side speaks
	version     uint64    // as which frames are written and read
	layouts     [][]field // by kind, of all versions
}

// NewCodec is for a connection that has not greeted yet. Hello, the greeting in welcome and error are the same in every
// version, but that a later one may have more at the end of the greeting.
func NewCodec() Codec { return Codec{Least, Most, Most, layouts} }

// Agree returns the codec for a connection to who greets so: of the versions that both sides speak the latest. False if
// there is none.
func (c Codec) Agree(g Greeting) (Codec, bool) {
	return Codec{c.least, c.most, min(c.most, g.Most), c.layouts}, g.Least <= c.most && g.Most >= c.least
}

// As returns the codec for a connection for which that version has been agreed on.
func (c Codec) As(version uint64) Codec { return Codec{c.least, c.most, version, c.layouts} }

// Version returns the version as which frames are written and read.
func (c Codec) Version() uint64 { return c.version }

// layouts is the frame table: the fields behind kind and request id, in order. It never changes at run time.
var layouts = [][]field{
	Error:       {code, text},
	Hello:       {greeting},
	Welcome:     {greeting, clock, founders, known},
	Ping:        {},
	Pong:        {clock, text},
	Get:         {shard, userID},
	Write:       {shard, deadline, request, op, fields, record, match, unless},
	Outcome:     {result, touched, record},
	Count:       {set},
	Counts:      {counts},
	List:        {shard, offset, after, limit},
	Page:        {shard, users, more, records},
	Ask:         {shard, epoch},
	Position:    {shard, epoch, lsn, lastepoch},
	Append:      {shard, epoch, lsn, applied, entries},
	Stored:      {shard, epoch, lsn},
	Applied:     {shard, epoch, lsn},
	StreamError: {shard, epoch, code, text},

	SnapBegin: {shard, epoch, lsn},
	SnapData:  {shard, epoch, records},
	SnapEnd:   {shard, epoch, lsn, history, entries},
	LeasePing: {start, at, lease, state, claims, lastentries},
	LeasePong: {at, claims},
	Raft:      {data},
	Views:     {views},
}

// carriesData tells the kinds that bear a CRC32C as their last element.
var carriesData = [kindEnd]bool{Write: true, Outcome: true, Page: true, Append: true, SnapData: true, SnapEnd: true,
	Raft: true, Views: true}

// limits on lists, so that a small frame cannot make a large value.
const (
	maxMatch       = 16
	maxSet         = 4096
	maxRecords     = 1000
	maxEntries     = 4096
	maxFounders    = 64
	maxHistory     = 4096
	maxClaims      = 4096
	maxViews       = 1024
	maxLastEntries = 1024
)

var (
	shard     = number("shard", func(m *Message) *uint64 { return &m.Shard })
	epoch     = number("epoch", func(m *Message) *uint64 { return &m.Epoch })
	lsn       = number("lsn", func(m *Message) *uint64 { return &m.LSN })
	applied   = number("applied", func(m *Message) *uint64 { return &m.Applied })
	lastepoch = number("lastepoch", func(m *Message) *uint64 { return &m.LastEpoch })
	touched   = number("touched", func(m *Message) *uint64 { return &m.Touched })
	offset    = number("offset", func(m *Message) *uint64 { return &m.Offset })
	limit     = number("limit", func(m *Message) *uint64 { return &m.Limit })
	users     = number("users", func(m *Message) *uint64 { return &m.Users })
	clock     = instant("clock", func(m *Message) *int64 { return &m.Clock })
	deadline  = instant("deadline", func(m *Message) *int64 { return &m.Deadline })
	lease     = span("lease", func(m *Message) *int64 { return &m.Lease })
	start     = instant("start", func(m *Message) *int64 { return &m.Start })
	at        = instant("at", func(m *Message) *int64 { return &m.At })
	code      = small("code", func(m *Message) *uint8 { return (*uint8)(&m.Code) })
	op        = small("op", func(m *Message) *uint8 { return &m.Op })
	fields    = small("fields", func(m *Message) *uint8 { return &m.Fields })
	state     = small("state", func(m *Message) *uint8 { return &m.State })
	result    = small("result", func(m *Message) *uint8 { return &m.Result })
	text      = words("text", func(m *Message) *string { return &m.Text })
	userID    = words("id", func(m *Message) *string { return &m.Record.ID })
	request   = plain("request", putRequest, getRequest)
	after     = bytesOf("after", func(m *Message) *[]byte { return &m.After })
	data      = bytesOf("data", func(m *Message) *[]byte { return &m.Data })
	more      = plain("more", putMore, getMore)
	known     = plain("known", putKnown, getKnown)
	greeting  = greets(greetingParts, Least, Most)
	record    = plain("record", putRecord, getRecord)
	match     = condition("match", func(m *Message) *Condition { return &m.Match })
	unless    = condition("unless", func(m *Message) *Condition { return &m.Unless })
	history   = pairs("history", "epoch and lsn", maxHistory, func(m *Message) *[]LogPosition { return &m.History },
		splitPlace, joinPlace)
	claims = pairs("claims", "shard and epoch", maxClaims, func(m *Message) *[]Claim { return &m.Claims }, splitClaim,
		joinClaim)
	counts = pairs("counts", "shard and users", maxSet, func(m *Message) *[]ShardCount { return &m.Counts },
		splitCount, joinCount)
	set         = numbers("shards", maxSet, func(m *Message) *[]uint64 { return &m.Set })
	founders    = numbers("founders", maxFounders, func(m *Message) *[]uint64 { return &m.Founders })
	views       = plain("views", putViews, getViews)
	records     = plain("records", putRecords, getRecords)
	entries     = plain("entries", putEntries, getEntries)
	lastentries = plain("lastentries", putLastEntries, getLastEntries)
)

// plain is a field of every version since the first.
func plain(name string, put func(*msgpack.Encoder, *Message) error, get func(*msgpack.Decoder, *Message) error) field {
	return field{name: name, put: put, get: get, since: Least}
}

func number(name string, at func(*Message) *uint64) field {
	return plain(name,
		func(e *msgpack.Encoder, m *Message) error { return e.EncodeUint(*at(m)) },
		func(d *msgpack.Decoder, m *Message) (err error) {
			*at(m), err = unsigned(d, math.MaxUint64)
			return err
		})
}

func instant(name string, at func(*Message) *int64) field {
	return plain(name,
		func(e *msgpack.Encoder, m *Message) error { return e.EncodeInt(*at(m)) },
		func(d *msgpack.Decoder, m *Message) (err error) { *at(m), err = signed(d); return err })
}

// span is a time of some ns, which is never below zero.
func span(name string, at func(*Message) *int64) field {
	return plain(name,
		func(e *msgpack.Encoder, m *Message) error { return e.EncodeInt(*at(m)) },
		func(d *msgpack.Decoder, m *Message) error {
			n, err := unsigned(d, math.MaxInt64)
			*at(m) = int64(n)
			return err
		})
}

func small(name string, at func(*Message) *uint8) field {
	return plain(name,
		func(e *msgpack.Encoder, m *Message) error { return e.EncodeUint(uint64(*at(m))) },
		func(d *msgpack.Decoder, m *Message) error {
			n, err := unsigned(d, math.MaxUint8)
			*at(m) = uint8(n)
			return err
		})
}

func words(name string, at func(*Message) *string) field {
	return plain(name,
		func(e *msgpack.Encoder, m *Message) error { return e.EncodeString(*at(m)) },
		func(d *msgpack.Decoder, m *Message) (err error) { *at(m), err = str(d); return err })
}

func bytesOf(name string, at func(*Message) *[]byte) field {
	return plain(name,
		func(e *msgpack.Encoder, m *Message) error { return e.EncodeBytes(*at(m)) },
		func(d *msgpack.Decoder, m *Message) (err error) { *at(m), err = blob(d); return err })
}

// numbers is a list of unsigned integers.
func numbers(name string, most int, at func(*Message) *[]uint64) field {
	return plain(name,
		func(e *msgpack.Encoder, m *Message) error {
			err := e.EncodeArrayLen(len(*at(m)))
			for _, v := range *at(m) {
				err = errors.Join(err, e.EncodeUint(v))
			}
			return err
		},
		func(d *msgpack.Decoder, m *Message) error {
			n, err := length(d, 0, most)
			for ; err == nil && n > 0; n-- {
				var v uint64
				v, err = unsigned(d, math.MaxUint64)
				*at(m) = append(*at(m), v)
			}
			return err
		})
}

// pairs is a list of two unsigned integers each, written flat; parts names the two in errors.
func pairs[T any](name, parts string, most int, at func(*Message) *[]T, split func(T) (a, b uint64),
	join func(a, b uint64) T) field {
	return plain(name,
		func(e *msgpack.Encoder, m *Message) error {
			err := e.EncodeArrayLen(2 * len(*at(m)))
			for _, p := range *at(m) {
				a, b := split(p)
				err = errors.Join(err, e.EncodeUint(a), e.EncodeUint(b))
			}
			return err
		},
		func(d *msgpack.Decoder, m *Message) error {
			n, err := length(d, 0, 2*most)
			if err == nil && n%2 != 0 {
				err = fmt.Errorf("expected pairs of %s, found %d elements", parts, n)
			}
			for ; err == nil && n > 0; n -= 2 {
				a, badA := unsigned(d, math.MaxUint64)
				b, badB := unsigned(d, math.MaxUint64)
				*at(m), err = append(*at(m), join(a, b)), cmp.Or(badA, badB)
			}
			return err
		})
}

// The readers below look at the format byte first: the library takes nil for 0 and for "", wraps negative numbers into
// huge unsigned ones, cuts 257 down to 1, and takes bytes for text. None of that may pass for a value.

// unsigned reads a whole number from 0 to most, in any of msgpack's integer formats.
func unsigned(d *msgpack.Decoder, most uint64) (uint64, error) {
	c, err := d.PeekCode()
	if err != nil {
		return 0, err
	}
	if c >= fixMap && (c < uint8Byte || c > int64Byte) {
		return 0, fmt.Errorf("expected an unsigned integer, found 0x%02x", c)
	}
	n, err := d.DecodeUint64()
	if c >= int8Byte && int64(n) < 0 {
		return 0, fmt.Errorf("expected an unsigned integer, found %d", int64(n))
	}
	if n > most {
		return 0, fmt.Errorf("expected at most %d, found %d", most, n)
	}
	return n, err
}

// signed reads a whole number that fits 64 bits with a sign, in any of msgpack's integer formats.
func signed(d *msgpack.Decoder) (int64, error) {
	c, err := d.PeekCode()
	if err != nil {
		return 0, err
	}
	if c >= fixMap && c < fixNeg && (c < uint8Byte || c > int64Byte) {
		return 0, fmt.Errorf("expected an integer, found 0x%02x", c)
	}
	n, err := d.DecodeInt64()
	if c == uint64Byte && n < 0 {
		return 0, fmt.Errorf("expected at most %d, found %d", math.MaxInt64, uint64(n))
	}
	return n, err
}

// str reads a string.
func str(d *msgpack.Decoder) (string, error) {
	c, err := d.PeekCode()
	if err != nil {
		return "", err
	}
	if (c < fixStr || c > fixStrEnd) && (c < str8 || c > str32) {
		return "", fmt.Errorf("expected a string, found 0x%02x", c)
	}
	return d.DecodeString()
}

// boolean reads true or false.
func boolean(d *msgpack.Decoder) (bool, error) {
	c, err := d.PeekCode()
	if err == nil && c != falseByte && c != trueByte {
		return false, fmt.Errorf("expected a boolean, found 0x%02x", c)
	}
	if err != nil {
		return false, err
	}
	return d.DecodeBool()
}

// blob reads bytes; nil stands for no bytes at all.
func blob(d *msgpack.Decoder) ([]byte, error) {
	c, err := d.PeekCode()
	if err != nil {
		return nil, err
	}
	if c != nilByte && (c < bin8 || c > bin32) {
		return nil, fmt.Errorf("expected bytes, found 0x%02x", c)
	}
	return d.DecodeBytes()
}

// length reads an array's length and refuses one that is not within least and most.
func length(d *msgpack.Decoder, least, most int) (int, error) {
	c, err := d.PeekCode()
	if err != nil {
		return 0, err
	}
	n, err := d.DecodeArrayLen()
	if err != nil || n < 0 {
		return 0, fmt.Errorf("expected an array, found 0x%02x", c)
	}
	if n < least || n > most {
		return 0, fmt.Errorf("expected %d to %d elements, found %d", least, most, n)
	}
	return n, nil
}
