package bulk

import (
	"database/sql/driver"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"gorm.io/gorm"
)

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
