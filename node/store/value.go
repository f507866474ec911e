package store

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/vmihailenco/msgpack/v5"

	"tandem/shard"
)

// ErrValue is the class of a stored value that does not decode.
var ErrValue = errors.New("damaged value")

// appendValue appends a user as RocksDB holds it to b: a msgpack array of epoch, LSN, name, email and group.
func appendValue(b []byte, r *shard.Entry) []byte {
	out := bytes.NewBuffer(b)
	enc := msgpack.GetEncoder()
	enc.Reset(out)
	enc.UseCompactInts(true)
	err := errors.Join(enc.EncodeArrayLen(5), enc.EncodeUint(r.Epoch), enc.EncodeUint(r.LSN),
		enc.EncodeString(r.Name), enc.EncodeString(r.Email), enc.EncodeInt(r.Group))
	msgpack.PutEncoder(enc)
	if err != nil {
		panic("node: a buffer refused bytes: " + err.Error())
	}
	return out.Bytes()
}

// DecodeValue reads what appendValue wrote; the id is not part of it. Error: ErrValue.
func DecodeValue(value []byte) (shard.Record, error) {
	r := shard.Record{}
	dec := msgpack.GetDecoder()
	defer msgpack.PutDecoder(dec)
	dec.Reset(bytes.NewReader(value))
	n, err := dec.DecodeArrayLen()
	if err == nil && n != 5 {
		err = fmt.Errorf("expected 5 elements, found %d", n)
	}
	errs := [5]error{}
	if err == nil {
		r.Epoch, errs[0] = dec.DecodeUint64()
		r.LSN, errs[1] = dec.DecodeUint64()
		r.Name, errs[2] = dec.DecodeString()
		r.Email, errs[3] = dec.DecodeString()
		r.Group, errs[4] = dec.DecodeInt64()
		err = errors.Join(errs[:]...)
	}
	if err != nil {
		return r, fmt.Errorf("%w: %w", ErrValue, err)
	}
	return r, nil
}
