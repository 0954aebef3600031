// Package secret keeps secrets out of logs, pages and the database. A [Secret] never prints its
// value, [Seal] and [Open] encrypt the arguments of a job, [Mask] hides values by their keys,
// and a [Redactor] removes known secrets from texts. The package imports only the standard
// library.
//
// A service uses Secret, New and [NewKeyring]. The engine uses the rest.
package secret

import (
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Masked is the text that replaces a secret.
const Masked = "***"

// Secret is a string whose value is never printed. fmt with every verb, encoding/json, slog and
// panics show "***"; SQL parameters and gob return an error. A Secret in the arguments of a job
// is stored encrypted, and the handler reads it with Reveal. The zero Secret is empty. A Secret
// is safe for concurrent use.
type Secret struct {
	// value is a pointer because fmt cannot call methods of a Secret in an unexported field.
	// With a pointer, fmt prints the address instead of the text.
	value *string
	open  bool // marshals the value; set only on the copies that a Revealer encodes
}

// New returns a Secret with the given value.
func New(value string) Secret { return Secret{value: &value} }

// Reveal returns the value. Pass it only to the remote.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero reports whether the secret is empty; encoding/json's omitzero uses it.
func (s Secret) IsZero() bool { return s.Reveal() == "" }

// String returns "***".
func (Secret) String() string { return Masked }

// GoString returns "***".
func (Secret) GoString() string { return Masked }

// Format writes "***" for every verb and flag.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Masked) }

// LogValue returns "***".
func (Secret) LogValue() slog.Value { return slog.StringValue(Masked) }

// MarshalText returns "***".
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.text()), nil }

// MarshalJSON returns "***". The engine encodes the value of a job's Secrets with a Revealer.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.text()) }

func (s Secret) text() string {
	if s.open {
		return s.Reveal()
	}
	return Masked
}

// UnmarshalText sets the value to text.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = New(string(text))
	return nil
}

// UnmarshalJSON sets the value to a JSON string. null sets the zero Secret.
func (s *Secret) UnmarshalJSON(data []byte) error {
	var value *string
	if err := json.Unmarshal(data, &value); err != nil {
		return errors.New("a Secret must be a JSON string")
	}
	*s = Secret{value: value}
	return nil
}

// Value always returns an error, so that a Secret is not stored unencrypted.
func (Secret) Value() (driver.Value, error) {
	return nil, errors.New("a Secret cannot be stored in a database; seal it, or store the result of Reveal if you must")
}

// GobEncode always returns an error, so that a Secret is not stored unencrypted.
func (Secret) GobEncode() ([]byte, error) {
	return nil, errors.New("a Secret cannot be encoded with gob")
}
