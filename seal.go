package nawasync

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"github.com/nawasara/nawasync/tracker"
)

// Sealer encrypts arguments at rest. It has the signature of tink's AEAD, so that
// a tink primitive, behind a KMS for instance, can be used as it is. It must be
// safe for concurrent use.
type Sealer interface {
	Encrypt(plaintext, associatedData []byte) ([]byte, error)
	Decrypt(ciphertext, associatedData []byte) ([]byte, error)
}

// ErrNoSealer says that arguments hold secrets and the engine has no Sealer.
var ErrNoSealer = errors.New("nawasync: the arguments hold secrets and Config.Sealer is nil; set one, for instance NewKeyring")

// ErrUnseal says that sealed arguments did not open: another key, or a changed
// or moved payload.
var ErrUnseal = errors.New("nawasync: the sealed arguments do not open: the key is missing from the keyring, or the payload was tampered with or moved; dispatch the job anew")

// MinKey is the least length of a Keyring's key, in bytes.
const MinKey = 32

// Keyring is the default Sealer: AES-256-GCM with a random nonce, under keys
// derived with HKDF. The first key seals and every key opens: to rotate, put the
// new one in front, and drop the old one when its jobs are gone. It is safe for
// concurrent use.
type Keyring struct{ keys []ringKey }

type ringKey struct {
	id   [4]byte
	aead cipher.AEAD
}

// NewKeyring takes one key or more, each at least MinKey random bytes, for
// instance from `openssl rand 32`.
func NewKeyring(keys ...[]byte) (*Keyring, error) {
	if len(keys) == 0 {
		return nil, errors.New("nawasync: a keyring needs a key")
	}
	ring := &Keyring{}
	for i, secret := range keys {
		if len(secret) < MinKey {
			return nil, fmt.Errorf("nawasync: key %d of the keyring has %d bytes and needs at least %d; make one with: openssl rand 32", i+1, len(secret), MinKey)
		}
		derived, err := hkdf.Key(sha256.New, secret, nil, "nawasync seal v1", 36)
		if err != nil {
			return nil, fmt.Errorf("nawasync: derive key %d of the keyring: %w", i+1, err)
		}
		block, err := aes.NewCipher(derived[:32])
		if err != nil {
			return nil, fmt.Errorf("nawasync: key %d of the keyring: %w", i+1, err)
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, fmt.Errorf("nawasync: key %d of the keyring: %w", i+1, err)
		}
		ring.keys = append(ring.keys, ringKey{id: [4]byte(derived[32:]), aead: aead})
	}
	return ring, nil
}

// Encrypt seals with the first key.
func (k *Keyring) Encrypt(plaintext, associatedData []byte) ([]byte, error) {
	key := k.keys[0]
	return key.aead.Seal(key.id[:], nil, plaintext, associatedData), nil
}

// Decrypt opens with the key that sealed. Its errors hold nothing of the text.
func (k *Keyring) Decrypt(ciphertext, associatedData []byte) ([]byte, error) {
	if len(ciphertext) < 4 {
		return nil, errors.New("nawasync: the sealed text is too short")
	}
	for _, key := range k.keys {
		if key.id == [4]byte(ciphertext) {
			return key.aead.Open(nil, nil, ciphertext[4:], associatedData)
		}
	}
	return nil, errors.New("nawasync: no key of the keyring sealed this")
}

// String names no key.
func (k *Keyring) String() string { return fmt.Sprintf("Keyring(%d keys)", len(k.keys)) }

// GoString names no key.
func (k *Keyring) GoString() string { return k.String() }

const (
	sealVersion = 1
	sealIDSize  = 16
)

// seal encrypts arguments bound to the job's kind and target and to a random id,
// so that a sealed text moved to another job does not open. A retry copies the
// text with its id.
func seal(s Sealer, job *tracker.Job, plain []byte) ([]byte, error) {
	head := make([]byte, 1+sealIDSize)
	head[0] = sealVersion
	_, _ = rand.Read(head[1:]) // never fails, by its documentation
	body, err := s.Encrypt(plain, associated(job, head[1:]))
	if err != nil {
		return nil, fmt.Errorf("nawasync: seal the arguments: %w", err)
	}
	return append(head, body...), nil
}

func unseal(s Sealer, job *tracker.Job) ([]byte, error) {
	if len(job.Sealed) < 1+sealIDSize || job.Sealed[0] != sealVersion {
		return nil, fmt.Errorf("%w (unknown form)", ErrUnseal)
	}
	if s == nil {
		return nil, fmt.Errorf("%w (this process has no Config.Sealer)", ErrUnseal)
	}
	plain, err := s.Decrypt(job.Sealed[1+sealIDSize:], associated(job, job.Sealed[1:1+sealIDSize]))
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrUnseal, err)
	}
	return plain, nil
}

// associated is what a sealed text is bound to; its parts cannot contain NUL.
func associated(job *tracker.Job, id []byte) []byte {
	parts := []string{"nawasync", job.Service, job.Type, job.Action, job.Instance, job.TargetID, string(id)}
	return []byte(strings.Join(parts, "\x00"))
}
