package mirror

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
)

// The sizes of the parts of a token, in bytes.
const (
	seenSaltSize   = 12
	seenSetSize    = 8
	seenDigestSize = 8 // nobody without the key can look for another value with the digest
	seenMACSize    = 16
	seenVersion    = 1
)

// seenToken is what a user saw of a row. Encoded, it is a version, the set of fields, the id of the row, the
// salt, a byte for each field that says whether it was shown, with its digest if it was, and an HMAC of all this
// and the binding.
type seenToken struct {
	set     [seenSetSize]byte // of the fields that the release knows
	id      int64
	salt    [seenSaltSize]byte // the digests of two tokens say nothing about each other
	shown   []bool
	digests [][]byte
}

func newSeenToken(m *model, id int64) *seenToken {
	t := &seenToken{set: m.seenSet(), id: id}
	_, _ = rand.Read(t.salt[:]) // never returns an error
	return t
}

// seenSet returns a text that differs for structs with other fields, and for other versions of Normalise.
func (m *model) seenSet() (set [seenSetSize]byte) {
	var text strings.Builder
	_, _ = fmt.Fprintln(&text, m.version)
	for _, list := range [][]*field{m.scope, m.key, m.incarnation, m.content} {
		for _, f := range list {
			_, _ = fmt.Fprintf(&text, "%q ", f.column)
		}
		text.WriteByte('\n')
	}
	sum := sha256.Sum256([]byte(text.String()))
	copy(set[:], sum[:])
	return set
}

func (t *seenToken) add(shown bool, digest []byte) {
	t.shown, t.digests = append(t.shown, shown), append(t.digests, digest)
}

// seal encodes the token and signs it for a binding.
func (t *seenToken) seal(key []byte, binding []string) []byte {
	out := append([]byte{seenVersion}, t.set[:]...)
	out = binary.AppendUvarint(out, uint64(t.id)) //nolint:gosec // ids are positive
	out = append(out, t.salt[:]...)
	for i, shown := range t.shown {
		if shown {
			out = append(append(out, 1), t.digests[i]...)
		} else {
			out = append(out, 0)
		}
	}
	return append(out, seenMAC(key, binding, out)...)
}

// openSeenToken checks the signature and decodes a token. It returns ErrSeen for a token with another binding, and
// ErrStale for one of a release with other fields.
func openSeenToken(m *model, sealed, key []byte, binding []string) (*seenToken, error) {
	end := len(sealed) - seenMACSize
	if end <= 0 || !hmac.Equal(sealed[end:], seenMAC(key, binding, sealed[:end])) {
		return nil, ErrSeen
	}
	in := bytes.NewBuffer(sealed[:end])
	t := &seenToken{}
	if version, _ := in.ReadByte(); version != seenVersion {
		return nil, fmt.Errorf("%w (another release made it)", ErrStale)
	}
	if copy(t.set[:], in.Next(seenSetSize)); t.set != m.seenSet() {
		return nil, fmt.Errorf("%w (a release made it whose rows have other fields)", ErrStale)
	}
	id, err := binary.ReadUvarint(in)
	if err != nil {
		return nil, fmt.Errorf("%w (it is too short)", ErrSeen)
	}
	t.id = int64(id) //nolint:gosec // seal wrote it
	copy(t.salt[:], in.Next(seenSaltSize))
	for range m.seenFields() {
		shown, _ := in.ReadByte()
		digest := make([]byte, seenDigestSize)
		if shown == 1 {
			copy(digest, in.Next(seenDigestSize))
		}
		t.add(shown == 1, digest)
	}
	return t, nil
}

// seenMAC signs a token and its binding, whose parts cannot be confused with each other.
func seenMAC(key []byte, binding []string, token []byte) []byte {
	mac := hmac.New(sha256.New, key)
	for _, part := range append(binding, string(token)) {
		_, _ = mac.Write(binary.AppendUvarint(nil, uint64(len(part))))
		_, _ = mac.Write([]byte(part))
	}
	return mac.Sum(nil)[:seenMACSize]
}

// seenDigest returns the digest of a field's value.
func (f *field) seenDigest(key, salt []byte, row reflect.Value) []byte {
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write(salt)
	_, _ = mac.Write(f.canonical(append([]byte(f.column), 0), row))
	return mac.Sum(nil)[:seenDigestSize]
}

// salted returns a digest of the token with its salt, as a job keeps it.
func (t *seenToken) salted(i int) string {
	return hex.EncodeToString(t.salt[:]) + ":" + hex.EncodeToString(t.digests[i])
}

// splitSalted is the inverse of salted.
func splitSalted(text string) (salt, digest []byte, ok bool) {
	first, second, found := strings.Cut(text, ":")
	salt, saltErr := hex.DecodeString(first)
	digest, digestErr := hex.DecodeString(second)
	return salt, digest, found && saltErr == nil && digestErr == nil
}
