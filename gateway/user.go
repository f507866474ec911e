package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"tandem/shard"
	"tandem/wire"
)

// maxBody is the greatest size of a request body in bytes. JSON can spell a byte of text with six (\u0000), and an id,
// too: so every user that can be stored fits, however it is spelt, with a quarter left for names of fields, the group
// and white space.
const maxBody = 128 << 10

// smallBody is how much of a body is read without a place among the large ones.
const smallBody = 16 << 10

// errJSON is the class of a body that is not one JSON value.
var errJSON = errors.New("malformed JSON")

// fieldError is one field that is wrong, and what was expected.
type fieldError struct{ Field, Detail string }

// The bit of the id beside wire.HasName, HasEmail and HasGroup.
const hasID = 1 << 3

// fieldBit is that of a user's field; 0 for any other name.
func fieldBit(name []byte) uint8 {
	switch string(name) {
	case "id":
		return hasID
	case "name":
		return wire.HasName
	case "email":
		return wire.HasEmail
	case "group":
		return wire.HasGroup
	}
	return 0
}

// fieldNames has them in the order in which missing ones are reported.
var fieldNames = [...]string{"id", "name", "email", "group"}

// fieldOrder has their bits.
var fieldOrder = [...]uint8{hasID, wire.HasName, wire.HasEmail, wire.HasGroup}

// decodeUser reads a user from a JSON body: the fields that are there, as bits, and every field that is wrong; required
// has the bits of those that must be there. Error: errJSON, with the byte.
func decodeUser(body []byte, required uint8) (wire.Record, uint8, []fieldError, error) {
	user, have, bad := wire.Record{}, uint8(0), []fieldError(nil)
	dec := jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true))
	object, err := dec.PeekKind() == '{', error(nil)
	if object {
		_, err = dec.ReadToken()
	} else {
		_, err = dec.ReadValue() // the whole of it: what is malformed is that first of all
	}
	if err != nil {
		return user, 0, nil, malformed(err, len(body))
	}
	var space [32]byte
	for object && dec.PeekKind() == '"' {
		quoted, err := dec.ReadValue()
		if err != nil {
			return user, 0, nil, malformed(err, len(body))
		}
		name, _ := jsontext.AppendUnquote(space[:0], quoted) // what was read is well-formed
		value, err := dec.ReadValue()
		if err != nil {
			return user, 0, nil, malformed(err, len(body))
		}
		bit, detail := fieldBit(name), ""
		switch {
		case bit == 0:
			detail = "unknown field"
		case have&bit != 0:
			detail = "repeated field"
		case value.Kind() == 'n':
			detail = "null is not allowed"
		default:
			user, detail = setField(user, bit, value)
		}
		if bit == hasID && detail == "" {
			if err = shard.CheckID(user.ID); err != nil {
				detail = err.Error()
			}
		}
		if detail != "" {
			bad = append(bad, fieldError{string(name), detail})
		}
		have |= bit
	}
	if object {
		_, err = dec.ReadToken()
	}
	if err != nil {
		return user, 0, nil, malformed(err, len(body))
	}
	if rest := bytes.TrimLeft(body[dec.InputOffset():], " \t\r\n"); len(rest) > 0 {
		return user, 0, nil, fmt.Errorf("%w: byte %d: expected the end of the body", errJSON, len(body)-len(rest))
	}
	if !object {
		return user, 0, []fieldError{{"", "expected an object with id, name, email and group"}}, nil
	}
	return user, have, append(bad, fieldErrors(shard.CheckText(user.Name, user.Email), have, required)...), nil
}

// tooLong says what is wrong with name and email when they are.
var tooLong = fmt.Sprintf("expected at most %d bytes of UTF-8 in name and email together", shard.MaxText)

// fieldErrors has an error for each of the fields that are required and missing, and for those of name and email that
// are there and too long together.
func fieldErrors(unfit error, have, required uint8) (bad []fieldError) {
	for i, name := range fieldNames {
		bit := fieldOrder[i]
		switch {
		case required&^have&bit != 0:
			bad = append(bad, fieldError{name, "required"})
		case unfit != nil && have&bit&(wire.HasName|wire.HasEmail) != 0:
			bad = append(bad, fieldError{name, tooLong})
		}
	}
	return bad
}

// malformed makes an error of class errJSON of what the decoder says about a body of some size.
func malformed(err error, size int) error {
	syntax := &jsontext.SyntacticError{}
	if errors.As(err, &syntax) {
		return fmt.Errorf("%w: byte %d: %w", errJSON, syntax.ByteOffset, syntax.Err)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: byte %d: the body ends too early", errJSON, size)
	}
	return fmt.Errorf("%w: %w", errJSON, err)
}

// setField sets the field of a bit from a JSON value, or says what was expected.
func setField(user wire.Record, bit uint8, value jsontext.Value) (wire.Record, string) {
	kind := value.Kind()
	if bit == wire.HasGroup {
		group, err := strconv.ParseInt(string(value), 10, 64)
		if kind != '0' || err != nil {
			return user, "expected an integer from -9223372036854775808 to 9223372036854775807, without fraction and exponent"
		}
		user.Group = group
		return user, ""
	}
	if kind != '"' {
		return user, "expected a string"
	}
	text, err := value[1:len(value)-1], error(nil)
	if bytes.IndexByte(value, '\\') >= 0 { // else it says what it spells
		text, err = jsontext.AppendUnquote(nil, value)
	}
	if err != nil {
		return user, err.Error()
	}
	switch bit {
	case hasID:
		user.ID = string(text)
	case wire.HasName:
		user.Name = string(text)
	case wire.HasEmail:
		user.Email = string(text)
	}
	return user, ""
}

// appendUser appends a user as JSON.
func appendUser(b []byte, r *wire.Record) []byte {
	b = append(b, `{"id":`...)
	b, _ = jsontext.AppendQuote(b, r.ID) // the store holds valid UTF-8 only; anything else is replaced, not refused
	b = append(b, `,"name":`...)
	b, _ = jsontext.AppendQuote(b, r.Name)
	b = append(b, `,"email":`...)
	b, _ = jsontext.AppendQuote(b, r.Email)
	b = append(b, `,"group":`...)
	b = strconv.AppendInt(b, r.Group, 10)
	return append(b, '}')
}
