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

// hashAlgorithm is raised when appendCanonical writes something else.
const hashAlgorithm = 1

// canonical writes a field's value so that two values are equal where their texts
// are, whatever way they came.
func (f *field) canonical(out []byte, row reflect.Value) []byte {
	return appendCanonical(out, f.value(row), f.unordered)
}

func (f *field) equal(a, b reflect.Value) bool {
	var x, y [256]byte
	return bytes.Equal(f.canonical(x[:0], a), f.canonical(y[:0], b))
}

// appendCanonical: nil differs from zero; times are whole microseconds UTC; floats
// are their shortest text, without a negative zero; a set is sorted, without
// doubles; a nil list is an empty one, since not every column can tell them apart.
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
	case reflect.Map:
		var parts []string
		for key, item := range v.Seq2() {
			parts = append(parts, string(appendCanonical(append(appendCanonical(nil, key, false), ':'), item, false)))
		}
		slices.Sort(parts)
		return append(append(append(out, '{'), strings.Join(parts, ",")...), '}')
	case reflect.Struct:
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
	default:
		return append(out, "nil"...)
	}
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

// canonicalByMethod are types that know their value better than their fields do.
func canonicalByMethod(v reflect.Value) (string, bool) {
	if !v.CanInterface() {
		return "", false
	}
	known := v.Interface()
	if v.CanAddr() && v.Kind() == reflect.Struct { // methods may want a pointer
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

// canonicalStruct reports whether a struct has something to compare.
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

// canonicalJSON has sorted keys and no spaces; numbers stay as they were written.
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

// keyPart is a value as part of a key.
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
