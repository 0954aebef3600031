// Package signature groups errors: errors that differ only in ids, numbers, names, addresses or times
// have the same signature.
package signature

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
)

// Other is the signature of errors that are not counted by their own.
const Other int64 = 0

// MaxText is the maximum length of Signature.Text, in bytes.
const MaxText = 240

// otherID is the ID of Other.
const otherID = "other"

// Signature identifies the errors of one group.
type Signature struct {
	Hash  int64 // of Class and Text; never Other
	Class string
	Text  string // the first line of the error with placeholders for what varies; may be empty
}

// Of returns the signature of an error. The names, such as the id of the job's object, become
// placeholders wherever they are a word of the text. The text must not contain secrets.
func Of(class, text string, names ...string) Signature {
	s := Signature{Class: class, Text: Normalise(text, names...)}
	sum := sha256.Sum256([]byte(s.Class + "\x00" + s.Text))
	s.Hash = int64(binary.BigEndian.Uint64(sum[:]))
	if s.Hash == Other {
		s.Hash++
	}
	return s
}

// ID returns how a group is named in queries and URLs: "other" or 16 hexadecimal digits.
func ID(hash int64) string {
	if hash == Other {
		return otherID
	}
	return fmt.Sprintf("%016x", uint64(hash))
}

// ParseID returns the hash of a group with the given ID.
func ParseID(id string) (int64, error) {
	if id == otherID {
		return Other, nil
	}
	hash, err := strconv.ParseUint(id, 16, 64)
	if err != nil || len(id) != 16 || hash == 0 {
		return 0, fmt.Errorf("%q is not the id of an error group; use 16 hexadecimal digits, or %s", id, otherID)
	}
	return int64(hash), nil
}
