package mirror

import (
	"encoding/json"
	"fmt"
	"iter"
	"reflect"

	"github.com/nawasara/nawasync"
)

// mutation holds the arguments of a create, update or delete job.
type mutation struct {
	kind   nawasync.Kind
	target nawasync.Target
	queue  string
	max    int // attempts; 0 is the default

	MaskKeys []string `json:"mask_keys,omitempty"` // of the repository; an answer to a conflict needs them

	Key     map[string]json.RawMessage  `json:"key"`               // scope, key, natural and incarnation fields
	Want    map[string]json.RawMessage  `json:"want,omitempty"`    // of a create: the content
	Changes map[string]*requestedChange `json:"changes,omitempty"` // of an update
	// Seen holds the values that the user saw, in From: of a delete all of them, of an update those of the
	// fields that are in a group with a changed one.
	Seen map[string]*requestedChange `json:"seen,omitempty"`
	// WriteOnly holds the secrets to set. They are sealed with the arguments, written to the
	// remote, and never stored in the table.
	WriteOnly map[string]nawasync.Secret `json:"write_only,omitempty"`
	// Creation is the open job that creates the object, if the change was dispatched behind one. The change
	// then concerns the object that this job creates; else it concerns the one with the key of Key.
	Creation int64 `json:"creation,omitempty"`
	// Behind lists the jobs of the row that were open when the change was dispatched. What they have changed,
	// the user could not see.
	Behind []int64 `json:"behind,omitempty"`
	// Accept takes the remote's value of a field for the wanted one, where it is neither the seen nor the
	// wanted one: an operator chose to accept it.
	Accept bool `json:"accept,omitempty"`
	// Insisted says that an operator has answered a conflict with this change: what the remote keeps after
	// the write is its form of the wanted value, and no reason to ask again.
	Insisted bool `json:"insisted,omitempty"`
	// Force writes without regard to the remote's current values: an operator chose to
	// overwrite them.
	Force bool `json:"force,omitempty"`
}

// fields yields the fields that the user saw, by column.
func (m *mutation) fields() iter.Seq2[string, *requestedChange] {
	return func(yield func(string, *requestedChange) bool) {
		for _, list := range []map[string]*requestedChange{m.Changes, m.Seen} {
			for column, c := range list {
				if !yield(column, c) {
					return
				}
			}
		}
	}
}

func (m *mutation) Kind() nawasync.Kind { return m.kind }

func (m *mutation) Target() nawasync.Target { return m.target }

func (m *mutation) Options() nawasync.JobOptions {
	return nawasync.JobOptions{Queue: m.queue, MaxAttempts: m.max, MaskKeys: m.MaskKeys}
}

// requestedChange is the change of one field.
type requestedChange struct {
	From json.RawMessage `json:"from,omitempty"`
	To   json.RawMessage `json:"to,omitempty"`
	// Also lists values that count as seen, like From: those that earlier unfinished jobs of the
	// row write.
	Also []json.RawMessage `json:"also,omitempty"`
	// Digest is a keyed digest of a value that counts as seen, for a value that may not be stored.
	Digest string `json:"digest,omitempty"`
	// Seen is a salted digest of the value that the user saw, in place of From, if only a token knows it.
	Seen string `json:"seen,omitempty"`
}

// refreshArgs holds the arguments of a refresh: of a row, or of the object of a key. Package jobstore encodes the same
// JSON for a row.
type refreshArgs struct {
	kind   nawasync.Kind
	target nawasync.Target
	queue  string
	lane   string                     // of a key; see keyLane
	Row    int64                      `json:"row,omitempty"`
	Key    map[string]json.RawMessage `json:"key,omitempty"` // scope and key fields
	max    int                        // attempts; 0 is the default
}

func (a refreshArgs) Kind() nawasync.Kind { return a.kind }

func (a refreshArgs) Target() nawasync.Target { return a.target }

// Options gives the refreshes of one key a lane. While one runs, at most one more waits: it reads whatever
// has changed until it starts.
func (a refreshArgs) Options() nawasync.JobOptions {
	return nawasync.JobOptions{Queue: a.queue, MaxAttempts: a.max, Lane: a.lane, UniqueKey: a.lane, UniqueUntilRunning: true}
}

// encodeFields returns the values of fields as JSON, by column.
func encodeFields(row reflect.Value, fields []*field) (map[string]json.RawMessage, error) {
	out := map[string]json.RawMessage{}
	for _, f := range fields {
		text, err := json.Marshal(f.value(row).Interface())
		if err != nil {
			return nil, fmt.Errorf("%w: marshal field %s: %w", nawasync.ErrInvalid, f.Name, err)
		}
		out[f.column] = text
	}
	return out, nil
}

// decodeField sets a field of row to an encoded value.
func decodeField(row reflect.Value, f *field, text json.RawMessage) error {
	value := reflect.New(f.FieldType).Elem()
	if err := decodeExact(text, value); err != nil {
		return fmt.Errorf("decode column %s: %q into %s: %w", f.column, text, f.FieldType, err)
	}
	f.value(row).Set(value)
	return nil
}

func (m *model) newRow() reflect.Value { return reflect.New(m.schema.ModelType).Elem() }

// decode sets the fields of a row from encoded values by column.
func (m *model) decode(into reflect.Value, fields map[string]json.RawMessage) error {
	for column, text := range fields {
		f := m.byColumn[column]
		if f == nil {
			continue // the job was dispatched by another release, which has this field
		}
		if err := decodeField(into, f, text); err != nil {
			return err
		}
	}
	return nil
}
