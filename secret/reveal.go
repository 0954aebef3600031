package secret

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sync"
)

// Contains reports whether values of the type hold Secrets by their declaration. What an
// interface may contain does not count.
func Contains(t reflect.Type) bool { return containsSecret(t, false, map[reflect.Type]bool{}) }

func containsSecret(t reflect.Type, interfaces bool, seen map[reflect.Type]bool) bool {
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
		return containsSecret(t.Elem(), interfaces, seen)
	case reflect.Map:
		return containsSecret(t.Key(), interfaces, seen) || containsSecret(t.Elem(), interfaces, seen)
	case reflect.Struct:
		for f := range t.Fields() {
			if containsSecret(f.Type, interfaces, seen) {
				return true
			}
		}
	default:
	}
	return false
}

// Revealer marshals values with their Secrets in the clear. It remembers per type
// whether a Secret may be inside: most values hold none, and are marshalled as they
// are. The zero value is ready to use, and safe for concurrent use.
type Revealer struct{ types sync.Map }

// MayHold reports whether a value of the type may hold a Secret; an interface may.
func (c *Revealer) MayHold(t reflect.Type) bool {
	if v, ok := c.types.Load(t); ok {
		return v.(bool)
	}
	found := containsSecret(t, true, map[reflect.Type]bool{})
	c.types.Store(t, found)
	return found
}

// Reveal marshals v with the values of its Secrets, and returns these too. It
// works on a deep copy in which every Secret is open: MarshalJSON of the original
// says "***", and a job dispatched with that would set the mailbox's password to it.
func (c *Revealer) Reveal(v any) (plain []byte, secrets []string, err error) {
	value := reflect.ValueOf(v)
	if !value.IsValid() || !c.MayHold(value.Type()) {
		plain, err = json.Marshal(v)
		return plain, nil, err
	}
	r := copier{}
	open, err := r.copy(value, 0)
	if err != nil {
		return nil, nil, err
	}
	plain, err = json.Marshal(open.Interface())
	return plain, r.secrets, err
}

type copier struct{ secrets []string }

func (r *copier) copy(v reflect.Value, depth int) (reflect.Value, error) {
	if depth > maxDepth {
		return v, errors.New("arguments are nested too deeply, or point at themselves")
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
		if v.IsNil() || !containsSecret(v.Type().Elem(), true, map[reflect.Type]bool{}) {
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

func (r *copier) copyItems(from, to reflect.Value, depth int) error {
	for i := range from.Len() {
		item, err := r.copy(from.Index(i), depth+1)
		if err != nil {
			return err
		}
		to.Index(i).Set(item)
	}
	return nil
}

func (r *copier) copyStruct(v, out reflect.Value, depth int) (reflect.Value, error) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !field.IsExported() {
			if containsSecret(field.Type, false, map[reflect.Type]bool{}) {
				return v, fmt.Errorf("field %s.%s holds a Secret but is not exported, so it would not travel with the job; export it", v.Type(), field.Name)
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

// maxDepth is far beyond real arguments and far below a stack overflow.
const maxDepth = 1000

var secretType = reflect.TypeFor[Secret]()
