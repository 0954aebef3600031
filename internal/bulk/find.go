package bulk

import (
	"fmt"
	"strings"

	"gorm.io/gorm"
)

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
