package bulk

import (
	"fmt"
	"strings"

	"gorm.io/gorm"
)

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
