package nawasync

import (
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"sync"
)

const masked = "***"

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

// NewSecret hides value.
func NewSecret(value string) Secret { return Secret{value: &value} }

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
func (Secret) String() string { return masked }

// GoString returns "***".
func (Secret) GoString() string { return masked }

// Format writes "***" for every verb and flag.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, masked) }

// LogValue is "***".
func (Secret) LogValue() slog.Value { return slog.StringValue(masked) }

// MarshalText returns "***".
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.text()), nil }

// MarshalJSON returns "***". The engine seals arguments another way.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.text()) }

func (s Secret) text() string {
	if s.open {
		return s.Reveal()
	}
	return masked
}

// UnmarshalText takes the value over.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(string(text))
	return nil
}

// UnmarshalJSON takes the value of a JSON string over; null is the zero Secret.
func (s *Secret) UnmarshalJSON(data []byte) error {
	var value *string
	if err := json.Unmarshal(data, &value); err != nil {
		return errors.New("nawasync: a Secret must be a JSON string")
	}
	*s = Secret{value: value}
	return nil
}

// Value refuses: a Secret is not stored in the clear.
func (Secret) Value() (driver.Value, error) {
	return nil, errors.New("nawasync: a Secret is not stored in a database; seal it, or store what Reveal returns if you must")
}

// GobEncode refuses, for the same reason as Value.
func (Secret) GobEncode() ([]byte, error) {
	return nil, errors.New("nawasync: a Secret is not encoded with gob")
}

var secretType = reflect.TypeFor[Secret]()

// secretTypes remembers per type whether a Secret may be inside: most arguments
// hold none, and are marshalled as they are.
type secretTypes struct{ known sync.Map }

// holds reports whether a value of the type may hold a Secret. Interfaces may.
func (c *secretTypes) holds(t reflect.Type) bool {
	if v, ok := c.known.Load(t); ok {
		return v.(bool)
	}
	found := holdsSecret(t, true, map[reflect.Type]bool{})
	c.known.Store(t, found)
	return found
}

func holdsSecret(t reflect.Type, interfaces bool, seen map[reflect.Type]bool) bool {
	if t == secretType {
		return true
	}
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Interface:
		return interfaces
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return holdsSecret(t.Elem(), interfaces, seen)
	case reflect.Map:
		return holdsSecret(t.Key(), interfaces, seen) || holdsSecret(t.Elem(), interfaces, seen)
	case reflect.Struct:
		for f := range t.Fields() {
			if holdsSecret(f.Type, interfaces, seen) {
				return true
			}
		}
	default:
	}
	return false
}

// reveal marshals v with the values of its Secrets, and returns these too. It
// works on a deep copy in which every Secret is open: MarshalJSON of the original
// says "***", and a job dispatched with that would set the mailbox's password to it.
func (c *secretTypes) reveal(v any) (plain []byte, secrets []string, err error) {
	value := reflect.ValueOf(v)
	if !value.IsValid() || !c.holds(value.Type()) {
		plain, err = json.Marshal(v)
		return plain, nil, err
	}
	r := revealer{}
	open, err := r.copy(value, 0)
	if err != nil {
		return nil, nil, err
	}
	plain, err = json.Marshal(open.Interface())
	return plain, r.secrets, err
}

type revealer struct{ secrets []string }

// maxDepth is far beyond real arguments and far below a stack overflow.
const maxDepth = 1000

func (r *revealer) copy(v reflect.Value, depth int) (reflect.Value, error) {
	if depth > maxDepth {
		return v, errors.New("nawasync: arguments are nested too deeply, or point at themselves")
	}
	if v.Type() == secretType {
		s := v.Interface().(Secret)
		if !s.IsZero() {
			r.secrets = append(r.secrets, s.Reveal())
		}
		s.open = true
		return reflect.ValueOf(s), nil
	}
	out := reflect.New(v.Type()).Elem()
	out.Set(v)
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return out, nil
		}
		inner, err := r.copy(v.Elem(), depth+1)
		if err != nil {
			return v, err
		}
		if v.Kind() == reflect.Interface {
			out.Set(inner)
			return out, nil
		}
		out.Set(reflect.New(v.Type().Elem()))
		out.Elem().Set(inner)
	case reflect.Struct:
		return r.copyStruct(v, out, depth)
	case reflect.Slice:
		if v.IsNil() || !holdsSecret(v.Type().Elem(), true, map[reflect.Type]bool{}) {
			return out, nil
		}
		out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		return out, r.copyItems(v, out, depth)
	case reflect.Array:
		return out, r.copyItems(v, out, depth)
	case reflect.Map:
		if v.IsNil() {
			return out, nil
		}
		out.Set(reflect.MakeMapWithSize(v.Type(), v.Len()))
		for key, item := range v.Seq2() {
			k, err := r.copy(key, depth+1)
			if err != nil {
				return v, err
			}
			i, err := r.copy(item, depth+1)
			if err != nil {
				return v, err
			}
			out.SetMapIndex(k, i)
		}
	default:
	}
	return out, nil
}

func (r *revealer) copyItems(from, to reflect.Value, depth int) error {
	for i := range from.Len() {
		item, err := r.copy(from.Index(i), depth+1)
		if err != nil {
			return err
		}
		to.Index(i).Set(item)
	}
	return nil
}

func (r *revealer) copyStruct(v, out reflect.Value, depth int) (reflect.Value, error) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !field.IsExported() {
			if holdsSecret(field.Type, false, map[reflect.Type]bool{}) {
				return v, fmt.Errorf("nawasync: field %s.%s holds a Secret but is not exported, so it would not travel with the job; export it", v.Type(), field.Name)
			}
			continue
		}
		item, err := r.copy(v.Field(i), depth+1)
		if err != nil {
			return v, err
		}
		out.Field(i).Set(item)
	}
	return out, nil
}
