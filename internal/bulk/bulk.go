// Package bulk writes many rows of a host's table in one statement. For each database it uses the
// fastest statement that does not depend on the driver.
package bulk

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync/internal/sqlkit"
)

// ErrValue is in the tree of an error about a value that no column can store, for example a uint64
// beyond 2^63.
var ErrValue = errors.New("cannot be stored in a column")

// Table writes and finds the rows of one table. Create it with New. It is safe for concurrent
// use.
type Table struct {
	name    string // quoted
	dialect string
	plain   string // not quoted

	mu    sync.Mutex
	types map[string]string // types of the columns, for PostgreSQL only; nil until they are read
}

// New returns the table with the given name in the database of db.
func New(db *gorm.DB, name string) *Table {
	return &Table{name: db.Statement.Quote(name), plain: name, dialect: db.Name()}
}

// MaxRows returns the number of rows that callers should write at once. It is small for SQLite,
// because all other writers wait for the transaction.
func (t *Table) MaxRows() int {
	switch t.dialect {
	case "postgres":
		return 5000
	case "sqlite":
		return 1500
	}
	return 2000
}

// maxParams returns how many parameters one statement may have. It is small for SQLite, because the
// Go drivers search the whole list of parameters for each parameter: with 1500, that takes longer than
// the rest of an INSERT.
func (t *Table) maxParams() int {
	if t.dialect == "sqlite" {
		return 250
	}
	return 30_000
}

// Insert adds the rows, each with one value per column, and returns the ids of the added rows.
// It skips rows with a duplicate key. On MySQL, which has no RETURNING, it returns nil and the
// caller must read the ids.
func (t *Table) Insert(tx *gorm.DB, columns []string, rows [][]any) (ids []int64, err error) {
	err = t.eachStatement(columns, rows, func(rows [][]any) error {
		query, args, err := t.insertion(tx, columns, rows)
		if err != nil {
			return err
		}
		if t.dialect == "mysql" {
			// INSERT IGNORE would also silently truncate texts that are too long.
			return exec(tx, query+" ON DUPLICATE KEY UPDATE id = id", args)
		}
		added, err := queryIDs(tx, query+" ON CONFLICT DO NOTHING RETURNING id", args)
		ids = append(ids, added...)
		return err
	})
	if err != nil {
		return nil, err
	}
	return ids, nil
}

// InsertNew adds rows that are not expected to have duplicate keys, faster than Insert. A duplicate key is an
// error (sqlkit.IsUniqueViolation); the caller must then roll the transaction back.
func (t *Table) InsertNew(tx *gorm.DB, columns []string, rows [][]any) error {
	return t.eachStatement(columns, rows, func(rows [][]any) error {
		query, args, err := t.insertion(tx, columns, rows)
		if err != nil {
			return err
		}
		return exec(tx, query, args)
	})
}

// InsertOne adds one row and returns its id, or 0 if a unique column already has the row's value.
func (t *Table) InsertOne(tx *gorm.DB, columns []string, row []any) (id int64, err error) {
	if t.dialect != "mysql" {
		ids, err := t.Insert(tx, columns, [][]any{row})
		if err != nil || len(ids) == 0 {
			return 0, err
		}
		return ids[0], nil
	}
	args, err := toDriverValues([][]any{row})
	if err != nil {
		return 0, err
	}
	query := "INSERT INTO " + t.name + " (" + t.list(tx, columns) + ") VALUES (" + repeatRow("?", len(columns)) + ")"
	done, err := tx.Statement.ConnPool.ExecContext(tx.Statement.Context, query, args...)
	if sqlkit.IsUniqueViolation(err) {
		return 0, nil // MySQL rolls back the statement only
	}
	if err != nil {
		return 0, err
	}
	return done.LastInsertId()
}

