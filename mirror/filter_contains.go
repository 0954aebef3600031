package mirror

import (
	"bytes"
	"cmp"
	"encoding/json"
	"reflect"
	"time"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
)

// containedValue is a text, number or boolean that a list has to contain.
type containedValue struct {
	text string // as JSON; "" if there is no condition
	kind columnKind
	arg  any
}

func (f *columnFilter) readContains(q nawasync.Query) error {
	if f.column.kind != columnList && f.column.kind != columnDocument {
		return f.column.errorf("Contains", "only lists contain values; use Query.Where")
	}
	value := q.Contains[f.name]
	v := indirect(reflect.ValueOf(value))
	if !v.IsValid() {
		return f.column.errorf("Contains", "the value is nil; lists are searched for texts, numbers, true and false")
	}
	if f.column.kind == columnList && !isElement(f.column.IndirectFieldType.Elem(), v) {
		return f.column.errorf("Contains", "the value is a %T, and its lists have elements of type %s", value, f.column.IndirectFieldType.Elem())
	}
	text, err := json.Marshal(v.Interface())
	if err != nil {
		return f.column.errorf("Contains", "the value cannot be written as JSON: %w", err)
	}
	contained, ok := newContainedValue(text)
	if !ok {
		return f.column.errorf("Contains", "the value is a %T; lists are searched for texts, true, false and numbers of up to 64 bits", value)
	}
	f.contains = contained
	return nil
}

// isElement reports whether a value may be an element of a list.
func isElement(t reflect.Type, v reflect.Value) bool {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() == reflect.Interface || t == v.Type() {
		return true
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[json.Marshaler]()) {
		return false
	}
	zero := reflect.Zero(t)
	whole := v.CanInt() || v.CanUint()
	return t.Kind() == v.Kind() && (t.Kind() == reflect.String || t.Kind() == reflect.Bool) || zero.CanFloat() && (v.CanFloat() || whole) ||
		(zero.CanInt() || zero.CanUint()) && whole
}

func newContainedValue(text []byte) (c containedValue, ok bool) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if decoder.Decode(&value) != nil {
		return c, false
	}
	c.text = string(text)
	switch value := value.(type) {
	case string:
		c.kind, c.arg = columnText, value
	case bool:
		c.kind, c.arg = columnBool, string(text)
	case json.Number:
		if n, err := value.Int64(); err == nil {
			c.kind, c.arg = columnInteger, n
			return c, true
		}
		n, err := value.Float64()
		c.kind, c.arg = columnFloat, n
		return c, err == nil && (n < 1<<63 && n >= -1<<63 || bytes.ContainsAny(text, ".eE"))
	default:
		return c, false
	}
	return c, true
}

// apply adds the condition. It compares whole elements of the outermost list only.
func (c containedValue) apply(db *gorm.DB, r *repo, column queryColumn) *gorm.DB {
	name := column.quoted
	switch db.Name() {
	case "postgres":
		list := "[" + c.text + "]"
		if r.tableColumns[column.column].kind == "jsonb" { // may have an index
			return db.Where(name+" @> CAST(? AS jsonb)", list)
		}
		return db.Where("CAST(replace(NULLIF(CAST("+name+` AS text), ''), '\u0000', '\ufffd') AS jsonb) @> CAST(replace(?, '\u0000', '\ufffd') AS jsonb)`, list)
	case "mysql":
		condition := map[columnKind]string{
			columnText:    `LEFT(e.j, 1) = '"' AND ` + binaryText("e.v") + " = ?",
			columnBool:    "CAST(e.j AS CHAR) = ?",
			columnInteger: mysqlNumber + " AND CAST(e.v AS DECIMAL(65, 20)) = ?",
			columnFloat:   mysqlNumber + " AND e.v + 0e0 = ?",
		}[c.kind]
		// MariaDB remembers a subquery's result for equal values of the columns that it reads, and takes lists for
		// equal that differ in case. The id tells them apart.
		return db.Where("EXISTS (SELECT 1 FROM JSON_TABLE(CASE WHEN JSON_TYPE("+name+") = 'ARRAY' AND id <> 0 THEN "+name+
			" ELSE '[]' END, '$[*]' COLUMNS (v LONGTEXT CHARACTER SET utf8mb4 PATH '$', j JSON PATH '$')) e WHERE "+condition+")", c.arg)
	default:
		condition := map[columnKind]string{
			columnText: "e.type = 'text' AND e.value = ?", columnBool: "e.type = ?",
			columnInteger: "e.type IN ('integer', 'real') AND e.value = ?", columnFloat: "e.type IN ('integer', 'real') AND e.value = ?",
		}[c.kind]
		return db.Where("EXISTS (SELECT 1 FROM json_each(CASE WHEN json_valid("+name+") THEN CASE WHEN json_type("+name+") = 'array' THEN "+name+
			" END END) e WHERE "+condition+")", c.arg)
	}
}

// mysqlNumber says that an element is a number.
const mysqlNumber = "JSON_TYPE(e.j) IN ('INTEGER', 'UNSIGNED INTEGER', 'DOUBLE', 'DECIMAL')"

// compareParams compares two numbers or two times. known is false for other values, and for nil.
func compareParams(a, b any) (order int, known bool) {
	switch a := a.(type) {
	case int64:
		if b, ok := b.(int64); ok {
			return cmp.Compare(a, b), true
		}
	case float64:
		if b, ok := b.(float64); ok {
			return cmp.Compare(a, b), true
		}
	case time.Time:
		if b, ok := b.(time.Time); ok {
			return a.Compare(b), true
		}
	}
	return 0, false
}
