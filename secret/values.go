package secret

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"index/suffixarray"
	"io"
	"reflect"
	"strings"
)

// Values returns the values of the Secrets within v, also of those that only a MarshalJSON or
// MarshalText of v can see. Empty Secrets have none.
func (c *Revealer) Values(v any) []string {
	held := c.collect(reflect.ValueOf(v))
	values := make([]string, len(held))
	for i, h := range held {
		values[i] = h.value
	}
	return values
}

// heldSecret is a Secret within a value.
type heldSecret struct {
	value    string
	path     string // the type and the fields that lead to the Secret
	excluded bool   // the tag json:"-" keeps the field out of the JSON
}

// collect returns the Secrets within v that have a value.
func (c *Revealer) collect(v reflect.Value) []heldSecret {
	if !v.IsValid() || !c.MayHold(v.Type()) {
		return nil
	}
	w := collector{types: c, seen: map[visit]bool{}}
	w.walk(v, place{path: v.Type().String()}, 0)
	return w.held
}

// collector walks through values without copying them. Unlike a copier, it also reads unexported fields.
type collector struct {
	types *Revealer
	held  []heldSecret
	seen  map[visit]bool // values can refer to themselves
}

// place is where a walk is.
type place struct {
	path string
	// marshals says that a type on the way has its own MarshalJSON or MarshalText, which may read
	// everything within.
	marshals bool
	excluded bool
}

type visit struct {
	at   uintptr
	n    int
	typ  reflect.Type
	from place
}

// first reports whether a walk meets what v refers to for the first time.
func (w *collector) first(v reflect.Value, n int, p place) bool {
	key := visit{at: v.Pointer(), n: n, typ: v.Type(), from: place{marshals: p.marshals, excluded: p.excluded}}
	again := w.seen[key]
	w.seen[key] = true
	return !again
}

func (w *collector) walk(v reflect.Value, p place, depth int) {
	if depth > maxDepth || !w.types.MayHold(v.Type()) {
		return
	}
	if v.Type() == secretType {
		if text := v.Field(0); !text.IsNil() && text.Elem().Len() > 0 {
			w.held = append(w.held, heldSecret{value: text.Elem().String(), path: p.path, excluded: p.excluded && !p.marshals})
		}
		return
	}
	p.marshals = p.marshals || ownMarshaler(v.Type())
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() && w.first(v, 0, p) {
			w.walk(v.Elem(), p, depth+1)
		}
	case reflect.Interface:
		if !v.IsNil() {
			w.walk(v.Elem(), p, depth+1)
		}
	case reflect.Struct:
		w.walkFields(v, p, depth)
	case reflect.Slice, reflect.Array:
		if v.Kind() == reflect.Slice && !w.first(v, v.Len(), p) {
			return
		}
		p.path += "[]"
		for i := range v.Len() {
			w.walk(v.Index(i), p, depth+1)
		}
	case reflect.Map:
		if v.IsNil() || !w.first(v, 0, p) {
			return
		}
		p.path += "[]"
		for entries := v.MapRange(); entries.Next(); {
			w.walk(entries.Key(), p, depth+1)
			w.walk(entries.Value(), p, depth+1)
		}
	default:
	}
}

// walkFields walks through the fields that encoding/json writes: the exported ones, also those of an
// embedded struct whose own name is not exported. A MarshalJSON may write any.
func (w *collector) walkFields(v reflect.Value, p place, depth int) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !field.IsExported() && !field.Anonymous && !p.marshals {
			continue
		}
		within := p
		within.path += "." + field.Name
		within.excluded = p.excluded || field.Tag.Get("json") == "-"
		w.walk(v.Field(i), within, depth+1)
	}
}

// ownMarshaler reports whether encoding/json calls a method of the type instead of writing its fields.
func ownMarshaler(t reflect.Type) bool {
	if t.Kind() == reflect.Interface {
		return false
	}
	pointer := reflect.PointerTo(t)
	return pointer.Implements(jsonMarshaler) || pointer.Implements(textMarshaler)
}

// checkSealed returns an error if a Secret is not in a document: the job would not get it. The error names the
// field, and never the value.
func checkSealed(document []byte, held []heldSecret) error {
	if len(held) == 0 {
		return nil
	}
	texts, err := textsOf(document)
	if err != nil {
		return err
	}
	whole := make(map[string]bool, len(texts))
	for _, text := range texts {
		whole[text] = true
	}
	find := textFinder{texts: texts}
	for _, h := range held {
		if h.excluded || whole[h.value] || find.part(h.value) {
			continue
		}
		return fmt.Errorf("the Secret in %s is not in the JSON that would be sealed, so the job would get another value: a MarshalJSON or MarshalText that formats a Secret writes %s, and JSON cannot hold text that is not UTF-8; marshal the Secret itself or the whole result of its method Reveal, whatever its length, and binary values in base64",
			h.path, Masked)
	}
	return nil
}

// textsOf returns the strings, keys and numbers of a JSON document.
func textsOf(document []byte) (texts []string, err error) {
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return texts, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read the JSON that would be sealed: %w", err)
		}
		switch text := token.(type) {
		case string:
			texts = append(texts, text)
		case json.Number:
			texts = append(texts, text.String())
		}
	}
}

// fewParts is how many values are looked up one by one in the texts.
const fewParts = 16

// textFinder looks up values that are parts of texts, as a MarshalJSON may write them.
type textFinder struct {
	texts  []string
	joined []byte
	n      int
	index  *suffixarray.Index
}

// part reports whether a text contains value. It stays fast for many values.
func (f *textFinder) part(value string) bool {
	if f.joined == nil {
		f.joined = []byte(strings.Join(f.texts, "\x00") + "\x00")
	}
	if f.n++; f.n <= fewParts {
		return bytes.Contains(f.joined, []byte(value))
	}
	if f.index == nil {
		f.index = suffixarray.New(f.joined)
	}
	return len(f.index.Lookup([]byte(value), 1)) > 0
}

var (
	jsonMarshaler = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
)
