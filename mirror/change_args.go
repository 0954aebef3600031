package mirror

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/nawasara/nawasync"
)

// mutation is the arguments of a repository's create, update or delete.
type mutation struct {
	kind   nawasync.Kind
	target nawasync.Target
	queue  string

	Key     map[string]json.RawMessage `json:"key"`               // scope, key, natural
	Want    map[string]json.RawMessage `json:"want,omitempty"`    // of a create
	Changes map[string]*fieldChange    `json:"changes,omitempty"` // of an update
	Seen    map[string]*fieldChange    `json:"seen,omitempty"`    // of a delete: what the user saw, as From
	// WriteOnly are the secrets to set: they reach the remote and rest nowhere.
	WriteOnly map[string]nawasync.Secret `json:"write_only,omitempty"`
	// Force writes whatever the remote has: a person's answer to a conflict.
	Force bool `json:"force,omitempty"`
}

func (m *mutation) Kind() nawasync.Kind { return m.kind }

func (m *mutation) Target() nawasync.Target { return m.target }

func (m *mutation) Options() nawasync.JobOptions { return nawasync.JobOptions{Queue: m.queue} }

// fieldChange is one field of a mutation.
type fieldChange struct {
	From json.RawMessage `json:"from"`
	To   json.RawMessage `json:"to,omitempty"`
	// Also are values that count as From: what jobs before this one will have written.
	Also []json.RawMessage `json:"also,omitempty"`
}

// refreshArgs are the arguments of a refresh; package tracker writes the same.
type refreshArgs struct {
	kind   nawasync.Kind
	target nawasync.Target
	queue  string
	Row    int64 `json:"row"`
}

func (a refreshArgs) Kind() nawasync.Kind { return a.kind }

func (a refreshArgs) Target() nawasync.Target { return a.target }

func (a refreshArgs) Options() nawasync.JobOptions { return nawasync.JobOptions{Queue: a.queue} }

func encodeFields(row reflect.Value, fields []*field) (map[string]json.RawMessage, error) {
	out := map[string]json.RawMessage{}
	for _, f := range fields {
		text, err := json.Marshal(f.value(row).Interface())
		if err != nil {
			return nil, fmt.Errorf("%w: field %s does not marshal: %w", nawasync.ErrInvalid, f.Name, err)
		}
		out[f.column] = text
	}
	return out, nil
}

// decodeField sets a field of row to what was encoded.
func decodeField(row reflect.Value, f *field, text json.RawMessage) error {
	value := reflect.New(f.FieldType)
	if err := json.Unmarshal(text, value.Interface()); err != nil {
		return fmt.Errorf("column %s: %q does not decode into %s: %w", f.column, text, f.FieldType, err)
	}
	f.value(row).Set(value.Elem())
	return nil
}

func (m *model) newRow() reflect.Value { return reflect.New(m.schema.ModelType).Elem() }

func (m *model) decode(into reflect.Value, fields map[string]json.RawMessage) error {
	for column, text := range fields {
		f := m.byColumn[column]
		if f == nil {
			continue // a field that a newer release had
		}
		if err := decodeField(into, f, text); err != nil {
			return err
		}
	}
	return nil
}
