package nawasync

import "github.com/nawasara/nawasync/secret"

// Secret is a text that never prints and travels sealed; see [secret.Secret].
type Secret = secret.Secret

// NewSecret hides value.
func NewSecret(value string) Secret { return secret.New(value) }

// Mask replaces every secret in a JSON document by "***"; see [secret.Mask] for what
// counts as one. What is not valid JSON is hidden whole. It is safe for concurrent use.
func Mask(document []byte, extraKeys ...string) []byte { return secret.Mask(document, extraKeys...) }