// eachStatement calls fn with as many rows at a time as one INSERT may have.
func (t *Table) eachStatement(columns []string, rows [][]any, fn func(rows [][]any) error) error {
	most := t.MaxRows()
	if t.dialect != "postgres" {
		most = min(most, max(1, t.maxParams()/len(columns)))
	}
	for len(rows) > 0 {
		n := min(len(rows), most)
		if err := fn(rows[:n]); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// insertion returns a statement that adds rows.
func (t *Table) insertion(tx *gorm.DB, columns []string, rows [][]any) (query string, args []any, err error) {
	head := "INSERT INTO " + t.name + " (" + t.list(tx, columns) + ") "
	if t.dialect == "postgres" {
		from, args, err := t.unnest(tx, columns, rows)
		return head + "SELECT " + from, args, err
	}
	args, err = toDriverValues(rows)
	return head + "VALUES " + repeatRow("("+repeatRow("?", len(columns))+")", len(rows)), args, err
}

// Update sets columns of existing rows. The first value of each row is its id, the others are
// in the order of columns. The caller must hold locks on the rows.
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
		return exec(tx, "UPDATE "+t.name+" AS t SET "+strings.Join(set, ", ")+" FROM (SELECT "+from+") AS v("+strings.Join(names, ", ")+
			") WHERE t.id = v.c0", args)
	case "sqlite":
		args, err := toDriverValues(rows)
		if err != nil {
			return err
		}
		for i, c := range columns[1:] {
			set[i] = fmt.Sprintf("%s = v.column%d", tx.Statement.Quote(c), i+2)
		}
		return exec(tx, "UPDATE "+t.name+" AS t SET "+strings.Join(set, ", ")+" FROM (VALUES "+repeatRow("("+repeatRow("?", len(columns))+")", len(rows))+
			") AS v WHERE t.id = v.column1", args)
	}
	args, err := toDriverValues(rows)
	if err != nil {
		return err
	}
	params := binaryParams(args, len(columns))
	first := make([]string, len(columns))
	for i, param := range params {
		first[i] = fmt.Sprintf("%s AS c%d", param, i)
	}
	for i, c := range columns[1:] {
		set[i] = fmt.Sprintf("t.%s = v.c%d", tx.Statement.Quote(c), i+1)
	}
	source := "SELECT " + strings.Join(first, ", ") + strings.Repeat(" UNION ALL SELECT "+strings.Join(params, ","), len(rows)-1)
	return exec(tx, "UPDATE "+t.name+" t JOIN ("+source+") v ON t.id = v.c0 SET "+strings.Join(set, ", "), args)
}

// KeyQuery selects the rows of a scope whose key is in a list of keys.
type KeyQuery struct {
	Select []string // the columns to read
	// Expressions is a list of expressions over the table t to read instead of Select.
	Expressions string
	// ScopeColumns and Scope are the columns of the scope and their values.
	ScopeColumns []string
	Scope        []any
	// KeyColumns are the columns of the key. Each key has one value per column.
	KeyColumns []string
	Keys       [][]any
}

// Find returns a statement for tx.Raw that runs q.
func (t *Table) Find(tx *gorm.DB, q KeyQuery) (query string, args []any, err error) {
	if t.dialect == "postgres" {
		return t.findEachKey(tx, q)
	}
	args, err = toDriverValues(append([][]any{q.Scope}, q.Keys...))
	if err != nil {
		return "", nil, err
	}
	from := "SELECT " + q.selected(tx) + " FROM " + t.name + " t WHERE " + q.inScope(tx)
	if len(q.KeyColumns) == 1 {
		return from + "t." + tx.Statement.Quote(q.KeyColumns[0]) + " IN ( " + repeatRow("?", len(q.Keys)) + ")", args, nil // the space keeps gorm from expanding a key of bytes
	}
	from += "(" + t.list(tx, q.KeyColumns) + ") IN ("
	if t.dialect == "sqlite" {
		from += "VALUES "
	}
	return from + repeatRow("("+repeatRow("?", len(q.KeyColumns))+")", len(q.Keys)) + ")", args, nil
}

// selected returns the list of what to read from table t.
func (q KeyQuery) selected(tx *gorm.DB) string {
	if q.Expressions != "" {
		return q.Expressions
	}
	quoted := make([]string, len(q.Select))
	for i, c := range q.Select {
		quoted[i] = "t." + tx.Statement.Quote(c)
	}
	return strings.Join(quoted, ", ")
}

// inScope returns the condition that a row of table t is in the scope. If it is not empty, it
// ends with AND.
func (q KeyQuery) inScope(tx *gorm.DB) string {
	var where strings.Builder
	for _, c := range q.ScopeColumns {
		where.WriteString("t." + tx.Statement.Quote(c) + " = ? AND ")
	}
	return where.String()
}

// findEachKey is Find for PostgreSQL. The statement makes PostgreSQL look up each key in the
// index. With an IN list, a query plan that was cached while the table was empty would read the
// whole scope for each batch and compare each row with every key.
func (t *Table) findEachKey(tx *gorm.DB, q KeyQuery) (query string, args []any, err error) {
	var arrays, names, matches []string
	for i, c := range q.KeyColumns {
		kind, err := t.typeOf(tx, c)
		if err != nil {
			return "", nil, err
		}
		text, err := columnArray(kind, q.Keys, i)
		if err != nil {
			return "", nil, fmt.Errorf("column %s: %w", c, err)
		}
		arrays, names, args = append(arrays, "CAST(CAST(? AS text) AS text[])"), append(names, fmt.Sprintf("u%d", i)), append(args, text)
		matches = append(matches, fmt.Sprintf("t.%s = CAST(u.u%d AS %s)", tx.Statement.Quote(c), i, kind))
	}
	scope, err := toDriverValues([][]any{q.Scope})
	if err != nil {
		return "", nil, err
	}
	query = "SELECT f.* FROM unnest(" + strings.Join(arrays, ", ") + ") AS u(" + strings.Join(names, ", ") +
		") CROSS JOIN LATERAL (SELECT " + q.selected(tx) + " FROM " + t.name + " t WHERE " + q.inScope(tx) + strings.Join(matches, " AND ") + " OFFSET 0) f"
	return query, append(args, scope...), nil
}

