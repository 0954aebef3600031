package jobrow

import (
	"crypto/sha256"
	"encoding/binary"
	"strconv"
)

// Identity is what makes a snapshot row unique in its table: a SHA-256.
type Identity = [sha256.Size]byte

// KeyIdentity returns the identity of a row whose object has a key on the remote.
func KeyIdentity(scope, key []string) Identity { return identity('k', scope, key) }

// NameIdentity returns the identity of a row whose object has no key yet.
func NameIdentity(scope, natural []string) Identity { return identity('n', scope, natural) }

// RowIdentity returns the identity of a row that stands for no object of the remote: its creation
// failed, or its object was deleted.
func RowIdentity(id int64) Identity {
	return identity('r', nil, []string{strconv.FormatInt(id, 10)})
}

// identity hashes the parts with their lengths, so that no two lists of parts have the same text.
func identity(kind byte, scope, parts []string) Identity {
	var buffer [512]byte
	text := append(buffer[:0], kind)
	for _, list := range [][]string{scope, parts} {
		text = binary.AppendUvarint(text, uint64(len(list)))
		for _, part := range list {
			text = append(binary.AppendUvarint(text, uint64(len(part))), part...)
		}
	}
	return sha256.Sum256(text)
}
