package mirror

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"gorm.io/gorm/schema"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/tracker"
)

// columnKind says what conditions a column can have.
type columnKind int

const (
	columnOther columnKind = iota // a type that decides what is stored
	columnText
	columnInteger
	columnFloat
	columnBool
	columnTime
	columnBytes
	columnList     // a list that is stored as JSON
	columnDocument // any JSON
	columnObject   // a map or struct that is stored as JSON
)

// String completes the sentence "the column has …".
func (k columnKind) String() string {
	return [...]string{
		"values of its own type", "texts", "whole numbers", "numbers", "true and false", "times", "bytes", "lists", "documents of JSON", "objects of JSON",
	}[k]
}

// comparable reports whether a value of the column can be compared as a whole.
func (k columnKind) comparable() bool { return k < columnList }

// ordered reports whether ranges of values have a meaning.
func (k columnKind) ordered() bool { return k.comparable() && k != columnBool }

func columnKindOf(f *field) columnKind {
	t := f.IndirectFieldType
	switch {
	case f.isRawJSON():
		return columnDocument
	case f.Serializer != nil:
		if _, ok := f.Serializer.(schema.JSONSerializer); ok {
			return jsonKindOf(t)
		}
		return columnOther
	case t == reflect.TypeFor[time.Time](), t == reflect.TypeFor[nawasync.Timestamp](), t == reflect.TypeFor[tracker.DeletedAt]():
		return columnTime
	case t.Implements(reflect.TypeFor[driver.Valuer]()), reflect.PointerTo(t).Implements(reflect.TypeFor[driver.Valuer]()):
		if storesJSON(reflect.Zero(t).Interface()) {
			return jsonKindOf(t)
		}
		return columnOther
	}
	switch t.Kind() {
	case reflect.String:
		return columnText
	case reflect.Bool:
		return columnBool
	case reflect.Float32, reflect.Float64:
		return columnFloat
	case reflect.Slice, reflect.Array:
		return columnBytes // nothing else is stored without a serializer
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return columnInteger
	default:
		return columnOther
	}
}

// jsonKindOf returns the kind of a column with the JSON of a type.
func jsonKindOf(t reflect.Type) columnKind {
	switch {
	case t == reflect.TypeFor[json.RawMessage](), t.Kind() == reflect.Interface, t.PkgPath() != "" && t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		return columnDocument
	case t.Kind() == reflect.Map, t.Kind() == reflect.Struct:
		return columnObject
	case t.Kind() == reflect.Slice, t.Kind() == reflect.Array:
		return columnList
	default:
		return columnDocument
	}
}

// queryColumn is a column that a query names.
type queryColumn struct {
	*field

	kind   columnKind
	quoted string
}

// queryColumn returns a column of the table. part is the field of Query that names it.
func (r *repo) queryColumn(part, name string) (c queryColumn, err error) {
	f := r.model.byColumn[name]
	switch {
	case f != nil && f.role == roleSecret:
		return c, fmt.Errorf("%w: Query.%s names %q, a secret, which the table does not store; use another column", nawasync.ErrInvalid, part, name)
	case f != nil && f.hidden:
		return c, fmt.Errorf("%w: Query.%s names column %q, which is hidden: pages and cursors would tell its values; use another column", nawasync.ErrInvalid, part, name)
	case f == nil:
		known := r.model.schema.FieldsByDBName[name]
		if known == nil {
			return c, fmt.Errorf("%w: Query.%s names column %q, which table %s does not have", nawasync.ErrInvalid, part, name, r.model.table)
		}
		f = &field{Field: known, column: name}
	}
	return queryColumn{field: f, kind: columnKindOf(f), quoted: r.quote(name)}, nil
}

// errorf returns an error about a condition on the column.
func (c queryColumn) errorf(part, format string, args ...any) error {
	return fmt.Errorf("%w: Query.%s, column %q, which has %s: "+format, append([]any{nawasync.ErrInvalid, part, c.column, c.kind}, args...)...)
}

// param returns a value as a parameter that is compared with the column, or nil for no value.
func (c queryColumn) param(m *model, part string, value any) (any, error) {
	v := indirect(reflect.ValueOf(value))
	if !v.IsValid() {
		return nil, nil //nolint:nilnil // NULL is a value of a parameter
	}
	param, ok := c.convert(v)
	if !ok && v.Type() == c.IndirectFieldType {
		param, ok = c.stored(m, v)
	}
	if !ok && c.kind == columnOther && driver.IsValue(v.Interface()) {
		param, ok = v.Interface(), true
	}
	if !ok {
		return nil, c.errorf(part, "the value is a %T, or does not fit into a %s", value, c.IndirectFieldType)
	}
	return param, nil
}

func indirect(v reflect.Value) reflect.Value {
	for v.IsValid() && (v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface) {
		v = v.Elem()
	}
	return v
}

// convert converts a value whose kind is that of the column.
func (c queryColumn) convert(v reflect.Value) (any, bool) {
	switch c.kind {
	case columnText:
		if v.Kind() == reflect.String {
			return cleanString(v.String()), true
		}
	case columnInteger:
		return c.convertInteger(v)
	case columnFloat:
		return convertFloat(v)
	case columnBool:
		if v.Kind() == reflect.Bool {
			return v.Bool(), true
		}
	case columnTime:
		return c.convertTime(v)
	case columnBytes:
		if v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8 {
			return v.Bytes(), true
		}
	default:
	}
	return nil, false
}

func (c queryColumn) convertInteger(v reflect.Value) (any, bool) {
	limits := reflect.Zero(c.IndirectFieldType)
	switch {
	case v.CanInt() && limits.CanInt():
		return v.Int(), !limits.OverflowInt(v.Int())
	case v.CanUint() && limits.CanUint():
		return int64(v.Uint()), v.Uint() <= 1<<63-1 && !limits.OverflowUint(v.Uint()) //nolint:gosec // checked beside
	case v.CanInt():
		return v.Int(), v.Int() >= 0 && !limits.OverflowUint(uint64(v.Int())) //nolint:gosec // checked beside
	case v.CanUint():
		return int64(v.Uint()), v.Uint() <= 1<<63-1 && !limits.OverflowInt(int64(v.Uint())) //nolint:gosec // checked beside
	}
	return nil, false
}

func convertFloat(v reflect.Value) (any, bool) {
	switch {
	case v.CanFloat():
		n := v.Float()
		return n, n-n == 0 // neither NaN nor infinite
	case v.CanInt():
		return float64(v.Int()), true
	case v.CanUint():
		return float64(v.Uint()), true
	}
	return nil, false
}

func (c queryColumn) convertTime(v reflect.Value) (any, bool) {
	var at time.Time
	switch value := v.Interface().(type) {
	case time.Time:
		at = value
	case nawasync.Timestamp:
		at = value.Time
	case tracker.DeletedAt:
		at = value.Time
	default:
		return nil, false
	}
	if c.IndirectFieldType != reflect.TypeFor[time.Time]() {
		return at.UnixMicro(), !at.IsZero() // the zero time is stored as NULL
	}
	return at.UTC().Truncate(time.Microsecond), true
}

// stored returns what the column has for a value of the field's own type.
func (c queryColumn) stored(m *model, v reflect.Value) (any, bool) {
	row := m.newRow()
	target := c.value(row)
	if target.Kind() == reflect.Pointer {
		target.Set(reflect.New(target.Type().Elem()))
		target = target.Elem()
	}
	if target.Type() != v.Type() {
		return nil, false
	}
	target.Set(v)
	param, err := driver.DefaultParameterConverter.ConvertValue(c.field.param(row))
	return param, err == nil && param != nil
}
