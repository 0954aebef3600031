package nawasync

import "github.com/nawasara/nawasync/secret"

// Secret is a text that is never printed and that is stored encrypted; see [secret.Secret].
type Secret = secret.Secret

// NewSecret returns a Secret that holds value.
func NewSecret(value string) Secret { return secret.New(value) }

// Mask replaces every secret in a JSON document with "***". See [secret.Mask] for the keys and
// values that it treats as secrets; extraKeys adds keys. Invalid JSON is replaced as a whole.
// Mask is safe for concurrent use.
func Mask(document []byte, extraKeys ...string) []byte { return secret.Mask(document, extraKeys...) }