// columnArray returns the i-th values of rows as an array literal. kind is the type of the
// column.
func columnArray(kind string, rows [][]any, i int) (string, error) {
	column := make([]any, len(rows))
	for j, row := range rows {
		column[j] = row[i]
	}
	column, err := toDriverValues([][]any{column})
	if err != nil {
		return "", err
	}
	if kind != "bytea" { // in a column of another type, a []byte is a text such as JSON
		for j, v := range column {
			if b, ok := v.([]byte); ok {
				column[j] = string(b)
			}
		}
	}
	return arrayText(column)
}

// unnest passes the rows as one array per column, so that the statement has the same text for
// batches of any size and is parsed once. It returns the select list and the FROM clause.
func (t *Table) unnest(tx *gorm.DB, columns []string, rows [][]any) (from string, args []any, err error) {
	var selects, arrays, names []string
	for i, c := range columns {
		kind, err := t.typeOf(tx, c)
		if err != nil {
			return "", nil, err
		}
		text, err := columnArray(kind, rows, i)
		if err != nil {
			return "", nil, fmt.Errorf("column %s: %w", c, err)
		}
		selected, kind := fmt.Sprintf("u.u%d", i), kind
		switch {
		case strings.HasPrefix(kind, "character"): // a cast would silently truncate texts that are too long
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

// typeOf returns the PostgreSQL type of a column. The first call reads the types of all
// columns.
func (t *Table) typeOf(tx *gorm.DB, column string) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.types == nil {
		types, err := t.readTypes(tx)
		if err != nil {
			return "", fmt.Errorf("read columns of table %s: %w", t.plain, err)
		}
		if len(types) == 0 {
			return "", fmt.Errorf("table %s does not exist", t.plain)
		}
		t.types = types
	}
	if kind, ok := t.types[column]; ok {
		return kind, nil
	}
	return "", fmt.Errorf("table %s has no column %s", t.plain, column)
}

// readTypes reads the types of the table's columns from PostgreSQL. The result is empty if the
// table does not exist.
func (t *Table) readTypes(tx *gorm.DB) (map[string]string, error) {
	rows, err := tx.Raw("SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = to_regclass(?) AND attnum > 0 AND NOT attisdropped",
		t.name).Rows()
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
		types[name] = kind
	}
	return types, rows.Err()
}

// list returns the quoted columns, separated by commas.
func (t *Table) list(tx *gorm.DB, columns []string) string {
	quoted := make([]string, len(columns))
	for i, c := range columns {
		quoted[i] = tx.Statement.Quote(c)
	}
	return strings.Join(quoted, ", ")
}

// toDriverValues converts the values of all rows to driver values and returns them in one list.
func toDriverValues(rows [][]any) ([]any, error) {
	size := 0
	for _, row := range rows {
		size += len(row)
	}
	args := make([]any, 0, size)
	for _, row := range rows {
		for _, v := range row {
			switch v.(type) {
			case nil, string, int64, bool, float64, []byte, time.Time: // as they are
				args = append(args, v)
				continue
			}
			value, err := driver.DefaultParameterConverter.ConvertValue(v)
			if err != nil {
				return nil, fmt.Errorf("a value of type %T %w: %w", v, ErrValue, err)
			}
			args = append(args, value)
		}
	}
	return args, nil
}

// binaryParams returns a parameter for each column of rows. In a derived table, MySQL takes a parameter
// for a text, and refuses bytes that are not one.
func binaryParams(args []any, columns int) []string {
	params := make([]string, columns)
	for i := range params {
		params[i] = "?"
	}
	for i, arg := range args {
		if data, ok := arg.([]byte); ok && !utf8.Valid(data) {
			params[i%columns] = "CAST(? AS BINARY)"
		}
	}
	return params
}

// repeatRow repeats part n times, separated by commas.
func repeatRow(part string, n int) string {
	return strings.TrimSuffix(strings.Repeat(part+",", n), ",")
}

// exec runs a statement without gorm, whose parser is slow for long statements.
func exec(tx *gorm.DB, query string, args []any) error {
	_, err := tx.Statement.ConnPool.ExecContext(tx.Statement.Context, numberParams(tx, query), args...)
	return err
}

// queryIDs runs a query for ids without gorm, whose parser is slow for long statements.
func queryIDs(tx *gorm.DB, query string, args []any) (ids []int64, err error) {
	rows, err := tx.Statement.ConnPool.QueryContext(tx.Statement.Context, numberParams(tx, query), args...)
	if err != nil {
		return nil, err
	}
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

// numberParams replaces each ? with $1, $2 and so on for PostgreSQL. The statements of this
// package have a ? only as a parameter.
func numberParams(tx *gorm.DB, query string) string {
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
