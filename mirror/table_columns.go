package mirror

import (
	"strings"

	"gorm.io/gorm"
)

// tableColumn is what reads need to know of a column.
type tableColumn struct {
	nullable bool
	kind     string // the type, of PostgreSQL only
}

// readTableColumns reads the columns of the table. A column that it does not find counts as nullable,
// which costs a statement per page but is never wrong.
func (r *repo) readTableColumns(db *gorm.DB) error {
	schema, table, qualified := strings.Cut(r.model.table, ".")
	if !qualified {
		schema, table = "", schema
	}
	var query string
	var args []any
	switch db.Name() {
	case "postgres":
		query = "SELECT a.attname, CASE WHEN a.attnotnull THEN 0 ELSE 1 END, format_type(a.atttypid, NULL) FROM pg_attribute a" +
			" WHERE a.attrelid = to_regclass(?) AND a.attnum > 0 AND NOT a.attisdropped"
		args = []any{r.quoted}
	case "mysql":
		query = "SELECT column_name, CASE WHEN is_nullable = 'NO' THEN 0 ELSE 1 END, '' FROM information_schema.columns" +
			" WHERE table_schema = COALESCE(NULLIF(?, ''), DATABASE()) AND table_name = ?"
		args = []any{schema, table}
	default:
		query = `SELECT name, 1 - "notnull", '' FROM pragma_table_info(?, COALESCE(NULLIF(?, ''), 'main'))`
		args = []any{table, schema}
	}
	rows, err := db.Raw(query, args...).Rows()
	if err != nil {
		return r.configErrorf("read the columns of table %s: %w", r.model.table, err)
	}
	defer func() { _ = rows.Close() }()
	r.tableColumns = map[string]tableColumn{}
	for rows.Next() {
		var name, kind string
		var nullable int
		if err := rows.Scan(&name, &nullable, &kind); err != nil {
			return r.configErrorf("read the columns of table %s: %w", r.model.table, err)
		}
		r.tableColumns[name] = tableColumn{nullable: nullable == 1, kind: kind}
	}
	return rows.Err()
}

// nullable reports whether a column may contain NULL.
func (r *repo) nullable(column string) bool {
	known, found := r.tableColumns[column]
	return column != "id" && (!found || known.nullable)
}
