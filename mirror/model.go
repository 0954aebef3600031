package mirror

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"time"

	"gorm.io/gorm/schema"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// The roles of a snapshot's fields, from the struct tag sync.
const (
	roleContent  = "content"  // hashed, compared, writable
	roleScope    = "scope"    // the part of the key that selects an instance
	roleKey      = "key"      // the remote's id
	roleNatural  = "natural"  // content, and the name that finds an object before it has an id
	roleObserved = "observed" // stored and refreshed, never a conflict
	// roleIncarnation is observed, and differs if the remote's object was deleted and made again.
	roleIncarnation = "incarnation"
	roleSecret      = "secret"  // written to the remote, never stored
	roleIgnored     = "ignored" // not synced
)

// field is one field of a snapshot struct.
type field struct {
	*schema.Field
	column    string
	role      string
	unordered bool   // a list whose order has no meaning
	exact     bool   // another value than the one that was written is never accepted
	plain     bool   // isPlainKind
	hidden    bool   // the value is shown nowhere but in the table
	global    bool   // of a key: no object of another scope has it
	group     string // fields of one group conflict together
	limit     bool   // of the scope: the remote's limits and credentials belong to it
}

// contentHash returns the first half of a SHA-256 over the content fields, sorted by column.
func (m *model) contentHash(row reflect.Value) string {
	hash, _ := m.contentHashIn(make([]byte, 0, 512), row)
	return hash
}

// contentHashIn is contentHash with a buffer, which it returns to be used again.
func (m *model) contentHashIn(buffer []byte, row reflect.Value) (hash string, used []byte) {
	out := buffer[:0]
	for _, f := range m.content {
		out = append(append(out, f.column...), '=')
		out = f.canonical(out, row)
		out = append(out, '\n')
	}
	sum := sha256.Sum256(out)
	var text [32]byte
	hex.Encode(text[:], sum[:16])
	return string(text[:]), out
}

// model describes a snapshot struct.
type model struct {
	schema *schema.Schema
	table  string
	id     *schema.Field

	scope, key, natural, content, observed, secrets []*field // content includes the natural fields
	incarnation                                     []*field // some of observed

	cleaned []*field // fields that normalise may change
	floats  []*field // content fields that are numbers with a fraction

	created, updated []*schema.Field // times that gorm sets
	byColumn         map[string]*field
	maskKeys         []string            // extra keys for secret.Mask, from the tags hidden and shown
	allFetched       string              // SyncStatus.FetchedColumns of a row that was fetched completely
	limits           int                 // how many of the first scope fields are the limit scope
	spell            func(reflect.Value) // Config.Normalise; nil if there is none
	version          int64               // version of the content hash; it differs for each set of content fields
}

// keyFields returns the scope and key fields.
func (m *model) keyFields() []*field { return append(slices.Clone(m.scope), m.key...) }

// globalKey reports whether the key of an object that moves to another scope stays the same, and belongs to no other
// object of any scope.
func (m *model) globalKey() bool {
	return len(m.scope) > 0 && slices.ContainsFunc(m.key, func(f *field) bool { return f.global })
}

// mirrored returns the fields that a listing fills: content and observed.
func (m *model) mirrored() []*field { return append(slices.Clone(m.content), m.observed...) }

func (m *model) idOf(row reflect.Value) int64 {
	v := m.id.ReflectValueOf(context.Background(), row)
	if v.CanUint() {
		return int64(v.Uint())
	}
	return v.Int()
}

// normalise spells values as the remote does, and changes them to values that every database stores and returns
// unchanged: valid UTF-8 without NUL, and times in whole microseconds.
func (m *model) normalise(row reflect.Value) {
	m.respell(row)
	for _, f := range m.cleaned {
		v := f.value(row)
		for v.Kind() == reflect.Pointer && !v.IsNil() {
			v = v.Elem()
		}
		switch {
		case v.Type() == reflect.TypeFor[json.RawMessage]() && v.CanSet():
			if canonicalJSON(v.Bytes()) == canonicalNone {
				v.SetBytes(nil)
			}
		case v.Kind() == reflect.String && v.CanSet():
			v.SetString(sqlkit.CleanText(v.String(), math.MaxInt))
		case v.Type() == reflect.TypeFor[time.Time]() && v.CanSet():
			at := v.Interface().(time.Time)
			if !at.IsZero() {
				v.Set(reflect.ValueOf(at.UTC().Truncate(time.Microsecond)))
			}
		}
	}
}

// cleaned reports whether normalise may change values of the field.
func (f *field) cleaned() bool {
	t := f.FieldType
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return f.role != roleSecret && (t == reflect.TypeFor[json.RawMessage]() || t == reflect.TypeFor[time.Time]() || t.Kind() == reflect.String)
}

// value returns the field's value in a row, without an allocation.
func (f *field) value(row reflect.Value) reflect.Value {
	return f.ReflectValueOf(context.Background(), row)
}

// param returns the field's value as a parameter of a statement.
func (f *field) param(row reflect.Value) any {
	if f.isRawJSON() {
		return f.rawParam(row)
	}
	v, _ := f.ValueOf(context.Background(), row)
	return v
}
