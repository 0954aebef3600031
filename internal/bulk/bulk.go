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

	mu    sync.Mutex
	types map[string]string // PostgreSQL: the columns' types
}

// New returns a table of db's database.
func New(db *gorm.DB, name string) *Table {
	return &Table{name: db.Statement.Quote(name), plain: name, dialect: db.Name()}
}

// MaxRows is how many rows are best handled at once. SQLite has one writer, whom the
// others wait for.
func (t *Table) MaxRows() int {
	switch t.dialect {
	case "postgres":
		return 5000
	case "sqlite":
		return 500
	}
	return 2000
}

// maxParams is how many parameters one statement takes. SQLite's drivers in Go look each of
// them up among all the others.
func (t *Table) maxParams() int {
	if t.dialect == "sqlite" {
		return 1500
	}
	return 30_000
}

// Insert adds the rows, each with a value per column, and returns the ids of those
// that were added: a row whose unique key is taken is left out. Without RETURNING
// (MySQL) it returns nil and the caller reads them.
func (t *Table) Insert(tx *gorm.DB, columns []string, rows [][]any) (ids []int64, err error) {
	return t.inserts(tx, columns, rows, " ON CONFLICT DO NOTHING")
}

// InsertNew is Insert of rows whose keys should be free; it is faster, and one that is
// taken is an error (sqlkit.IsUniqueViolation) after which the transaction is void. On
// MySQL it is the same as Insert: the row is left out, and there is no error.
func (t *Table) InsertNew(tx *gorm.DB, columns []string, rows [][]any) (ids []int64, err error) {
	return t.inserts(tx, columns, rows, "")
}

func (t *Table) inserts(tx *gorm.DB, columns []string, rows [][]any, conflict string) (ids []int64, err error) {
	for len(rows) > 0 {
		n := min(len(rows), t.MaxRows())
		if t.dialect != "postgres" {
			n = min(n, max(1, t.maxParams()/len(columns)))
		}
		added, err := t.insert(tx, columns, rows[:n], conflict)
		if err != nil {
			return nil, err
		}
		ids, rows = append(ids, added...), rows[n:]
	}
	return ids, nil
}

