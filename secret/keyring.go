package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
)

// MinKey is the minimum length of a Keyring's key, in bytes.
const MinKey = 32

// Keyring is the default Sealer. It encrypts each text with AES-256-GCM under a key of its own,
// which it derives with HKDF from one of its keys and a random salt, so that no number of texts
// uses up the nonces of a key. The first key encrypts, and every key decrypts. To rotate keys, put
// the new key first, and remove the old key when no job needs it any more. A Keyring is safe for
// concurrent use.
type Keyring struct{ keys []keyringKey }

// A ciphertext is the id of the key, the salt, and what AES-256-GCM makes of the text: a random nonce, the
// encrypted text and a tag. The first version had no salt, and another id for the same key.
const (
	keyIDSize = 4
	saltSize  = 16
)

// Encrypt encrypts plaintext with the first key. It returns an error if the keyring is empty.
func (k *Keyring) Encrypt(plaintext, associatedData []byte) ([]byte, error) {
	if len(k.keys) == 0 {
		return nil, errors.New("the keyring has no key; create it with NewKeyring")
	}
	key := k.keys[0]
	head := make([]byte, keyIDSize+saltSize)
	copy(head, key.id[:])
	_, _ = rand.Read(head[keyIDSize:]) // never returns an error
	aead, err := key.derive(head[keyIDSize:])
	if err != nil {
		return nil, err
	}
	return aead.Seal(head, nil, plaintext, associatedData), nil
}

// Decrypt decrypts ciphertext with the key that encrypted it. Its errors never contain any of
// the text.
func (k *Keyring) Decrypt(ciphertext, associatedData []byte) ([]byte, error) {
	if len(ciphertext) < keyIDSize {
		return nil, errors.New("the ciphertext is too short")
	}
	id, rest := [keyIDSize]byte(ciphertext), ciphertext[keyIDSize:]
	err := errors.New("the keyring has no key for this ciphertext")
	for _, key := range k.keys { // two keys can have one id by chance
		var plain []byte
		switch {
		case key.id == id && len(rest) >= saltSize:
			var aead cipher.AEAD
			if aead, err = key.derive(rest[:saltSize]); err == nil {
				plain, err = aead.Open(nil, nil, rest[saltSize:], associatedData)
			}
		case key.firstID == id:
			plain, err = key.first.Open(nil, nil, rest, associatedData)
		default:
			continue
		}
		if err == nil {
			return plain, nil
		}
	}
	return nil, err
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
		key, err := newKey(secret)
		if err != nil {
			return nil, fmt.Errorf("prepare key %d of the keyring: %w", i+1, err)
		}
		ring.keys = append(ring.keys, key)
	}
	return ring, nil
}

type keyringKey struct {
	id      [keyIDSize]byte
	root    []byte // the pseudorandom key of HKDF
	firstID [keyIDSize]byte
	first   cipher.AEAD // decrypts texts of the first version
}

func newKey(secret []byte) (k keyringKey, err error) {
	derived, err := hkdf.Key(sha256.New, secret, nil, "nawasync seal v1", 32+keyIDSize)
	if err != nil {
		return k, err
	}
	k.firstID = [keyIDSize]byte(derived[32:])
	if k.first, err = newAEAD(derived[:32]); err != nil {
		return k, err
	}
	if k.root, err = hkdf.Extract(sha256.New, secret, nil); err != nil {
		return k, err
	}
	id, err := hkdf.Expand(sha256.New, k.root, "nawasync seal v2 id", keyIDSize)
	if err != nil {
		return k, err
	}
	k.id = [keyIDSize]byte(id)
	return k, nil
}

// derive returns the cipher of the text with the salt.
func (k keyringKey) derive(salt []byte) (cipher.AEAD, error) {
	derived, err := hkdf.Expand(sha256.New, k.root, "nawasync seal v2 key "+string(salt), 32)
	if err != nil {
		return nil, err
	}
	return newAEAD(derived)
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
