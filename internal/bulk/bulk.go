// Package bulk writes many rows of a host's table in one statement, in each
// dialect's fastest form that needs no driver of its own.
package bulk

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"strings"
	"sync"

	"gorm.io/gorm"
)

// Table is a table and what is known of its columns. Use New. It is safe for
// concurrent use.
type Table struct {
	name    string // quoted
	dialect string
	plain   string

	once  sync.Mutex
	types map[string]string // PostgreSQL: the columns' types
}

// New returns a table of db's database.
func New(db *gorm.DB, name string) *Table {
	return &Table{name: db.Statement.Quote(name), plain: name, dialect: db.Name()}
}

// most is how many parameters one statement takes, and how many rows.
const (
	most    = 30_000
	MaxRows = 1000
)

// Insert adds the rows, each with a value per column, and returns the ids of those
// that were added: a row whose unique key is taken is left out. Without RETURNING
// (MySQL) it returns nil and the caller reads them.
func (t *Table) Insert(tx *gorm.DB, columns []string, rows [][]any) (ids []int64, err error) {
	for len(rows) > 0 {
		n := min(len(rows), MaxRows)
		if t.dialect != "postgres" {
			n = min(n, most/len(columns))
		}
		added, err := t.insert(tx, columns, rows[:n])
		if err != nil {
			return nil, err
		}
		ids, rows = append(ids, added...), rows[n:]
	}
	return ids, nil
}

func (t *Table) insert(tx *gorm.DB, columns []string, rows [][]any) ([]int64, error) {
	head := "INSERT INTO " + t.name + " (" + t.list(tx, columns) + ") "
	if t.dialect == "postgres" {
		from, args, err := t.unnest(tx, columns, rows)
		if err != nil {
			return nil, err
		}
		return scanIDs(tx, head+"SELECT "+from+" ON CONFLICT DO NOTHING RETURNING id", args)
	}
	args, err := flat(rows)
	if err != nil {
		return nil, err
	}
	values := "VALUES " + repeat("("+repeat("?", len(columns))+")", len(rows))
	if t.dialect == "sqlite" {
		return scanIDs(tx, head+values+" ON CONFLICT DO NOTHING RETURNING id", args)
	}
	// Not INSERT IGNORE: that would cut texts that are too long, and say nothing.
	_, err = tx.Statement.ConnPool.ExecContext(tx.Statement.Context, head+values+" ON DUPLICATE KEY UPDATE id = id", args...)
	return nil, err
}

