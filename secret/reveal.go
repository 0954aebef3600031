package secret

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sync"
)

// Contains reports whether the type is Secret or is declared with one in a field, element or
// map key. Interfaces do not count, although their values may hold a Secret.
func Contains(t reflect.Type) bool { return containsSecret(t, false, map[reflect.Type]bool{}) }

// containsSecret reports whether the type contains a Secret. interfaces says whether an
// interface counts as a Secret. seen holds the types already visited, because types can be
// recursive.
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

// Revealer marshals values with their Secrets unmasked. It remembers for each type whether it
// may hold a Secret. A value that holds none, as most do, is marshalled without being copied.
// The zero value is ready to use. A Revealer is safe for concurrent use.
type Revealer struct{ types sync.Map }

// MayHold reports whether a value of the type may hold a Secret. An interface may hold one.
func (c *Revealer) MayHold(t reflect.Type) bool {
	if v, ok := c.types.Load(t); ok {
		return v.(bool)
	}
	found := containsSecret(t, true, map[reflect.Type]bool{})
	c.types.Store(t, found)
	return found
}

// Reveal marshals v as JSON with the values of its Secrets, and returns these values too. It
// encodes a deep copy whose Secrets marshal their values, because the Secrets of v itself
// marshal as "***". It returns an error if a Secret is in an unexported field, if its value is
// not in the JSON, for example because a MarshalJSON formats it, or if v is nested too deeply.
// The value of a field with the tag json:"-" is returned, but need not be in the JSON.
func (c *Revealer) Reveal(v any) (plain []byte, secrets []string, err error) {
	value := reflect.ValueOf(v)
	if !value.IsValid() || !c.MayHold(value.Type()) {
		plain, err = json.Marshal(v)
		return plain, nil, err
	}
	open, err := (&copier{}).copy(value, 0)
	if err != nil {
		return nil, nil, err
	}
	if plain, err = json.Marshal(open.Interface()); err != nil {
		return nil, nil, err
	}
	held := c.collect(value)
	if err := checkSealed(plain, held); err != nil {
		return nil, nil, err
	}
	if err := c.checkMarked(value, held); err != nil {
		return nil, nil, err
	}
	for _, h := range held {
		secrets = append(secrets, h.value)
	}
	return plain, secrets, nil
}

// copier makes deep copies whose Secrets marshal their values.
type copier struct {
	mark func(value string) string // changes the values; nil keeps them
}

func (r *copier) copy(v reflect.Value, depth int) (reflect.Value, error) {
	if depth > maxDepth {
		return v, errors.New("the arguments are nested too deeply or refer to themselves")
	}
	if v.Type() == secretType {
		return r.copySecret(v.Interface().(Secret)), nil
	}
	out := reflect.New(v.Type()).Elem()
	out.Set(v)
	var err error
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		err = r.copyElem(v, out, depth)
	case reflect.Struct:
		err = r.copyFields(v, out, depth)
	case reflect.Slice:
		if v.IsNil() || !containsSecret(v.Type().Elem(), true, map[reflect.Type]bool{}) {
			break
		}
		out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		err = r.copyItems(v, out, depth)
	case reflect.Array:
		err = r.copyItems(v, out, depth)
	case reflect.Map:
		err = r.copyMap(v, out, depth)
	default:
	}
	return out, err
}

func (r *copier) copySecret(s Secret) reflect.Value {
	if r.mark != nil && !s.IsZero() {
		s = New(r.mark(s.Reveal()))
	}
	s.open = true
	return reflect.ValueOf(s)
}

// copyElem copies what a pointer or interface refers to.
func (r *copier) copyElem(from, to reflect.Value, depth int) error {
	if from.IsNil() {
		return nil
	}
	elem, err := r.copy(from.Elem(), depth+1)
	if err != nil {
		return err
	}
	if from.Kind() == reflect.Interface {
		to.Set(elem)
		return nil
	}
	to.Set(reflect.New(from.Type().Elem()))
	to.Elem().Set(elem)
	return nil
}

func (r *copier) copyFields(from, to reflect.Value, depth int) error {
	for i := range from.NumField() {
		field := from.Type().Field(i)
		if !field.IsExported() && field.Anonymous && field.Type.Kind() == reflect.Struct {
			// The exported fields of an embedded struct are fields of the JSON, whatever its own name is.
			if err := r.copyFields(from.Field(i), to.Field(i), depth+1); err != nil {
				return err
			}
			continue
		}
		if !field.IsExported() {
			if containsSecret(field.Type, false, map[reflect.Type]bool{}) {
				return fmt.Errorf("field %s.%s holds a Secret but is not exported, so the job would not get it; export it", from.Type(), field.Name)
			}
			continue
		}
		item, err := r.copy(from.Field(i), depth+1)
		if err != nil {
			return err
		}
		to.Field(i).Set(item)
	}
	return nil
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

func (r *copier) copyMap(from, to reflect.Value, depth int) error {
	if from.IsNil() {
		return nil
	}
	to.Set(reflect.MakeMapWithSize(from.Type(), from.Len()))
	for key, item := range from.Seq2() {
		keyCopy, err := r.copy(key, depth+1)
		if err != nil {
			return err
		}
		itemCopy, err := r.copy(item, depth+1)
		if err != nil {
			return err
		}
		to.SetMapIndex(keyCopy, itemCopy)
	}
	return nil
}

// maxDepth is far deeper than real arguments are nested, and far too shallow to overflow the
// stack.
const maxDepth = 1000

var secretType = reflect.TypeFor[Secret]()
