package mirror

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/sqlkit"
)

// maxListed is the maximum number of values in a list of Query.Where.
const maxListed = 1000

// columnFilter has the conditions of a query on one column.
type columnFilter struct {
	repo *repo
	name string

	column   queryColumn
	null     bool  // the column is NULL
	values   []any // the column has one of them
	listed   bool  // values was a list
	from, to any   // nil is open
	prefix   string
	contains containedValue
}

// read reads and checks the conditions.
func (f *columnFilter) read(q nawasync.Query) error {
	for _, part := range []struct {
		name string
		read func(q nawasync.Query) error
		used bool
	}{
		{"Where", f.readWhere, hasKey(q.Where, f.name)},
		{"From", f.readRange, hasKey(q.From, f.name)},
		{"To", f.readRange, hasKey(q.To, f.name)},
		{"Prefix", f.readPrefix, hasKey(q.Prefix, f.name)},
		{"Contains", f.readContains, hasKey(q.Contains, f.name)},
	} {
		if !part.used {
			continue
		}
		var err error
		if f.column, err = f.repo.queryColumn(part.name, f.name); err != nil {
			return err
		}
		if err := part.read(q); err != nil {
			return err
		}
	}
	return f.checkPossible()
}

func hasKey[V any](m map[string]V, name string) bool {
	_, found := m[name]
	return found
}

func (f *columnFilter) readWhere(q nawasync.Query) error {
	v := indirect(reflect.ValueOf(q.Where[f.name]))
	if !v.IsValid() {
		f.null = true
		return nil
	}
	if !f.column.kind.comparable() {
		return f.column.errorf("Where", "such values cannot be compared as a whole; use Query.Contains, or nil for rows without a value")
	}
	items := []reflect.Value{v}
	if f.listed = f.isList(v); f.listed {
		items = nil
		for i := range v.Len() {
			items = append(items, v.Index(i))
		}
	}
	switch {
	case len(items) == 0:
		return f.column.errorf("Where", "the list of values is empty, so no row could be selected; leave the query out")
	case len(items) > maxListed:
		return f.column.errorf("Where", "the list has %d values; the maximum is %d", len(items), maxListed)
	}
	for _, item := range items {
		param, err := f.column.param(f.repo.model, "Where", item.Interface())
		if err != nil {
			return err
		}
		if param == nil {
			return f.column.errorf("Where", "the list has a nil, which is no value; read the rows without a value with a query of their own")
		}
		f.values = append(f.values, param)
	}
	return nil
}

// isList reports whether a value of Query.Where stands for several.
func (f *columnFilter) isList(v reflect.Value) bool {
	list := v.Kind() == reflect.Slice || v.Kind() == reflect.Array
	return list && v.Type() != f.column.IndirectFieldType && v.Type().Elem().Kind() != reflect.Uint8
}

func (f *columnFilter) readRange(q nawasync.Query) (err error) {
	part := "From"
	if hasKey(q.To, f.name) {
		part = "To"
	}
	if !f.column.kind.ordered() {
		return f.column.errorf(
			part,
			"a range has no meaning there; use %s",
			map[bool]string{true: "Query.Where", false: "Query.Contains"}[f.column.kind.comparable()],
		)
	}
	if f.from, err = f.column.param(f.repo.model, "From", q.From[f.name]); err != nil {
		return err
	}
	f.to, err = f.column.param(f.repo.model, "To", q.To[f.name])
	return err
}

func (f *columnFilter) readPrefix(q nawasync.Query) error {
	if f.column.kind != columnText && f.column.kind != columnOther {
		return f.column.errorf("Prefix", "only texts have a prefix; use Query.Where")
	}
	f.prefix = cleanString(q.Prefix[f.name])
	return nil
}

// cleanString returns a text as rows have it.
func cleanString(text string) string { return sqlkit.CleanText(text, math.MaxInt) }

