package wire

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/vmihailenco/msgpack/v5"
)

func putRequest(e *msgpack.Encoder, m *Message) error { return e.EncodeBytes(m.Request[:]) }

func getRequest(d *msgpack.Decoder, m *Message) error {
	b, err := blob(d)
	if err == nil && len(b) != len(m.Request) {
		err = fmt.Errorf("expected %d bytes, found %d", len(m.Request), len(b))
	}
	copy(m.Request[:], b)
	return err
}

func putAfter(e *msgpack.Encoder, m *Message) error { return e.EncodeBytes(m.After) }

func getAfter(d *msgpack.Decoder, m *Message) (err error) {
	m.After, err = blob(d)
	return err
}

func putMore(e *msgpack.Encoder, m *Message) error { return e.EncodeBool(m.More) }

func getMore(d *msgpack.Decoder, m *Message) error {
	c, err := d.PeekCode()
	if err == nil && c != falseByte && c != trueByte {
		return fmt.Errorf("expected a boolean, found 0x%02x", c)
	}
	m.More, err = d.DecodeBool()
	return err
}

func putGreeting(e *msgpack.Encoder, m *Message) error {
	g := &m.Greeting
	return errors.Join(e.EncodeArrayLen(6), e.EncodeUint(g.Version), e.EncodeString(g.Cluster),
		e.EncodeString(g.Role), e.EncodeString(g.Name), e.EncodeUint(g.Nodes), e.EncodeUint(g.Shards))
}

func getGreeting(d *msgpack.Decoder, m *Message) error {
	g := &m.Greeting
	_, err := length(d, 6, 6)
	if err != nil {
		return err
	}
	errs := [6]error{}
	g.Version, errs[0] = unsigned(d, math.MaxUint64)
	g.Cluster, errs[1] = str(d)
	g.Role, errs[2] = str(d)
	g.Name, errs[3] = str(d)
	g.Nodes, errs[4] = unsigned(d, math.MaxUint64)
	g.Shards, errs[5] = unsigned(d, math.MaxUint64)
	return first(&errs, "version cluster role name nodes shards")
}

func encodeRecord(e *msgpack.Encoder, r *Record) error {
	return errors.Join(e.EncodeArrayLen(6), e.EncodeString(r.ID), e.EncodeString(r.Name), e.EncodeString(r.Email),
		e.EncodeInt(r.Group), e.EncodeUint(r.Epoch), e.EncodeUint(r.LSN))
}

func decodeRecord(d *msgpack.Decoder, r *Record) error {
	_, err := length(d, 6, 6)
	if err != nil {
		return err
	}
	errs := [6]error{}
	r.ID, errs[0] = str(d)
	r.Name, errs[1] = str(d)
	r.Email, errs[2] = str(d)
	r.Group, errs[3] = signed(d)
	r.Epoch, errs[4] = unsigned(d, math.MaxUint64)
	r.LSN, errs[5] = unsigned(d, math.MaxUint64)
	return first(&errs, "id name email group epoch lsn")
}

// first returns the first of errs with the name of its part. A part that was refused is not consumed, so the later errors
// are about the same bytes and say nothing new.
func first(errs *[6]error, names string) error {
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("%s: %w", strings.Fields(names)[i], err)
		}
	}
	return nil
}

func putRecord(e *msgpack.Encoder, m *Message) error { return encodeRecord(e, &m.Record) }

func getRecord(d *msgpack.Decoder, m *Message) error { return decodeRecord(d, &m.Record) }

func putMatch(e *msgpack.Encoder, m *Message) error {
	err := e.EncodeArrayLen(2 * len(m.Match))
	for _, p := range m.Match {
		err = errors.Join(err, e.EncodeUint(p.Epoch), e.EncodeUint(p.LSN))
	}
	return err
}

