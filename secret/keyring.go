package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
)

// MinKey is the minimum length of a Keyring's key, in bytes.
const MinKey = 32

// Keyring is the default Sealer. It uses AES-256-GCM with a random nonce and keys derived with
// HKDF. The first key encrypts, and every key decrypts. To rotate keys, put the new key first,
// and remove the old key when no job needs it any more. A Keyring is safe for concurrent use.
type Keyring struct{ keys []keyringKey }

// Encrypt encrypts plaintext with the first key. It returns an error if the keyring is empty.
func (k *Keyring) Encrypt(plaintext, associatedData []byte) ([]byte, error) {
	if len(k.keys) == 0 {
		return nil, errors.New("the keyring has no key; create it with NewKeyring")
	}
	key := k.keys[0]
	return key.aead.Seal(key.id[:], nil, plaintext, associatedData), nil
}

// Decrypt decrypts ciphertext with the key that encrypted it. Its errors never contain any of
// the text.
func (k *Keyring) Decrypt(ciphertext, associatedData []byte) ([]byte, error) {
	if len(ciphertext) < 4 {
		return nil, errors.New("the ciphertext is too short")
	}
	for _, key := range k.keys {
		if key.id == [4]byte(ciphertext) {
			return key.aead.Open(nil, nil, ciphertext[4:], associatedData)
		}
	}
	return nil, errors.New("the keyring has no key for this ciphertext")
}

// String returns the number of keys. It never reveals a key.
func (k *Keyring) String() string { return fmt.Sprintf("Keyring(%d keys)", len(k.keys)) }

// GoString returns the same text as String, so that %#v reveals no key either.
func (k *Keyring) GoString() string { return k.String() }

// NewKeyring returns a Keyring with the given keys. It needs at least one key, and each key
// must have at least MinKey random bytes, for example from `openssl rand 32`.
func NewKeyring(keys ...[]byte) (*Keyring, error) {
	if len(keys) == 0 {
		return nil, errors.New("a keyring needs at least one key")
	}
	ring := &Keyring{}
	for i, secret := range keys {
		if len(secret) < MinKey {
			return nil, fmt.Errorf("key %d of the keyring has %d bytes and needs at least %d; create one with: openssl rand 32", i+1, len(secret), MinKey)
		}
		derived, err := hkdf.Key(sha256.New, secret, nil, "nawasync seal v1", 36)
		if err != nil {
			return nil, fmt.Errorf("derive key %d of the keyring: %w", i+1, err)
		}
		block, err := aes.NewCipher(derived[:32])
		if err != nil {
			return nil, fmt.Errorf("prepare key %d of the keyring: %w", i+1, err)
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, fmt.Errorf("prepare key %d of the keyring: %w", i+1, err)
		}
		ring.keys = append(ring.keys, keyringKey{id: [4]byte(derived[32:]), aead: aead})
	}
	return ring, nil
}

type keyringKey struct {
	id   [4]byte
	aead cipher.AEAD
}
