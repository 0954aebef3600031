package secret

import (
	"crypto/rand"
	"errors"
	"fmt"
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
	sealVersion = 1
	sealIDSize  = 16
)

// Seal encrypts a text and binds it to b and to a random id that is stored with it. The same
// kind of job for the same target, such as a retry, can open a copy of the sealed text. No
// other job can. Seal returns an error if b contains NUL. s must not be nil.
func Seal(s Sealer, b Binding, plain []byte) ([]byte, error) {
	if b.ambiguous() {
		return nil, errors.New("seal the arguments: a name or target contains NUL")
	}
	head := make([]byte, 1+sealIDSize)
	head[0] = sealVersion
	_, _ = rand.Read(head[1:]) // never returns an error
	body, err := s.Encrypt(plain, b.associated(head[1:]))
	if err != nil {
		return nil, fmt.Errorf("seal the arguments: %w", err)
	}
	return append(head, body...), nil
}

// Open decrypts a text that Seal encrypted with the same binding. It returns ErrUnseal for any
// other text, and if s is nil.
func Open(s Sealer, b Binding, sealed []byte) ([]byte, error) {
	if len(sealed) < 1+sealIDSize || sealed[0] != sealVersion {
		return nil, fmt.Errorf("%w (unknown format)", ErrUnseal)
	}
	if b.ambiguous() {
		return nil, fmt.Errorf("%w (a name or target contains NUL)", ErrUnseal)
	}
	if s == nil {
		return nil, fmt.Errorf("%w (this process has no Config.Sealer)", ErrUnseal)
	}
	plain, err := s.Decrypt(sealed[1+sealIDSize:], b.associated(sealed[1:1+sealIDSize]))
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrUnseal, err)
	}
	return plain, nil
}

// Binding is the job kind and target that a sealed text belongs to. The text cannot be
// opened for any other kind or target. No part may contain NUL.
type Binding struct{ Service, Type, Action, Instance, TargetID string }

// ambiguous reports whether another binding could have the same associated data, because a
// part contains the separator NUL.
func (b Binding) ambiguous() bool {
	return strings.ContainsRune(b.Service+b.Type+b.Action+b.Instance+b.TargetID, 0)
}

func (b Binding) associated(id []byte) []byte {
	parts := []string{"nawasync", b.Service, b.Type, b.Action, b.Instance, b.TargetID, string(id)}
	return []byte(strings.Join(parts, "\x00"))
}
