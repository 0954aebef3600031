package secret

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"math/bits"
	"strings"
)

// Sealer encrypts the stored arguments of jobs. Its methods are those of tink's AEAD, so a tink
// primitive can be used directly, for example one whose key is in a KMS. A Sealer must be safe
// for concurrent use.
type Sealer interface {
	Encrypt(plaintext, associatedData []byte) ([]byte, error)
	Decrypt(ciphertext, associatedData []byte) ([]byte, error)
}

// ErrUnseal is returned if a sealed text cannot be decrypted: its key is missing, or the text
// was changed or moved to another job.
var ErrUnseal = errors.New("the sealed arguments cannot be decrypted: the key is missing from the keyring, or the arguments were changed or moved to another job; dispatch the job again")

const (
	sealVersion = 2
	// sealUnpadded is the first version, which neither pads the text nor binds the version.
	sealUnpadded = 1
	sealIDSize   = 16
)

// Seal encrypts a text and binds it to b and to a random id that is stored with it. No other
// job can open a copy of the sealed text. The text is padded, so that the length of the sealed text shows that of a
// password only roughly: in steps of 64 bytes, and of up to an eighth of a longer text. Seal
// returns an error if b contains NUL. s must not be nil.
func Seal(s Sealer, b Binding, plain []byte) ([]byte, error) {
	if b.ambiguous() {
		return nil, errors.New("seal the arguments: a name or target contains NUL")
	}
	head := make([]byte, 1+sealIDSize)
	head[0] = sealVersion
	_, _ = rand.Read(head[1:]) // never returns an error
	body, err := s.Encrypt(pad(plain), b.associated(head))
	if err != nil {
		return nil, fmt.Errorf("seal the arguments: %w", err)
	}
	return append(head, body...), nil
}

// Open decrypts a text that Seal encrypted with the same binding. It returns ErrUnseal for any
// other text, and if s is nil.
func Open(s Sealer, b Binding, sealed []byte) ([]byte, error) {
	if len(sealed) < 1+sealIDSize || sealed[0] != sealVersion && sealed[0] != sealUnpadded {
		return nil, fmt.Errorf("%w (unknown format)", ErrUnseal)
	}
	if b.ambiguous() {
		return nil, fmt.Errorf("%w (a name or target contains NUL)", ErrUnseal)
	}
	if s == nil {
		return nil, fmt.Errorf("%w (this process has no Config.Sealer)", ErrUnseal)
	}
	plain, err := s.Decrypt(sealed[1+sealIDSize:], b.associated(sealed[:1+sealIDSize]))
	if err == nil && sealed[0] != sealUnpadded {
		plain, err = unpad(plain)
	}
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrUnseal, err)
	}
	return plain, nil
}

const (
	padEnd  = 0x80 // follows the text; the rest is zeros
	padStep = 64
)

// pad adds padEnd and zeros to a text.
func pad(plain []byte) []byte {
	n := len(plain) + 1
	// Longer texts take the steps of PADMÉ, which show about log log n bits of a length n.
	magnitude := bits.Len(uint(n)) - 1
	step := max(padStep, 1<<max(0, magnitude-bits.Len(uint(magnitude))))
	padded := make([]byte, (n+step-1)/step*step)
	padded[copy(padded, plain)] = padEnd
	return padded
}

func unpad(padded []byte) ([]byte, error) {
	plain, found := bytes.CutSuffix(bytes.TrimRight(padded, "\x00"), []byte{padEnd})
	if !found {
		return nil, errors.New("the text has no padding")
	}
	return plain, nil
}

// Binding is the job kind, the target and the row that a sealed text belongs to. The text cannot
// be opened for any other. No part may contain NUL.
type Binding struct {
	Service, Type, Action, Instance, TargetID string
	// Created is when the job's row was added, in microseconds since 1970, so that a text cannot be copied
	// into the row of another job of the same kind and target. 0 is for a text that belongs to no row.
	Created int64
}

// ambiguous reports whether another binding could have the same associated data, because a
// part contains the separator NUL.
func (b Binding) ambiguous() bool {
	return strings.ContainsRune(b.Service+b.Type+b.Action+b.Instance+b.TargetID, 0)
}

// associated returns the data that is authenticated with a text whose head has the version and the id.
func (b Binding) associated(head []byte) []byte {
	name := "nawasync"
	if head[0] != sealUnpadded {
		name = fmt.Sprintf("nawasync %d %d", head[0], b.Created)
	}
	parts := []string{name, b.Service, b.Type, b.Action, b.Instance, b.TargetID, string(head[1:])}
	return []byte(strings.Join(parts, "\x00"))
}