// apply adds the conditions. The first one on a column can use an index.
func (f *columnFilter) apply(db *gorm.DB) *gorm.DB {
	name := f.column.quoted
	if f.null {
		db = db.Where(name + " IS NULL")
	}
	if len(f.values) > 0 {
		db = f.applyValues(db)
	}
	if f.from != nil {
		db = db.Where(name+" >= ?", f.from)
	}
	if f.to != nil {
		db = db.Where(name+" < ?", f.to)
	}
	if f.prefix != "" {
		db = f.applyPrefix(db)
	}
	if f.contains.text != "" {
		db = f.contains.apply(db, f.repo, f.column)
	}
	return db
}

// applyValues selects rows with one of the values.
func (f *columnFilter) applyValues(db *gorm.DB) *gorm.DB {
	args := f.values
	if f.listed {
		// Few numbers of parameters, because a server may keep a plan for each text of a statement.
		args = slices.Clone(args)
		for len(args)&(len(args)-1) != 0 {
			args = append(args, args[0])
		}
	}
	marks := "(" + strings.TrimSuffix(strings.Repeat("?,", len(args)), ",") + ")"
	db = db.Where(f.column.quoted+" IN "+marks, args...)
	if db.Name() == "mysql" && f.column.kind == columnText { // most collations treat some different texts as equal
		db = db.Where(binaryText(f.column.quoted)+" IN "+marks, args...)
	}
	return db
}

// binaryText returns the bytes of a text on MySQL.
func binaryText(column string) string {
	return "CAST(CONVERT(" + column + " USING utf8mb4) AS BINARY)"
}

func (f *columnFilter) applyPrefix(db *gorm.DB) *gorm.DB {
	name := f.column.quoted
	switch db.Name() {
	case "sqlite": // LIKE in SQLite ignores the case of ASCII letters
		db = db.Where(name+" >= ? AND substr("+name+", 1, ?) = ?", f.prefix, len([]rune(f.prefix)), f.prefix)
		if end := afterPrefix(f.prefix); end != "" {
			db = db.Where(name+" < ?", end)
		}
		return db
	case "mysql":
		db = db.Where("LEFT("+binaryText(name)+", ?) = ?", len(f.prefix), f.prefix)
	}
	return db.Where(name+" LIKE ? ESCAPE '!'", sqlkit.EscapeLike(f.prefix)+"%")
}

// afterPrefix returns the least text that is greater than all texts with the prefix, or "" if there is none.
func afterPrefix(prefix string) string {
	runes := []rune(prefix)
	for len(runes) > 0 {
		last := runes[len(runes)-1] + 1
		if last == 0xD800 {
			last = 0xE000 // no text has a surrogate
		}
		if last <= utf8.MaxRune {
			return string(append(runes[:len(runes)-1], last))
		}
		runes = runes[:len(runes)-1]
	}
	return ""
}

// checkPossible refuses conditions that no row can meet together.
func (f *columnFilter) checkPossible() error {
	others := f.from != nil || f.to != nil || f.prefix != "" || f.contains.text != ""
	if f.null && others {
		return f.contradiction("Where selects rows without a value, and another condition selects values")
	}
	if order, known := compareParams(f.from, f.to); known && order >= 0 {
		return f.contradiction("From is not less than To")
	}
	if _, text := f.from.(string); text && f.from == f.to {
		return f.contradiction("From equals To")
	}
	if len(f.values) > 0 && !slices.ContainsFunc(f.values, f.accepts) {
		return f.contradiction("no value of Where meets the other conditions")
	}
	return nil
}

func (f *columnFilter) contradiction(why string) error {
	return fmt.Errorf("%w: the conditions of the Query on column %q contradict each other: %s", nawasync.ErrInvalid, f.name, why)
}

// accepts reports whether a value may meet the range and the prefix. The database decides how texts compare.
func (f *columnFilter) accepts(value any) bool {
	if order, known := compareParams(value, f.from); known && order < 0 {
		return false
	}
	if order, known := compareParams(value, f.to); known && order >= 0 {
		return false
	}
	text, ok := value.(string)
	return !ok || strings.HasPrefix(text, f.prefix)
}
