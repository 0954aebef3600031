package mirror

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// canonicalJSON returns the canonical text of a JSON document: sorted keys, no spaces, the last of
// several equal keys, strings without escapes that are not needed, and numbers by their value. An
// empty document and null are no value. A text that is not JSON is compared as it is.
func canonicalJSON(raw []byte) string {
	if len(bytes.TrimSpace(raw)) == 0 {
		return canonicalNone
	}
	var value any
	if decodeNumbers(raw, &value) != nil {
		return "text:" + strconv.Quote(string(raw))
	}
	return string(appendDecoded(nil, value))
}

// canonicalNone is the canonical text of no value: a nil pointer, NULL, and null in JSON.
const canonicalNone = "nil"

// appendFree appends the canonical text of a value whose type is only known at run time, which is that
// of its JSON: after a job or a column has stored the value, its type is another one.
func appendFree(out []byte, v reflect.Value) []byte {
	if v.Elem().Kind() == reflect.String && v.Elem().Type() == reflect.TypeFor[string]() {
		return appendText(out, v.Elem().String())
	}
	text, err := json.Marshal(v.Interface())
	if err != nil { // it cannot be stored as JSON either
		return appendCanonical(out, v.Elem(), false)
	}
	return append(out, canonicalJSON(text)...)
}

// appendDecoded appends the canonical text of a decoded JSON value.
func appendDecoded(out []byte, value any) []byte {
	switch value := value.(type) {
	case json.Number:
		return appendNumber(out, value.String())
	case string:
		return strconv.AppendQuote(out, value)
	case bool:
		return strconv.AppendBool(out, value)
	case []any:
		out = append(out, '[')
		for i, item := range value {
			if i > 0 {
				out = append(out, ',')
			}
			out = appendDecoded(out, item)
		}
		return append(out, ']')
	case map[string]any:
		return appendMap(out, reflect.ValueOf(value), func(out []byte, item reflect.Value) []byte { return appendDecoded(out, item.Interface()) })
	default:
		return append(out, canonicalNone...)
	}
}

// appendNumber appends the normal form of a decimal number: its digits without zeros at either end, and
// the power of ten by which they are multiplied. 1, 1.0 and 1e0 have the same normal form; no digit of
// a long number is lost. A text that is no number is quoted.
func appendNumber(out []byte, text string) []byte {
	if !json.Valid([]byte(text)) || strings.Trim(text, "+-.0123456789eE") != "" || text == "" {
		return strconv.AppendQuote(out, text)
	}
	rest, negative := strings.CutPrefix(text, "-")
	exponent := new(big.Int)
	if at := strings.IndexAny(rest, "eE"); at >= 0 {
		exponent.SetString(strings.TrimPrefix(rest[at+1:], "+"), 10)
		rest = rest[:at]
	}
	whole, fraction, _ := strings.Cut(rest, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	short := strings.TrimRight(digits, "0")
	if short == "" {
		return append(out, '0')
	}
	exponent.Add(exponent, big.NewInt(int64(len(digits)-len(short)-len(fraction))))
	if negative {
		out = append(out, '-')
	}
	out = append(out, short...)
	if exponent.Sign() != 0 {
		out = exponent.Append(append(out, 'e'), 10)
	}
	return out
}

// decodeNumbers decodes one JSON document and keeps the text of numbers.
func decodeNumbers(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("the text has more than one JSON document")
	}
	return nil
}

// decodeExact decodes JSON into a field. A number of no certain type becomes a float64, as usual, or a
// json.Number if a float64 has another value.
func decodeExact(text []byte, into reflect.Value) error {
	if !containsInterface(into.Type(), nil) {
		return json.Unmarshal(text, into.Addr().Interface())
	}
	if err := decodeNumbers(text, into.Addr().Interface()); err != nil {
		return err
	}
	simplifyNumbers(into)
	return nil
}

// simplifyNumbers replaces each json.Number in an interface by the float64 of the same value, if there
// is one.
func simplifyNumbers(v reflect.Value) {
	switch v.Kind() {
	case reflect.Interface:
		if !v.IsNil() {
			v.Set(reflect.ValueOf(simplified(v.Elem().Interface())))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			simplifyNumbers(v.Elem())
		}
	case reflect.Slice, reflect.Array:
		if containsInterface(v.Type().Elem(), nil) {
			for i := range v.Len() {
				simplifyNumbers(v.Index(i))
			}
		}
	case reflect.Map:
		if containsInterface(v.Type().Elem(), nil) {
			for key, item := range v.Seq2() {
				copied := reflect.New(item.Type()).Elem()
				copied.Set(item)
				simplifyNumbers(copied)
				v.SetMapIndex(key, copied)
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				simplifyNumbers(v.Field(i))
			}
		}
	default:
	}
}

// simplified is simplifyNumbers for a value that the JSON decoder has put into an interface.
func simplified(value any) any {
	switch value := value.(type) {
	case json.Number:
		float, err := value.Float64()
		if err == nil && bytes.Equal(appendNumber(nil, value.String()), appendNumber(nil, strconv.FormatFloat(float, 'e', -1, 64))) {
			return float
		}
	case []any:
		for i := range value {
			value[i] = simplified(value[i])
		}
	case map[string]any:
		for key := range value {
			value[key] = simplified(value[key])
		}
	}
	return value
}

// containsInterface reports whether values of a type can contain values whose type is only known at run
// time. Types that decode their JSON themselves are left out.
func containsInterface(t reflect.Type, within []reflect.Type) bool {
	if slices.Contains(within, t) {
		return false
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		return false
	}
	within = append(within, t)
	switch t.Kind() {
	case reflect.Interface:
		return true
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return containsInterface(t.Elem(), within)
	case reflect.Struct:
		for f := range t.Fields() {
			if f.IsExported() && containsInterface(f.Type, within) {
				return true
			}
		}
	default:
	}
	return false
}
