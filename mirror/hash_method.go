package mirror

import (
	"database/sql/driver"
	"encoding"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"time"

	"gorm.io/gorm/schema"
)

// canonicalByMethod returns the canonical text of a type that says what is equal: a time, JSON, or a type
// with one of the methods of appendCanonical.
func canonicalByMethod(v reflect.Value) (string, bool) {
	if !v.CanInterface() {
		return "", false
	}
	known := v.Interface()
	switch value := known.(type) {
	case time.Time:
		if value.IsZero() {
			return "t:0", true
		}
		return "t:" + strconv.FormatInt(value.UnixMicro(), 10), true
	case json.RawMessage:
		return canonicalJSON(value), true
	case json.Number:
		return string(appendNumber(nil, string(value))), true
	}
	if !hasCanonicalMethod(v.Type()) {
		if !hasCanonicalMethod(reflect.PointerTo(v.Type())) {
			return "", false
		}
		receiver := reflect.New(v.Type()) // the methods have a pointer receiver
		receiver.Elem().Set(v)
		known = receiver.Interface()
	}
	switch value := known.(type) {
	case Canonical:
		return canonicalOf(v.Type(), value.Canonical()), true
	case driver.Valuer:
		return canonicalStored(v, value)
	case encoding.TextMarshaler:
		if text, err := value.MarshalText(); err == nil {
			return strconv.Quote(string(text)), true
		}
	}
	return "", false
}

// canonicalOf returns the canonical text of what Canonical returned. If it has the type t of the receiver,
// its method is not called again.
func canonicalOf(t reflect.Type, value any) string {
	v := reflect.ValueOf(value)
	switch {
	case value == nil:
		return canonicalNone
	case v.Type() == t:
		return string(appendByKind(nil, v, false))
	default:
		return string(appendCanonical(nil, v, false))
	}
}

// canonicalStored returns the canonical text of what a driver.Valuer stores. A map, list or struct that
// is stored as JSON is compared as JSON.
func canonicalStored(v reflect.Value, valuer driver.Valuer) (string, bool) {
	inner, err := valuer.Value()
	if err != nil {
		return "", false
	}
	if inner == nil {
		return canonicalNone, true
	}
	if text, ok := inner.([]byte); ok {
		inner = string(text)
	}
	if text, ok := inner.(string); ok {
		document := strings.HasPrefix(strings.TrimSpace(text), "{") || strings.HasPrefix(strings.TrimSpace(text), "[")
		composed := v.Kind() == reflect.Map || v.Kind() == reflect.Slice || v.Kind() == reflect.Array || v.Kind() == reflect.Struct
		if storesJSON(valuer) || document && composed && v.Type().PkgPath() != "database/sql" {
			return canonicalJSON([]byte(text)), true
		}
	}
	return string(appendCanonical(nil, reflect.ValueOf(inner), false)), true
}

// storesJSON reports whether a type says that its column has JSON, as those of gorm.io/datatypes do.
func storesJSON(value any) bool {
	typed, ok := value.(schema.GormDataTypeInterface)
	return ok && strings.HasPrefix(strings.ToLower(typed.GormDataType()), "json")
}

// hasCanonicalMethod reports whether a type has a method that says what is equal.
func hasCanonicalMethod(t reflect.Type) bool {
	return t.Implements(reflect.TypeFor[Canonical]()) || t.Implements(reflect.TypeFor[driver.Valuer]()) || t.Implements(reflect.TypeFor[encoding.TextMarshaler]())
}

// canonicalStruct reports whether values of a struct type can be compared.
func canonicalStruct(t reflect.Type) bool {
	if t == reflect.TypeFor[time.Time]() {
		return true
	}
	if hasCanonicalMethod(t) || hasCanonicalMethod(reflect.PointerTo(t)) {
		return true
	}
	for f := range t.Fields() {
		if f.IsExported() {
			return true
		}
	}
	return false
}
