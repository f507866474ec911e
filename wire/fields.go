package wire

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/vmihailenco/msgpack/v5"
)

func splitPlace(p LogPosition) (epoch, lsn uint64)  { return p.Epoch, p.LSN }
func joinPlace(epoch, lsn uint64) LogPosition       { return LogPosition{epoch, lsn} }
func splitClaim(v Claim) (shard, epoch uint64)      { return v.Shard, v.Epoch }
func joinClaim(shard, epoch uint64) Claim           { return Claim{shard, epoch} }
func splitCount(c ShardCount) (shard, users uint64) { return c.Shard, c.Users }
func joinCount(shard, users uint64) ShardCount      { return ShardCount{shard, users} }

func putRequest(e *msgpack.Encoder, m *Message) error { return e.EncodeBytes(m.Request[:]) }

func getRequest(d *msgpack.Decoder, m *Message) error {
	b, err := blob(d)
	if err == nil && len(b) != len(m.Request) {
		err = fmt.Errorf("expected %d bytes, found %d", len(m.Request), len(b))
	}
	copy(m.Request[:], b)
	return err
}

// condition is a precondition: nothing, or its kind and behind OneOf the epoch and LSN of each version.
func condition(name string, at func(*Message) *Condition) field {
	return plain(name,
		func(e *msgpack.Encoder, m *Message) error {
			c := at(m)
			if c.Kind == 0 {
				return e.EncodeArrayLen(0)
			}
			err := errors.Join(e.EncodeArrayLen(1+2*len(c.Versions)), e.EncodeUint(uint64(c.Kind)))
			for _, p := range c.Versions {
				err = errors.Join(err, e.EncodeUint(p.Epoch), e.EncodeUint(p.LSN))
			}
			return err
		},
		func(d *msgpack.Decoder, m *Message) error {
			n, err := length(d, 0, 1+2*maxMatch)
			if err != nil || n == 0 {
				return err
			}
			kind, err := unsigned(d, math.MaxUint8)
			switch {
			case err != nil:
				return fmt.Errorf("kind: %w", err)
			case kind != AnyVersion && kind != OneOf:
				return fmt.Errorf("kind: expected 1 or 2, found %d", kind)
			case kind == AnyVersion && n != 1 || n%2 == 0:
				return fmt.Errorf("expected nothing behind kind 1 and pairs of epoch and lsn behind kind 2, found "+
					"kind %d and %d elements", kind, n-1)
			}
			c := at(m)
			for c.Kind = uint8(kind); err == nil && n > 1; n -= 2 {
				epoch, badEpoch := unsigned(d, math.MaxUint64)
				lsn, badLSN := unsigned(d, math.MaxUint64)
				c.Versions, err = append(c.Versions, LogPosition{epoch, lsn}), cmp.Or(badEpoch, badLSN)
			}
			return err
		})
}

func putMore(e *msgpack.Encoder, m *Message) error { return e.EncodeBool(m.More) }

func getMore(d *msgpack.Decoder, m *Message) (err error) {
	m.More, err = boolean(d)
	return err
}

// putKnown writes the number and the nonce of a start.
func putKnown(e *msgpack.Encoder, m *Message) error {
	return errors.Join(e.EncodeArrayLen(2), e.EncodeUint(m.Known.Number), e.EncodeUint(m.Known.Nonce))
}

func getKnown(d *msgpack.Decoder, m *Message) error {
	_, err := length(d, 2, 2)
	if err != nil {
		return err
	}
	errs := [2]error{}
	m.Known.Number, errs[0] = unsigned(d, math.MaxUint64)
	m.Known.Nonce, errs[1] = unsigned(d, math.MaxUint64)
	return first(errs[:], "start nonce")
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
	return first(errs[:], "id name email group epoch lsn")
}

// first returns the first of errs with the name of its part. A part that was refused is not consumed, so the later
// errors are about the same bytes and say nothing new.
func first(errs []error, names string) error {
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("%s: %w", strings.Fields(names)[i], err)
		}
	}
	return nil
}

func putRecord(e *msgpack.Encoder, m *Message) error { return encodeRecord(e, &m.Record) }

