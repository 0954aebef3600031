package mirror

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/internal/sqlkit"
	"github.com/nawasara/nawasync/tracker"
)

// countRows counts the rows of a query, up to q.Total of them. A negative q.Total has no limit.
func (r *repo) countRows(ctx context.Context, q nawasync.Query) (total int64, more bool, err error) {
	base, err := r.filtered(ctx, q)
	if err != nil {
		return 0, false, err
	}
	if q.Total < 0 {
		err = base.Count(&total).Error
	} else {
		// The limit keeps the count fast on a large table.
		err = r.db(ctx).Table("(?) AS c", base.Select("1 AS one").Limit(int(q.Total)+1)).Count(&total).Error
		if total > q.Total {
			total, more = q.Total, true
		}
	}
	if err != nil {
		err = fmt.Errorf("count %s: %w", r.model.table, err)
	}
	return total, more, err
}

func (r *repo) quote(column string) string { return r.engine.DB().Statement.Quote(column) }

// column returns the quoted name of a column. part is the field of Query that names the column.
func (r *repo) column(part, name string) (string, error) {
	if r.model.schema.FieldsByDBName[name] == nil {
		return "", fmt.Errorf("%w: Query.%s names column %q, which table %s does not have", nawasync.ErrInvalid, part, name, r.model.table)
	}
	return r.quote(name), nil
}

// filtered returns the query without order, cursor and limit.
func (r *repo) filtered(ctx context.Context, q nawasync.Query) (*gorm.DB, error) {
	// Unscoped, because a count has no struct for which gorm would add the condition.
	db := r.db(ctx).Table(r.model.table).Unscoped()
	if !slices.Contains(q.States, tracker.StateDeleted) {
		db = db.Where("deleted_at IS NULL")
	}
	for name, value := range q.Where {
		column, err := r.column("Where", name)
		if err != nil {
			return nil, err
		}
		if value == nil {
			db = db.Where(column + " IS NULL")
		} else {
			db = db.Where(column+" = ?", value)
		}
	}
	for name, prefix := range q.Prefix {
		column, err := r.column("Prefix", name)
		if err != nil {
			return nil, err
		}
		if prefix == "" {
			continue
		}
		if db.Name() == "sqlite" { // LIKE in SQLite ignores the case of ASCII letters
			db = db.Where(column+" >= ? AND substr("+column+", 1, ?) = ?", prefix, len([]rune(prefix)), prefix)
		} else {
			db = db.Where(column+" LIKE ? ESCAPE '!'", sqlkit.EscapeLike(prefix)+"%")
		}
	}
	if len(q.States) > 0 {
		db = db.Where("sync_status IN ?", q.States)
	}
	if q.Search == "" {
		return db, nil
	}
	if len(r.search) == 0 {
		return nil, fmt.Errorf("%w: Query.Search is set, but Config.Search names no columns", nawasync.ErrInvalid)
	}
	var parts []string
	var args []any
	for _, name := range r.search {
		column := r.quote(name)
		if db.Name() == "mysql" { // LOWER does nothing on VARBINARY
			column = "CONVERT(" + column + " USING utf8mb4)"
		}
		parts = append(parts, "LOWER("+column+") LIKE ? ESCAPE '!'")
		args = append(args, "%"+sqlkit.EscapeLike(lowerASCII(q.Search))+"%")
	}
	return db.Where("("+strings.Join(parts, " OR ")+")", args...), nil
}

func lowerASCII(text string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'A' && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return c
	}, text)
}
