package secret

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
)

// Sealer encrypts arguments at rest. It has the signature of tink's AEAD, so that
// a tink primitive, behind a KMS for instance, can be used as it is. It must be
// safe for concurrent use.
type Sealer interface {
	Encrypt(plaintext, associatedData []byte) ([]byte, error)
	Decrypt(ciphertext, associatedData []byte) ([]byte, error)
}

// ErrUnseal says that a sealed text did not open: its key is missing, or it was
// changed or moved to another job.
var ErrUnseal = errors.New("the sealed arguments do not open: the key is missing from the keyring, or the payload was tampered with or moved; dispatch the job anew")

const (
	sealVersion = 1
	sealIDSize  = 16
)

// Seal encrypts a text, bound to b and to a random id that is stored with it: a retry
// of a job may copy the sealed text, another job may not. s must not be nil.
func Seal(s Sealer, b Binding, plain []byte) ([]byte, error) {
	if b.ambiguous() {
		return nil, errors.New("seal the arguments: a name or target contains NUL")
	}
	head := make([]byte, 1+sealIDSize)
	head[0] = sealVersion
	_, _ = rand.Read(head[1:]) // never fails, by its documentation
	body, err := s.Encrypt(plain, b.associated(head[1:]))
	if err != nil {
		return nil, fmt.Errorf("seal the arguments: %w", err)
	}
	return append(head, body...), nil
}

// Open returns what Seal sealed under the same binding, or ErrUnseal.
func Open(s Sealer, b Binding, sealed []byte) ([]byte, error) {
	if len(sealed) < 1+sealIDSize || sealed[0] != sealVersion {
		return nil, fmt.Errorf("%w (unknown form)", ErrUnseal)
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

// Binding is what a sealed text belongs to: moved to a job of another kind or target it
// does not open. Seal and Open refuse one with NUL in a part.
type Binding struct{ Service, Type, Action, Instance, TargetID string }

// ambiguous says that another binding has the same associated text.
func (b Binding) ambiguous() bool {
	return strings.ContainsRune(b.Service+b.Type+b.Action+b.Instance+b.TargetID, 0)
}

func (b Binding) associated(id []byte) []byte {
	parts := []string{"nawasync", b.Service, b.Type, b.Action, b.Instance, b.TargetID, string(id)}
	return []byte(strings.Join(parts, "\x00"))
}