func (t *Table) insert(tx *gorm.DB, columns []string, rows [][]any, conflict string) ([]int64, error) {
	head := "INSERT INTO " + t.name + " (" + t.list(tx, columns) + ") "
	if t.dialect == "postgres" {
		from, args, err := t.unnest(tx, columns, rows)
		if err != nil {
			return nil, err
		}
		return scanIDs(tx, head+"SELECT "+from+conflict+" RETURNING id", args)
	}
	args, err := toDriverValues(rows)
	if err != nil {
		return nil, err
	}
	values := "VALUES " + repeatRow("("+repeatRow("?", len(columns))+")", len(rows))
	if t.dialect == "sqlite" {
		return scanIDs(tx, head+values+conflict+" RETURNING id", args)
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
		n := min(len(rows), t.MaxRows())
		if t.dialect != "postgres" {
			n = min(n, max(1, t.maxParams()/len(all)), 500)
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
		return execCount(
			tx,
			"UPDATE "+t.name+" AS t SET "+strings.Join(set, ", ")+" FROM (SELECT "+from+") AS v("+strings.Join(names, ", ")+") WHERE t.id = v.c0",
			args,
		)
	case "sqlite":
		args, err := toDriverValues(rows)
		if err != nil {
			return err
		}
		for i, c := range columns[1:] {
			set[i] = fmt.Sprintf("%s = v.column%d", tx.Statement.Quote(c), i+2)
		}
		return execCount(tx, "UPDATE "+t.name+" AS t SET "+strings.Join(set, ", ")+" FROM (VALUES "+repeatRow("("+repeatRow("?", len(columns))+")", len(rows))+
			") AS v WHERE t.id = v.column1", args)
	}
	args, err := toDriverValues(rows)
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
	source := "SELECT " + strings.Join(first, ", ") + strings.Repeat(" UNION ALL SELECT "+repeatRow("?", len(columns)), len(rows)-1)
	return execCount(tx, "UPDATE "+t.name+" t JOIN ("+source+") v ON t.id = v.c0 SET "+strings.Join(set, ", "), args)
}

// Find selects columns of the rows that have one of the keys within a scope. It
// returns a statement for tx.Raw.
func (t *Table) Find(tx *gorm.DB, columns, scope []string, within []any, key []string, keys [][]any) (string, []any, error) {
	var where strings.Builder
	for _, c := range scope {
		where.WriteString("t." + tx.Statement.Quote(c) + " = ? AND ")
	}
	quoted := make([]string, len(columns))
	for i, c := range columns {
		quoted[i] = "t." + tx.Statement.Quote(c)
	}
	selected := strings.Join(quoted, ", ")
	if t.dialect == "postgres" {
		return t.lookUp(tx, selected, where.String(), within, key, keys)
	}
	args, err := toDriverValues(append([][]any{within}, keys...))
	if err != nil {
		return "", nil, err
	}
	from := "SELECT " + selected + " FROM " + t.name + " t WHERE " + where.String()
	if len(key) == 1 {
		return from + "t." + tx.Statement.Quote(key[0]) + " IN (" + repeatRow("?", len(keys)) + ")", args, nil
	}
	from += "(" + t.list(tx, key) + ") IN ("
	if t.dialect == "sqlite" {
		from += "VALUES "
	}
	return from + repeatRow("("+repeatRow("?", len(key))+")", len(keys)) + ")", args, nil
}

// lookUp has PostgreSQL look each key up in the index. Left to choose, with a plan
// made while the table was empty, it reads all of the scope for every batch and
// compares each row with every key.
func (t *Table) lookUp(tx *gorm.DB, selected, where string, within []any, key []string, keys [][]any) (string, []any, error) {
	var arrays, names []string
	var args []any
	for i, c := range key {
		kind, err := t.typeOf(tx, c)
		if err != nil {
			return "", nil, err
		}
		text, err := t.column(kind, keys, i)
		if err != nil {
			return "", nil, fmt.Errorf("column %s: %w", c, err)
		}
		arrays, names, args = append(arrays, "CAST(CAST(? AS text) AS text[])"), append(names, fmt.Sprintf("u%d", i)), append(args, text)
		if i > 0 {
			where += " AND "
		}
		where += fmt.Sprintf("t.%s = CAST(u.u%d AS %s)", tx.Statement.Quote(c), i, kind)
	}
	scope, err := toDriverValues([][]any{within})
	if err != nil {
		return "", nil, err
	}
	return "SELECT f.* FROM unnest(" + strings.Join(
			arrays,
			", ",
		) + ") AS u(" + strings.Join(
			names,
			", ",
		) + ") CROSS JOIN LATERAL (SELECT " + selected + " FROM " +
			t.name + " t WHERE " + where + " OFFSET 0) f",
		append(
			args,
			scope...), nil
}

// column is one column of rows as an array.
func (t *Table) column(kind string, rows [][]any, i int) (string, error) {
	column := make([]any, len(rows))
	for j, row := range rows {
		column[j] = row[i]
	}
	column, err := toDriverValues([][]any{column})
	if err != nil {
		return "", err
	}
	if kind != "bytea" { // a []byte is a text there, JSON for instance
		for j, v := range column {
			if b, ok := v.([]byte); ok {
				column[j] = string(b)
			}
		}
	}
	return arrayText(column)
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
		text, err := t.column(kind, rows, i)
		if err != nil {
			return "", nil, fmt.Errorf("column %s: %w", c, err)
		}
		selected, kind := fmt.Sprintf("u.u%d", i), kind
		switch {
		case strings.HasPrefix(kind, "character"): // a cast would cut what is too long, and say nothing
			kind = "text"
		case strings.HasSuffix(kind, "]"):
			selected, kind = "CAST("+selected+" AS "+kind+")", "text"
		}
		selects = append(selects, selected)
		arrays = append(arrays, "CAST(CAST(? AS text) AS "+kind+"[])")
		names = append(names, fmt.Sprintf("u%d", i))
		args = append(args, text)
	}
	return strings.Join(selects, ", ") + " FROM unnest(" + strings.Join(arrays, ", ") + ") AS u(" + strings.Join(names, ", ") + ")", args, nil
}

// typeOf asks PostgreSQL once for all columns.
func (t *Table) typeOf(tx *gorm.DB, column string) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.types == nil {
		types := map[string]string{}
		rows, err := tx.Raw("SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = to_regclass(?) AND attnum > 0 AND NOT attisdropped",
			t.name).
			Rows()
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

// toDriverValues makes plain parameters of values that know their own.
func toDriverValues(rows [][]any) ([]any, error) {
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

func repeatRow(part string, n int) string {
	return strings.TrimSuffix(strings.Repeat(part+",", n), ",")
}

func execCount(tx *gorm.DB, query string, args []any) error {
	_, err := tx.Statement.ConnPool.ExecContext(statementContext(tx), dollars(tx, query), args...)
	return err
}

func statementContext(tx *gorm.DB) context.Context { return tx.Statement.Context }

// scanIDs goes past gorm's parser of statements, which is slow on long ones.
func scanIDs(tx *gorm.DB, query string, args []any) (ids []int64, err error) {
	rows, err := tx.Statement.ConnPool.QueryContext(statementContext(tx), dollars(tx, query), args...)
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
