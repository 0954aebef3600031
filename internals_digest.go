package nawasync

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"

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
