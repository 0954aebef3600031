package nawasync

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/nawasara/nawasync/internal/host"
	"github.com/nawasara/nawasync/secret"
)

// DigestKey returns the random key with which repositories compare values that may not be stored in
// the clear. All processes with the same database and Sealer have the same key. With a Sealer, the
// database has it only sealed.
func (i internals) DigestKey(ctx context.Context) ([]byte, error) {
	i.digestMu.Lock()
	defer i.digestMu.Unlock()
	if i.digestKey != nil {
		return i.digestKey, nil
	}
	fresh := make([]byte, 32)
	_, _ = rand.Read(fresh) // never returns an error
	name, initial := "digest_key", fresh
	sealer, binding := i.config.Sealer, secret.Binding{Service: "nawasync", Type: "digest key"}
	if sealer != nil {
		var err error
		if initial, err = secret.Seal(sealer, binding, fresh); err != nil {
			return nil, fmt.Errorf("create the key for digests: %w", err)
		}
		name = "sealed_digest_key"
	}
	text, err := i.store.Setting(ctx, name, base64.RawStdEncoding.EncodeToString(initial))
	if err != nil {
		return nil, err
	}
	key, err := base64.RawStdEncoding.DecodeString(text)
	if err == nil && sealer != nil {
		key, err = secret.Open(sealer, binding, key)
	}
	if err != nil {
		return nil, fmt.Errorf("read the key for digests: %w", err)
	}
	i.digestKey = key
	return key, nil
}

// SeenKey returns a key for one purpose of the tokens of rows that users have seen. It is derived from
// DigestKey, which has to be sealed.
func (i internals) SeenKey(ctx context.Context, purpose string) ([]byte, error) {
	if i.config.Sealer == nil {
		return nil, errNoSeenKey
	}
	root, err := i.DigestKey(ctx)
	if err != nil {
		return nil, err
	}
	return hkdf.Key(sha256.New, root, nil, "nawasync seen v1 "+purpose, sha256.Size)
}

// errNoSeenKey is ErrNoSealer for Seen and ParseSeen.
var errNoSeenKey error = noSeenKeyError{errors.New("the tokens of rows need a key, and Config.Sealer is nil; set Config.Sealer in all processes, for example to a secret.NewKeyring")}

type noSeenKeyError struct{ error }

func (noSeenKeyError) Is(target error) bool { return target == ErrNoSealer }

// SeenOf returns what a user saw of a row, or nil if the row itself is what the user saw.
func (i internals) SeenOf(s *SyncStatus) *host.Seen { return s.seen }

// SetSeen sets what SeenOf returns.
func (i internals) SetSeen(s *SyncStatus, seen *host.Seen) { s.seen = seen }
