package mirror

import (
	"bytes"
	"database/sql/driver"
	"encoding"
	"encoding/hex"
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
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
	var x, y [256]byte
	return bytes.Equal(f.canonical(x[:0], a), f.canonical(y[:0], b))
}

// appendCanonical appends the canonical text of a value.
//
// A nil pointer differs from a zero value. Times count in whole microseconds of UTC. Floats
// have their shortest text, and zero has no sign. A set is sorted and has no duplicates. A nil
// list equals an empty one, since not every column type can store the difference.
func appendCanonical(out []byte, v reflect.Value, set bool) []byte {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return append(out, "nil"...)
		}
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.String:
		return strconv.AppendQuote(out, v.String())
	case reflect.Bool:
		return strconv.AppendBool(out, v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.AppendInt(out, v.Int(), 10)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return strconv.AppendUint(out, v.Uint(), 10)
	case reflect.Float32, reflect.Float64:
		return appendFloat(out, v.Float(), v.Type().Bits())
	default:
	}
	if text, ok := canonicalByMethod(v); ok {
		return append(out, text...)
	}
	switch v.Kind() {
	case reflect.Slice, reflect.Array:
		return appendList(out, v, set)
	case reflect.Map:
		return appendMap(out, v)
	case reflect.Struct:
		return appendStruct(out, v)
	default:
		return append(out, "nil"...)
	}
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

func appendMap(out []byte, v reflect.Value) []byte {
	var parts []string
	for key, item := range v.Seq2() {
		parts = append(parts, string(appendCanonical(append(appendCanonical(nil, key, false), ':'), item, false)))
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

// canonicalByMethod returns the canonical text of a type whose value is not the sum of its
// fields: a time, JSON, a driver.Valuer or an encoding.TextMarshaler.
func canonicalByMethod(v reflect.Value) (string, bool) {
	if !v.CanInterface() {
		return "", false
	}
	known := v.Interface()
	if v.CanAddr() && v.Kind() == reflect.Struct { // the methods may have a pointer receiver
		if at, ok := known.(time.Time); !ok {
			known = v.Addr().Interface()
		} else {
			known = at
		}
	}
	switch value := known.(type) {
	case time.Time:
		if value.IsZero() {
			return "t:0", true
		}
		return "t:" + strconv.FormatInt(value.UnixMicro(), 10), true
	case json.RawMessage:
		return canonicalJSON(value), true
	case driver.Valuer:
		inner, err := value.Value()
		if err != nil {
			return "", false
		}
		if inner == nil {
			return "nil", true
		}
		if text, ok := inner.([]byte); ok {
			inner = string(text)
		}
		return string(appendCanonical(nil, reflect.ValueOf(inner), false)), true
	case encoding.TextMarshaler:
		if text, err := value.MarshalText(); err == nil {
			return strconv.Quote(string(text)), true
		}
	}
	return "", false
}

// canonicalStruct reports whether values of a struct type can be compared.
func canonicalStruct(t reflect.Type) bool {
	if t == reflect.TypeFor[time.Time]() {
		return true
	}
	for _, known := range []reflect.Type{reflect.TypeFor[driver.Valuer](), reflect.TypeFor[encoding.TextMarshaler]()} {
		if t.Implements(known) || reflect.PointerTo(t).Implements(known) {
			return true
		}
	}
	for f := range t.Fields() {
		if f.IsExported() {
			return true
		}
	}
	return false
}

// canonicalJSON returns JSON with sorted keys and without spaces. It keeps the text of numbers.
func canonicalJSON(raw json.RawMessage) string {
	var value any
	if len(bytes.TrimSpace(raw)) == 0 {
		return "nil"
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if decoder.Decode(&value) != nil {
		return strconv.Quote(string(raw))
	}
	text, _ := json.Marshal(value)
	return string(text)
}

// keyPart returns the text of one field of a key.
func keyPart(v reflect.Value) string {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.String:
		return v.String()
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.FormatUint(v.Uint(), 10)
	default:
	}
	text := string(appendCanonical(nil, v, false))
	if plain, err := strconv.Unquote(text); err == nil {
		return plain
	}
	return text
}
