package nawasync

import (
	"fmt"

	"github.com/nawasara/nawasync/secret"
)

// The first byte of a stored cursor says whether the rest is sealed.
const (
	plainCursor  = 'p'
	sealedCursor = 's'
)

// SealCursor returns the cursor of a feed as it is stored: sealed if there is a Sealer.
func (i internals) SealCursor(kind Kind, instance, cursor string) ([]byte, error) {
	if i.config.Sealer == nil {
		return append([]byte{plainCursor}, cursor...), nil
	}
	sealed, err := secret.Seal(i.config.Sealer, cursorBinding(kind, instance), []byte(cursor))
	if err != nil {
		return nil, fmt.Errorf("seal the cursor of %s: %w", kind, err)
	}
	return append([]byte{sealedCursor}, sealed...), nil
}

// OpenCursor returns the cursor of a feed from what SealCursor returned, and "" if it cannot be opened.
func (i internals) OpenCursor(kind Kind, instance string, stored []byte) string {
	if len(stored) == 0 {
		return ""
	}
	if stored[0] == plainCursor {
		return string(stored[1:])
	}
	if stored[0] != sealedCursor || i.config.Sealer == nil {
		return ""
	}
	cursor, err := secret.Open(i.config.Sealer, cursorBinding(kind, instance), stored[1:])
	if err != nil {
		return ""
	}
	return string(cursor)
}

// cursorBinding binds a cursor to its feed. No kind has an action with a space, so a cursor cannot pass for
// arguments.
func cursorBinding(kind Kind, instance string) secret.Binding {
	return secret.Binding{Service: kind.Service, Type: kind.Type, Action: kind.Action + " cursor", Instance: instance}
}
