package mirror

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/fault"
)

// Wire maps the columns of a snapshot struct to the names that an API has for them, from the tag wire:
//
//	Content string `sync:"group=data" wire:"content"`
//	Priority *int `wire:"priority,omitempty"` // left out while it is nil
//
// A field without the tag has no name: no call can change it. Wire is safe for concurrent use.
type Wire[T any] struct {
	fields []wireField
}

type wireField struct {
	*field
	name      string
	omitEmpty bool
}

// NewWire reads the tags of a snapshot struct.
func NewWire[T any]() (*Wire[T], error) {
	m, err := newModel(withoutDatabase(), new(T))
	if err != nil {
		return nil, err
	}
	w := &Wire[T]{}
	for _, parsed := range m.schema.Fields {
		tag := parsed.Tag.Get("wire")
		if tag == "" || tag == "-" {
			continue
		}
		name, option, _ := strings.Cut(tag, ",")
		f := m.fieldOf(parsed)
		switch {
		case f == nil:
			return nil, fmt.Errorf("snapshot %T: field %s has the tag wire, but is not synced", *new(T), parsed.Name)
		case name == "" || option != "" && option != "omitempty":
			return nil, fmt.Errorf(`snapshot %T: field %s has the tag wire:%q; use wire:"name" or wire:"name,omitempty"`, *new(T), parsed.Name, tag)
		}
		w.fields = append(w.fields, wireField{f, name, option != ""})
	}
	return w, nil
}

// fieldOf returns the synced field of a parsed one, or nil.
func (m *model) fieldOf(parsed *schema.Field) *field {
	for _, f := range m.byColumn {
		if f.Field == parsed {
			return f
		}
	}
	return nil
}

// withoutDatabase is what newModel needs of a database to read a struct.
func withoutDatabase() *gorm.DB {
	return &gorm.DB{Config: &gorm.Config{NamingStrategy: schema.NamingStrategy{}}}
}

// Changed returns the values of the touched fields by their names in the API, for a call that changes an
// object. The other fields of a group are added, because a change of one was decided with the others. A secret
// is its revealed value. A touched field without a name is an error of fault.ClassPermanent.
func (w *Wire[T]) Changed(want T, touched FieldDiff) (map[string]any, error) {
	groups, known := map[string]bool{}, map[string]bool{}
	for _, f := range w.fields {
		known[f.column] = true
		if touched.Has(f.column) && f.group != "" {
			groups[f.group] = true
		}
	}
	for _, change := range touched {
		if !known[change.Field] {
			return nil, &fault.Error{
				Class: fault.ClassPermanent, Hint: "change it on the remote itself",
				Err: fmt.Errorf("no call changes the field %s", change.Field),
			}
		}
	}
	return w.values(want, func(f wireField) bool { return touched.Has(f.column) || groups[f.group] })
}

// All returns the values of all fields by their names in the API, for a call that creates an object. An
// empty secret is left out.
func (w *Wire[T]) All(want T) (map[string]any, error) {
	return w.values(want, func(f wireField) bool {
		s, isSecret := reflect.TypeAssert[nawasync.Secret](f.value(reflect.ValueOf(&want).Elem()))
		return !isSecret || s.Reveal() != ""
	})
}

func (w *Wire[T]) values(want T, sent func(wireField) bool) (map[string]any, error) {
	out := map[string]any{}
	for _, f := range w.fields {
		if !sent(f) {
			continue
		}
		value := f.value(reflect.ValueOf(&want).Elem()).Interface()
		switch v := reflect.ValueOf(value); {
		case v.Kind() == reflect.Pointer && v.IsNil():
			if f.omitEmpty {
				continue
			}
			value = nil
		case v.Kind() == reflect.Slice && v.IsNil() && v.Type().Elem().Kind() != reflect.Uint8:
			value = reflect.MakeSlice(v.Type(), 0, 0).Interface() // APIs take null for “no change”
		case f.omitEmpty && v.IsZero():
			continue
		}
		if s, ok := value.(nawasync.Secret); ok {
			value = s.Reveal()
		}
		if _, twice := out[f.name]; twice {
			return nil, errors.New("two fields have the name " + f.name + " on the wire")
		}
		out[f.name] = value
	}
	return out, nil
}
