package mirror

import (
	"bytes"
	"encoding/hex"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// hashAlgorithm is the version of the text that appendCanonical writes. Raise it when that text
// changes: the next sync then rewrites the stored hashes without reporting drift.
const hashAlgorithm = 2

// canonical appends the canonical text of a field's value: two values are equal if and only if
// their texts are.
func (f *field) canonical(out []byte, row reflect.Value) []byte {
	return appendCanonical(out, f.value(row), f.unordered)
}

func (f *field) equal(a, b reflect.Value) bool {
	if f.plain {
		x, y := f.value(a), f.value(b)
		switch {
		case x.CanInt():
			return x.Int() == y.Int()
		case x.CanUint():
			return x.Uint() == y.Uint()
		case x.Kind() == reflect.Bool:
			return x.Bool() == y.Bool()
		case x.String() == y.String():
			return true // other texts may still be equal as stored
		}
	}
	var x, y [256]byte
	return bytes.Equal(f.canonical(x[:0], a), f.canonical(y[:0], b))
}

// Canonical is an optional interface of a field's type, or of the type of a part of a field. Where values
// are compared, Canonical returns the value to compare in place of its receiver: for example a copy of
// an element without the id that the remote gives it, or a map without the entries that the remote leaves
// out. What is stored and sent stays as it is. Canonical must not change its receiver, and must be safe for
// concurrent use.
type Canonical interface {
	Canonical() any
}

// appendCanonical appends the canonical text of a value.
//
// A type decides what is equal by Canonical, Value (driver.Valuer) or MarshalText. A nil pointer differs
// from a zero value. Times count in whole microseconds of UTC. Floats have their shortest text, and zero
// has no sign. A set is sorted and has no duplicates. A nil list or map equals an empty one, since not
// every column type can store the difference; a document of JSON that is null, empty or NULL is no value,
// and differs from an empty list or map.
func appendCanonical(out []byte, v reflect.Value, set bool) []byte {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return append(out, canonicalNone...)
		}
		v = v.Elem()
	}
	if v.Kind() == reflect.Interface {
		if v.IsNil() {
			return append(out, canonicalNone...)
		}
		return appendFree(out, v)
	}
	if v.Type().PkgPath() != "" { // a type with a name, so that it may have methods
		if text, ok := canonicalByMethod(v); ok {
			return append(out, text...)
		}
	}
	return appendByKind(out, v, set)
}

// appendByKind is appendCanonical for a value whose type has no methods that say what is equal.
func appendByKind(out []byte, v reflect.Value, set bool) []byte {
	switch v.Kind() {
	case reflect.String:
		return appendText(out, v.String())
	case reflect.Bool:
		return strconv.AppendBool(out, v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.AppendInt(out, v.Int(), 10)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return strconv.AppendUint(out, v.Uint(), 10)
	case reflect.Float32, reflect.Float64:
		return appendFloat(out, v.Float(), v.Type().Bits())
	case reflect.Slice, reflect.Array:
		return appendList(out, v, set)
	case reflect.Map:
		return appendMap(out, v, func(out []byte, item reflect.Value) []byte { return appendCanonical(out, item, false) })
	case reflect.Struct:
		return appendStruct(out, v)
	default:
		return append(out, canonicalNone...)
	}
}

// appendText appends a text as it is after it was stored as JSON, which has no invalid UTF-8.
func appendText(out []byte, text string) []byte {
	if isPlain(text) {
		return append(append(append(out, '"'), text...), '"')
	}
	if !utf8.ValidString(text) {
		text = string([]rune(text))
	}
	return strconv.AppendQuote(out, text)
}

// isPlain reports whether strconv.Quote only adds quotes to a text.
func isPlain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// isPlainKind reports whether all values of a type are numbers, texts or truth values without methods, so
// that they can be compared as they are.
func isPlainKind(t reflect.Type) bool {
	if t.PkgPath() != "" {
		return false
	}
	zero := reflect.Zero(t)
	return zero.CanInt() || zero.CanUint() || t.Kind() == reflect.Bool || t.Kind() == reflect.String
}

func appendList(out []byte, v reflect.Value, set bool) []byte {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		return hex.AppendEncode(append(out, "x:"...), slices.Collect(bytesOf(v)))
	}
	parts := make([]string, v.Len())
	for i := range parts {
		parts[i] = string(appendCanonical(nil, v.Index(i), false))
	}
	if set {
		slices.Sort(parts)
		parts = slices.Compact(parts)
	}
	return append(append(append(out, '['), strings.Join(parts, ",")...), ']')
}

func appendMap(out []byte, v reflect.Value, appendItem func(out []byte, item reflect.Value) []byte) []byte {
	var parts []string
	for key, item := range v.Seq2() {
		parts = append(parts, string(appendItem(append(appendCanonical(nil, key, false), ':'), item)))
	}
	slices.Sort(parts)
	return append(append(append(out, '{'), strings.Join(parts, ",")...), '}')
}

func appendStruct(out []byte, v reflect.Value) []byte {
	out = append(out, '{')
	for i, f := range reflect.VisibleFields(v.Type()) {
		if f.IsExported() && !f.Anonymous {
			if i > 0 {
				out = append(out, ',')
			}
			out = appendCanonical(append(append(out, f.Name...), ':'), v.FieldByIndex(f.Index), false)
		}
	}
	return append(out, '}')
}

func bytesOf(v reflect.Value) func(func(byte) bool) {
	return func(yield func(byte) bool) {
		for i := range v.Len() {
			if !yield(byte(v.Index(i).Uint())) {
				return
			}
		}
	}
}

func appendFloat(out []byte, value float64, bits int) []byte {
	switch {
	case math.IsNaN(value):
		return append(out, "NaN"...)
	case value == 0:
		return append(out, '0')
	}
	return strconv.AppendFloat(out, value, 'g', -1, bits)
}

// keyPart returns the text of one field of a key.
func keyPart(v reflect.Value) string {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		v = v.Elem()
	}
	if v.Type().PkgPath() != "" && (hasCanonicalMethod(v.Type()) || hasCanonicalMethod(reflect.PointerTo(v.Type()))) {
		return plainText(v)
	}
	switch v.Kind() {
	case reflect.String:
		return v.String()
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.FormatUint(v.Uint(), 10)
	default:
		return plainText(v)
	}
}

// plainText returns the canonical text of a value, without quotes.
func plainText(v reflect.Value) string {
	text := string(appendCanonical(nil, v, false))
	if plain, err := strconv.Unquote(text); err == nil {
		return plain
	}
	return text
}
