// Package bulk writes many rows of a host's table in one statement. For each database it uses the
// fastest statement that does not depend on the driver.
package bulk

import (
	"errors"
	"fmt"
	"strings"
	"sync"

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
