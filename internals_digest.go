package nawasync

import (
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

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
	name, initial := "digest_key", base64.RawStdEncoding.EncodeToString(fresh)
	if i.config.Sealer != nil {
		var err error
		if initial, err = sealDigestKey(i.config.Sealer, fresh); err != nil {
			return nil, fmt.Errorf("create the key for digests: %w", err)
		}
		name = settingDigestKey
	}
	text, err := i.store.Setting(ctx, name, initial)
	if err != nil {
		return nil, err
	}
	var key []byte
	if i.config.Sealer != nil {
		key, err = openDigestKey(i.config.Sealer, text)
	} else {
		key, err = base64.RawStdEncoding.DecodeString(text)
	}
	if err != nil {
		return nil, fmt.Errorf("read the key for digests: %w", err)
	}
	i.digestKey = key
	return key, nil
}

// settingDigestKey is the setting with the key for digests, sealed.
const settingDigestKey = "sealed_digest_key"

// digestBinding binds the sealed key, so that it passes for nothing else.
func digestBinding() secret.Binding { return secret.Binding{Service: "nawasync", Type: "digest key"} }

func sealDigestKey(sealer secret.Sealer, key []byte) (string, error) {
	sealed, err := secret.Seal(sealer, digestBinding(), key)
	return base64.RawStdEncoding.EncodeToString(sealed), err
}

func openDigestKey(sealer secret.Sealer, text string) ([]byte, error) {
	sealed, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	return secret.Open(sealer, digestBinding(), sealed)
}

const (
	// resealEvery is how often a process seals the key for digests again, so that it is sealed with the first key of
	// the Sealer a day after the last process with another one has ended.
	resealEvery = 24 * time.Hour
	// resealLoop is how often it looks whether that is due.
	resealLoop = time.Hour
)

// newReseal returns a function for a loop, which seals the key for digests again if it is time.
func (e *Engine) newReseal() func(ctx context.Context) (bool, error) {
	var last time.Time
	return func(ctx context.Context) (bool, error) {
		if !last.IsZero() && time.Since(last) < resealEvery {
			return false, nil
		}
		err := e.store.ReplaceSetting(ctx, settingDigestKey, func(text string) (string, error) {
			key, err := openDigestKey(e.config.Sealer, text)
			if err != nil {
				return text, nil //nolint:nilerr // this process lacks the key, which is reported where it is needed
			}
			return sealDigestKey(e.config.Sealer, key)
		})
		if err != nil {
			return false, fmt.Errorf("seal the key for digests again: %w", err)
		}
		last = time.Now()
		return false, nil
	}
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
