package mirror

import (
	"database/sql/driver"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"
)

// checkColumns refuses columns that do not give back what is stored in them: each sync would find
// their values changed. SQLite has no such types; a sync also reads the first rows back that it has
// written (reconcile_readback.go).
func (r *repo) checkColumns(db *gorm.DB) error {
	types, err := r.columnTypes(db)
	if err != nil {
		return r.configErrorf("read the column types of table %s: %w", r.model.table, err)
	}
	for _, f := range r.model.stored() {
		if better := betterType(db.Name(), f, types[f.column]); better != "" {
			return r.configErrorf("column %s of table %s has the type %s, which does not give back every value of the field %s (%s); use %s",
				f.column, r.model.table, types[f.column], f.Name, f.FieldType, better)
		}
	}
	return nil
}

// columnTypes returns the type of each column in lower case. A column with a domain has the type of the
// domain. It returns none for a database whose types do not decide what is stored.
func (r *repo) columnTypes(db *gorm.DB) (map[string]string, error) {
	var query string
	var args []any
	switch db.Name() {
	case "postgres":
		query = "SELECT a.attname, format_type(CASE WHEN t.typbasetype <> 0 THEN t.typbasetype ELSE a.atttypid END, CASE WHEN t.typbasetype <> 0 THEN t.typtypmod ELSE a.atttypmod END)" +
			" FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = to_regclass(?) AND a.attnum > 0 AND NOT a.attisdropped"
		args = append(args, r.quoted)
	case "mysql":
		query = "SELECT column_name, column_type FROM information_schema.columns WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ?"
		database, table, qualified := strings.Cut(r.model.table, ".")
		if args = append(args, database, table); !qualified {
			args = []any{nil, r.model.table}
		}
	default:
		return map[string]string{}, nil
	}
	rows, err := db.Raw(query, args...).Rows()
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	types := map[string]string{}
	for rows.Next() {
		var name, kind string
		if err := rows.Scan(&name, &kind); err != nil {
			return nil, err
		}
		types[name] = strings.ToLower(kind)
	}
	return types, rows.Err()
}

// betterType returns the type to use for the column of a field, or "" if the field can have the given
// type.
func betterType(dialect string, f *field, kind string) string {
	name, last := splitType(kind)
	loses := false
	switch valueOf(f) {
	case valueTime:
		loses = losesTime(dialect, name, last)
	case valueFloat:
		loses = losesFloat(name, last)
	case valueText: // CHAR pads values, or removes the spaces at their end
		loses = slices.Contains([]string{"char", "character", "bpchar", "binary"}, name)
	case valueOther:
	}
	if !loses {
		return ""
	}
	return bestType(dialect, f)
}

// columnValue says what a column has to keep.
type columnValue int

const (
	valueOther columnValue = iota
	valueTime
	valueFloat
	valueText
)

func valueOf(f *field) columnValue {
	t := f.IndirectFieldType
	switch {
	case f.Serializer != nil || f.isRawJSON():
		return valueText
	case f.GORMDataType == schema.Time || t == reflect.TypeFor[time.Time]():
		return valueTime
	case t.Implements(reflect.TypeFor[driver.Valuer]()):
		return valueOther // the type decides what is stored
	case t.Kind() == reflect.Float64:
		return valueFloat
	case t.Kind() == reflect.String:
		return valueText
	}
	return valueOther
}

// bestType returns the type of column that keeps every value of a field, or "" if many types do.
func bestType(dialect string, f *field) string {
	switch value := valueOf(f); {
	case value == valueText:
		return "VARCHAR or TEXT"
	case value == valueTime && dialect == "mysql":
		return "DATETIME(6)"
	case value == valueTime && dialect == "postgres":
		return "TIMESTAMPTZ"
	case value == valueFloat && dialect == "mysql":
		return "DOUBLE"
	case value == valueFloat && dialect == "postgres":
		return "DOUBLE PRECISION"
	}
	return ""
}

// splitType splits a type such as "timestamp(3) with time zone" into its name and its last number, which
// is -1 if there is none.
func splitType(kind string) (name string, last int) {
	name, rest, _ := strings.Cut(kind, "(")
	name, _, _ = strings.Cut(name, " with")
	name = strings.TrimSuffix(name, " unsigned")
	numbers, _, _ := strings.Cut(rest, ")")
	last, err := strconv.Atoi(numbers[strings.LastIndex(numbers, ",")+1:])
	if err != nil {
		last = -1
	}
	return name, last
}

// losesTime reports whether a column does not keep microseconds.
func losesTime(dialect, name string, fraction int) bool {
	switch name {
	case "date", "time", "year":
		return true
	case "datetime", "timestamp":
		if fraction < 0 {
			return dialect == "mysql" // its default are whole seconds; that of PostgreSQL are microseconds
		}
		return fraction < 6
	}
	return false
}

// losesFloat reports whether a column does not keep every float64.
func losesFloat(name string, scale int) bool {
	switch name {
	case "real", "float":
		return true
	case "double", "double precision", "numeric", "decimal":
		return scale >= 0 // a fixed number of digits
	}
	return strings.HasSuffix(name, "int") || name == "integer"
}

// stored returns the fields that have a column.
func (m *model) stored() []*field { return append(m.keyFields(), m.mirrored()...) }