func getMatch(d *msgpack.Decoder, m *Message) error {
	n, err := length(d, 0, 2*maxMatch)
	if err == nil && n%2 != 0 {
		err = fmt.Errorf("expected pairs of epoch and lsn, found %d elements", n)
	}
	for ; err == nil && n > 0; n -= 2 {
		epoch, badEpoch := unsigned(d, math.MaxUint64)
		lsn, badLSN := unsigned(d, math.MaxUint64)
		m.Match, err = append(m.Match, Place{epoch, lsn}), cmp.Or(badEpoch, badLSN)
	}
	return err
}

func putSet(e *msgpack.Encoder, m *Message) error {
	err := e.EncodeArrayLen(len(m.Set))
	for _, s := range m.Set {
		err = errors.Join(err, e.EncodeUint(s))
	}
	return err
}

func getSet(d *msgpack.Decoder, m *Message) error {
	n, err := length(d, 0, maxSet)
	for ; err == nil && n > 0; n-- {
		var s uint64
		s, err = unsigned(d, math.MaxUint64)
		m.Set = append(m.Set, s)
	}
	return err
}

func putCounts(e *msgpack.Encoder, m *Message) error {
	err := e.EncodeArrayLen(2 * len(m.Counts))
	for _, c := range m.Counts {
		err = errors.Join(err, e.EncodeUint(c.Shard), e.EncodeUint(c.Users))
	}
	return err
}

func getCounts(d *msgpack.Decoder, m *Message) error {
	n, err := length(d, 0, 2*maxSet)
	if err == nil && n%2 != 0 {
		err = fmt.Errorf("expected pairs of shard and users, found %d elements", n)
	}
	for ; err == nil && n > 0; n -= 2 {
		s, badShard := unsigned(d, math.MaxUint64)
		users, badUsers := unsigned(d, math.MaxUint64)
		m.Counts, err = append(m.Counts, ShardCount{s, users}), cmp.Or(badShard, badUsers)
	}
	return err
}

func putRecords(e *msgpack.Encoder, m *Message) error {
	err := e.EncodeArrayLen(len(m.Records))
	for i := range m.Records {
		err = errors.Join(err, encodeRecord(e, &m.Records[i]))
	}
	return err
}

func getRecords(d *msgpack.Decoder, m *Message) error {
	n, err := length(d, 0, maxRecords)
	for ; err == nil && n > 0; n-- {
		var r Record
		err = decodeRecord(d, &r)
		m.Records = append(m.Records, r)
	}
	return err
}

// putEntries writes each entry as its request id, its result and its record.
func putEntries(e *msgpack.Encoder, m *Message) error {
	err := e.EncodeArrayLen(3 * len(m.Entries))
	for i := range m.Entries {
		n := &m.Entries[i]
		r := Record{n.ID, n.Name, n.Email, n.Group, n.Epoch, n.LSN}
		err = errors.Join(err, e.EncodeBytes(n.Request[:]), e.EncodeUint(uint64(n.Result)), encodeRecord(e, &r))
	}
	return err
}

func getEntries(d *msgpack.Decoder, m *Message) error {
	n, err := length(d, 0, 3*maxEntries)
	if err == nil && n%3 != 0 {
		err = fmt.Errorf("expected triples of request, result and record, found %d elements", n)
	}
	for ; err == nil && n > 0; n -= 3 {
		var r Record
		b, badRequest := blob(d)
		result, badResult := unsigned(d, math.MaxUint8)
		badRecord := decodeRecord(d, &r)
		entry := Entry{Result: uint8(result), ID: r.ID, Name: r.Name, Email: r.Email, Group: r.Group, Epoch: r.Epoch, LSN: r.LSN}
		if badRequest == nil && len(b) != len(entry.Request) {
			badRequest = fmt.Errorf("expected a request id of %d bytes, found %d", len(entry.Request), len(b))
		}
		copy(entry.Request[:], b)
		m.Entries, err = append(m.Entries, entry), cmp.Or(badRequest, badResult, badRecord)
	}
	return err
}