// Update sets the columns of the rows; the first value of each row is its id, the
// others follow columns. The caller has locked them.
func (t *Table) Update(tx *gorm.DB, columns []string, rows [][]any) error {
	all := append([]string{"id"}, columns...)
	for len(rows) > 0 {
		n := min(len(rows), MaxRows)
		if t.dialect != "postgres" {
			n = min(n, most/len(all), 500)
		}
		if err := t.update(tx, all, rows[:n]); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

func (t *Table) update(tx *gorm.DB, columns []string, rows [][]any) error {
	set := make([]string, len(columns)-1)
	switch t.dialect {
	case "postgres":
		from, args, err := t.unnest(tx, columns, rows)
		if err != nil {
			return err
		}
		for i, c := range columns[1:] {
			set[i] = fmt.Sprintf("%s = v.c%d", tx.Statement.Quote(c), i+1)
		}
		names := make([]string, len(columns))
		for i := range columns {
			names[i] = fmt.Sprintf("c%d", i)
		}
		return exec(tx, "UPDATE "+t.name+" AS t SET "+strings.Join(set, ", ")+" FROM (SELECT "+from+") AS v("+strings.Join(names, ", ")+") WHERE t.id = v.c0", args)
	case "sqlite":
		args, err := flat(rows)
		if err != nil {
			return err
		}
		for i, c := range columns[1:] {
			set[i] = fmt.Sprintf("%s = v.column%d", tx.Statement.Quote(c), i+2)
		}
		return exec(tx, "UPDATE "+t.name+" AS t SET "+strings.Join(set, ", ")+" FROM (VALUES "+repeat("("+repeat("?", len(columns))+")", len(rows))+") AS v WHERE t.id = v.column1", args)
	}
	args, err := flat(rows)
	if err != nil {
		return err
	}
	first := make([]string, len(columns))
	for i := range columns {
		first[i] = fmt.Sprintf("? AS c%d", i)
	}
	for i, c := range columns[1:] {
		set[i] = fmt.Sprintf("t.%s = v.c%d", tx.Statement.Quote(c), i+1)
	}
	source := "SELECT " + strings.Join(first, ", ") + strings.Repeat(" UNION ALL SELECT "+repeat("?", len(columns)), len(rows)-1)
	return exec(tx, "UPDATE "+t.name+" t JOIN ("+source+") v ON t.id = v.c0 SET "+strings.Join(set, ", "), args)
}

// Key writes a condition that the columns are one of the given tuples, with its
// parameters.
func (t *Table) Key(tx *gorm.DB, columns []string, keys [][]any) (string, []any, error) {
	args, err := flat(keys)
	if err != nil {
		return "", nil, err
	}
	if len(columns) == 1 {
		column := tx.Statement.Quote(columns[0])
		if t.dialect == "postgres" {
			kind, err := t.typeOf(tx, columns[0])
			if err != nil {
				return "", nil, err
			}
			text, err := array(args)
			// One text whatever the number of keys: one plan.
			return column + " = ANY(CAST(CAST(? AS text) AS " + kind + "[]))", []any{text}, err
		}
		return column + " IN (" + repeat("?", len(args)) + ")", args, nil
	}
	tuple := "(" + t.list(tx, columns) + ") IN ("
	if t.dialect == "sqlite" {
		tuple += "VALUES "
	}
	return tuple + repeat("("+repeat("?", len(columns))+")", len(keys)) + ")", args, nil
}

// unnest turns rows into one array per column: a statement has one text, and is
// parsed once, for batches of every size. It goes between SELECT and a list end.
func (t *Table) unnest(tx *gorm.DB, columns []string, rows [][]any) (from string, args []any, err error) {
	var selects, arrays, names []string
	for i, c := range columns {
		kind, err := t.typeOf(tx, c)
		if err != nil {
			return "", nil, err
		}
		column := make([]any, len(rows))
		for j, row := range rows {
			column[j] = row[i]
		}
		if column, err = flat([][]any{column}); err != nil {
			return "", nil, err
		}
		if kind != "bytea" { // a []byte is a text there, JSON for instance
			for j, v := range column {
				if b, ok := v.([]byte); ok {
					column[j] = string(b)
				}
			}
		}
		text, err := array(column)
		if err != nil {
			return "", nil, fmt.Errorf("column %s: %w", c, err)
		}
		selects = append(selects, fmt.Sprintf("CAST(u.u%d AS %s)", i, kind))
		arrays = append(arrays, "CAST(CAST(? AS text) AS text[])")
		names = append(names, fmt.Sprintf("u%d", i))
		args = append(args, text)
	}
	return strings.Join(selects, ", ") + " FROM unnest(" + strings.Join(arrays, ", ") + ") AS u(" + strings.Join(names, ", ") + ")", args, nil
}

// typeOf asks PostgreSQL once for all columns.
func (t *Table) typeOf(tx *gorm.DB, column string) (string, error) {
	t.once.Lock()
	defer t.once.Unlock()
	if t.types == nil {
		types := map[string]string{}
		rows, err := tx.Raw("SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = to_regclass(?) AND attnum > 0 AND NOT attisdropped", t.name).Rows()
		if err != nil {
			return "", err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var name, kind string
			if err := rows.Scan(&name, &kind); err != nil {
				return "", err
			}
			types[name] = kind
		}
		if err := rows.Err(); err != nil {
			return "", err
		}
		if len(types) == 0 {
			return "", fmt.Errorf("there is no table %s", t.plain)
		}
		t.types = types
	}
	if kind, ok := t.types[column]; ok {
		return kind, nil
	}
	return "", fmt.Errorf("the table %s has no column %s", t.plain, column)
}

func (t *Table) list(tx *gorm.DB, columns []string) string {
	quoted := make([]string, len(columns))
	for i, c := range columns {
		quoted[i] = tx.Statement.Quote(c)
	}
	return strings.Join(quoted, ", ")
}

// flat makes plain parameters of values that know their own.
func flat(rows [][]any) ([]any, error) {
	var args []any
	for _, row := range rows {
		for _, v := range row {
			value, err := driver.DefaultParameterConverter.ConvertValue(v)
			if err != nil {
				return nil, fmt.Errorf("%T is no value for a column: %w", v, err)
			}
			args = append(args, value)
		}
	}
	return args, nil
}

func repeat(part string, n int) string { return strings.TrimSuffix(strings.Repeat(part+",", n), ",") }

func exec(tx *gorm.DB, query string, args []any) error {
	_, err := tx.Statement.ConnPool.ExecContext(ctx(tx), dollars(tx, query), args...)
	return err
}

func ctx(tx *gorm.DB) context.Context { return tx.Statement.Context }

// scanIDs goes past gorm's parser of statements, which is slow on long ones.
func scanIDs(tx *gorm.DB, query string, args []any) (ids []int64, err error) {
	rows, err := tx.Statement.ConnPool.QueryContext(ctx(tx), dollars(tx, query), args...)
	if err != nil {
		return nil, err
	}
	return collect(rows)
}

func collect(rows *sql.Rows) (ids []int64, err error) {
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// dollars numbers the parameters for PostgreSQL; our statements have no other ?.
func dollars(tx *gorm.DB, query string) string {
	if tx.Name() != "postgres" {
		return query
	}
	parts := strings.Split(query, "?")
	var b strings.Builder
	for i, part := range parts {
		if i > 0 {
			fmt.Fprintf(&b, "$%d", i)
		}
		b.WriteString(part)
	}
	return b.String()
}
