// Package secret keeps secrets out of everything that rests or that people read: the
// type [Secret] never prints, [Seal] and [Open] encrypt a job's arguments, [Mask] hides
// values by their keys, and a [Redactor] removes known secrets from texts. The package
// imports the standard library only.
//
// A service needs Secret, New and [NewKeyring]; the rest is the engine's.
package secret

import (
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Masked is what shows in the place of a secret.
const Masked = "***"

// Secret is a text that never prints: fmt with every verb, encoding/json, slog,
// panics and SQL parameters show "***" or refuse. As a field of a job's arguments
// it travels sealed, and the job gets its value from Reveal. The zero Secret is
// empty. It is safe for concurrent use.
type Secret struct {
	// A pointer, so that fmt shows an address where it reaches a Secret through an
	// unexported field, whose methods it may not call.
	value *string
	open  bool // marshals its value; set only on the copy that is sealed
}

// New hides value.
func New(value string) Secret { return Secret{value: &value} }

// Reveal returns the value. Pass it on to the remote and nowhere else.
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

// LogValue is "***".
func (Secret) LogValue() slog.Value { return slog.StringValue(Masked) }

// MarshalText returns "***".
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.text()), nil }

// MarshalJSON returns "***". The engine seals arguments another way.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.text()) }

func (s Secret) text() string {
	if s.open {
		return s.Reveal()
	}
	return Masked
}

// UnmarshalText takes the value over.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = New(string(text))
	return nil
}

// UnmarshalJSON takes the value of a JSON string over; null is the zero Secret.
func (s *Secret) UnmarshalJSON(data []byte) error {
	var value *string
	if err := json.Unmarshal(data, &value); err != nil {
		return errors.New("a Secret must be a JSON string")
	}
	*s = Secret{value: value}
	return nil
}

// Value refuses: a Secret is not stored in the clear.
func (Secret) Value() (driver.Value, error) {
	return nil, errors.New("a Secret is not stored in a database; seal it, or store what Reveal returns if you must")
}

// GobEncode refuses, for the same reason as Value.
func (Secret) GobEncode() ([]byte, error) {
	return nil, errors.New("a Secret is not encoded with gob")
}