func getRecord(d *msgpack.Decoder, m *Message) error { return decodeRecord(d, &m.Record) }

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

// putEntries writes each entry as its request id, its result, its record and its wall time.
func putEntries(e *msgpack.Encoder, m *Message) error {
	err := e.EncodeArrayLen(4 * len(m.Entries))
	for i := range m.Entries {
		n := &m.Entries[i]
		r := Record{n.ID, n.Name, n.Email, n.Group, n.Epoch, n.LSN}
		err = errors.Join(err, e.EncodeBytes(n.Request[:]), e.EncodeUint(uint64(n.Result)), encodeRecord(e, &r),
			e.EncodeInt(n.Wall))
	}
	return err
}

func getEntries(d *msgpack.Decoder, m *Message) error {
	n, err := length(d, 0, 4*maxEntries)
	if err == nil && n%4 != 0 {
		err = fmt.Errorf("expected fours of request, result, record and wall, found %d elements", n)
	}
	for ; err == nil && n > 0; n -= 4 {
		var r Record
		b, badRequest := blob(d)
		result, badResult := unsigned(d, math.MaxUint8)
		badRecord := decodeRecord(d, &r)
		wall, badWall := signed(d)
		entry := Entry{Result: uint8(result), ID: r.ID, Name: r.Name, Email: r.Email, Group: r.Group, Epoch: r.Epoch,
			LSN: r.LSN, Wall: wall}
		if badRequest == nil && len(b) != len(entry.Request) {
			badRequest = fmt.Errorf("expected a request id of %d bytes, found %d", len(entry.Request), len(b))
		}
		copy(entry.Request[:], b)
		m.Entries, err = append(m.Entries, entry), cmp.Or(badRequest, badResult, badRecord, badWall)
	}
	return err
}

// putViews writes each view as its epoch, its leader, its backup and whether that is in sync.
func putViews(e *msgpack.Encoder, m *Message) error {
	err := e.EncodeArrayLen(4 * len(m.Views))
	for _, v := range m.Views {
		err = errors.Join(err, e.EncodeUint(v.Epoch), e.EncodeUint(v.Leader), e.EncodeUint(v.Backup), e.EncodeBool(v.InSync))
	}
	return err
}

func getViews(d *msgpack.Decoder, m *Message) error {
	n, err := length(d, 0, 4*maxViews)
	if err == nil && n%4 != 0 {
		err = fmt.Errorf("expected fours of epoch, leader, backup and insync, found %d elements", n)
	}
	for ; err == nil && n > 0; n -= 4 {
		var v View
		errs := [4]error{}
		v.Epoch, errs[0] = unsigned(d, math.MaxUint64)
		v.Leader, errs[1] = unsigned(d, math.MaxUint64)
		v.Backup, errs[2] = unsigned(d, math.MaxUint64)
		v.InSync, errs[3] = boolean(d)
		m.Views, err = append(m.Views, v), first(errs[:], "epoch leader backup insync")
	}
	return err
}

// putLastEntries writes each as its shard, the epoch of the view, and the epoch and LSN of the log's end.
func putLastEntries(e *msgpack.Encoder, m *Message) error {
	err := e.EncodeArrayLen(4 * len(m.LastEntries))
	for _, n := range m.LastEntries {
		err = errors.Join(err, e.EncodeUint(n.Shard), e.EncodeUint(n.Epoch), e.EncodeUint(n.LastEpoch), e.EncodeUint(n.LSN))
	}
	return err
}

func getLastEntries(d *msgpack.Decoder, m *Message) error {
	n, err := length(d, 0, 4*maxLastEntries)
	if err == nil && n%4 != 0 {
		err = fmt.Errorf("expected fours of shard, epoch, lastepoch and lsn, found %d elements", n)
	}
	for ; err == nil && n > 0; n -= 4 {
		var l LastEntry
		errs := [4]error{}
		for i, to := range []*uint64{&l.Shard, &l.Epoch, &l.LastEpoch, &l.LSN} {
			*to, errs[i] = unsigned(d, math.MaxUint64)
		}
		m.LastEntries, err = append(m.LastEntries, l), first(errs[:], "shard epoch lastepoch lsn")
	}
	return err
}
