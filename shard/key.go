package shard

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/google/uuid"
)

// MaxID is the greatest length of a user id in bytes.
const MaxID = 128

// ErrID is the class of an id that no user can have.
var ErrID = errors.New("bad id")

// MaxText is the most that a user's name and email may have together, in bytes of UTF-8.
const MaxText = 16 << 10

// ErrText is the class of a name and an email that no user can have.
var ErrText = errors.New("bad text")

// CheckText returns an error of class ErrText unless name and email are UTF-8 of at most MaxText bytes together.
func CheckText(name, email string) error {
	if n := len(name) + len(email); n > MaxText {
		return fmt.Errorf("%w: expected at most %d bytes of name and email together, found %d", ErrText, MaxText, n)
	}
	if !utf8.ValidString(name) || !utf8.ValidString(email) {
		return fmt.Errorf("%w: expected name and email in UTF-8", ErrText)
	}
	return nil
}

// CheckID returns an error of class ErrID unless id is 1 to 128 characters of [A-Za-z0-9._~-] that a URL can carry as a
// path's last segment: not "." and "..", which clients resolve (RFC 3986, section 5.2.4), and not "count" and
// "changes", which are paths of their own.
func CheckID(id string) error {
	if len(id) == 0 || len(id) > MaxID {
		return fmt.Errorf("%w: expected 1 to %d characters, found %d", ErrID, MaxID, len(id))
	}
	switch id {
	case "count":
		return fmt.Errorf(`%w: "count" is the path of the user count`, ErrID)
	case "changes":
		return fmt.Errorf(`%w: "changes" is kept for a path of its own`, ErrID)
	case ".", "..":
		return fmt.Errorf("%w: no URL can carry %q as a user", ErrID, id)
	}
	for i := range len(id) {
		c := id[i]
		letter := (c|0x20) >= 'a' && (c|0x20) <= 'z'
		digit := c >= '0' && c <= '9'
		if !letter && !digit && c != '.' && c != '_' && c != '~' && c != '-' {
			return fmt.Errorf("%w: expected only letters, digits and . _ ~ -, found %q at %d", ErrID, c, i)
		}
	}
	return nil
}

// The tag bytes that tell the two spellings of an id in a key apart.
const (
	tagUUID = 0x01
	tagText = 0x02
)

// UserPrefix is the first byte of every user's key.
const UserPrefix = 'u'

// AppendKey appends the RocksDB key of a user to b: 'u', its bucket, and its id, a canonical lower-case UUID as 16
// bytes.
func AppendKey(b []byte, bucket byte, id string) []byte {
	b = append(b, UserPrefix, bucket)
	if len(id) == 36 {
		if u, err := uuid.Parse(id); err == nil && u.String() == id {
			return append(append(b, tagUUID), u[:]...)
		}
	}
	return append(append(b, tagText), id...)
}

// KeyID returns the id in a key that AppendKey made, and false for any other key.
func KeyID(key []byte) (string, bool) {
	if len(key) < 4 || key[0] != UserPrefix {
		return "", false
	}
	id := key[3:]
	if key[2] == tagUUID && len(id) == 16 {
		return uuid.UUID(id).String(), true
	}
	return string(id), key[2] == tagText
}
