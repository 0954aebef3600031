package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
)

// MinKey is the least length of a Keyring's key, in bytes.
const MinKey = 32

// Keyring is the default Sealer: AES-256-GCM with a random nonce, under keys
// derived with HKDF. The first key seals and every key opens: to rotate, put the
// new one in front, and drop the old one when its jobs are gone. It is safe for
// concurrent use.
type Keyring struct{ keys []keyringKey }

// Encrypt seals with the first key.
func (k *Keyring) Encrypt(plaintext, associatedData []byte) ([]byte, error) {
	if len(k.keys) == 0 {
		return nil, errors.New("the keyring has no key; make one with NewKeyring")
	}
	key := k.keys[0]
	return key.aead.Seal(key.id[:], nil, plaintext, associatedData), nil
}

// Decrypt opens with the key that sealed. Its errors hold nothing of the text.
func (k *Keyring) Decrypt(ciphertext, associatedData []byte) ([]byte, error) {
	if len(ciphertext) < 4 {
		return nil, errors.New("the sealed text is too short")
	}
	for _, key := range k.keys {
		if key.id == [4]byte(ciphertext) {
			return key.aead.Open(nil, nil, ciphertext[4:], associatedData)
		}
	}
	return nil, errors.New("no key of the keyring sealed this")
}

// String names no key.
func (k *Keyring) String() string { return fmt.Sprintf("Keyring(%d keys)", len(k.keys)) }

// GoString names no key.
func (k *Keyring) GoString() string { return k.String() }

// NewKeyring takes one key or more, each at least MinKey random bytes, for
// instance from `openssl rand 32`.
func NewKeyring(keys ...[]byte) (*Keyring, error) {
	if len(keys) == 0 {
		return nil, errors.New("a keyring needs a key")
	}
	ring := &Keyring{}
	for i, secret := range keys {
		if len(secret) < MinKey {
			return nil, fmt.Errorf("key %d of the keyring has %d bytes and needs at least %d; make one with: openssl rand 32", i+1, len(secret), MinKey)
		}
		derived, err := hkdf.Key(sha256.New, secret, nil, "nawasync seal v1", 36)
		if err != nil {
			return nil, fmt.Errorf("derive key %d of the keyring: %w", i+1, err)
		}
		block, err := aes.NewCipher(derived[:32])
		if err != nil {
			return nil, fmt.Errorf("key %d of the keyring: %w", i+1, err)
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, fmt.Errorf("key %d of the keyring: %w", i+1, err)
		}
		ring.keys = append(ring.keys, keyringKey{id: [4]byte(derived[32:]), aead: aead})
	}
	return ring, nil
}

type keyringKey struct {
	id   [4]byte
	aead cipher.AEAD
}
