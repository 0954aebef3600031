package mirror

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
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

// filtered returns the query without order, cursor and limit.
func (r *repo) filtered(ctx context.Context, q nawasync.Query) (*gorm.DB, error) {
	// Unscoped, because a count has no struct for which gorm would add the condition.
	db := r.db(ctx).Table(r.model.table).Unscoped()
	if !slices.Contains(q.States, tracker.StateDeleted) {
		db = db.Where("deleted_at IS NULL")
	}
	filters, err := r.filtersOf(q)
	if err != nil {
		return nil, err
	}
	for _, f := range filters {
		db = f.apply(db)
	}
	if len(q.States) > 0 {
		db = db.Where("sync_status IN ?", q.States)
	}
	if q.Search == "" {
		return db, nil
	}
	return r.searched(db, q.Search)
}

// searched adds the condition of Query.Search.
func (r *repo) searched(db *gorm.DB, text string) (*gorm.DB, error) {
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
		args = append(args, "%"+sqlkit.EscapeLike(lowerASCII(text))+"%")
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

// filtersOf returns the conditions on columns in a fixed order, so that equal queries have equal texts.
func (r *repo) filtersOf(q nawasync.Query) (list []columnFilter, err error) {
	names := slices.Concat(slices.Collect(maps.Keys(q.Where)), slices.Collect(maps.Keys(q.From)), slices.Collect(maps.Keys(q.To)),
		slices.Collect(maps.Keys(q.Prefix)), slices.Collect(maps.Keys(q.Contains)))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		f := columnFilter{repo: r, name: name}
		if err := f.read(q); err != nil {
			return nil, err
		}
		list = append(list, f)
	}
	return list, nil
}

// digestOf returns a text that differs for queries with other conditions or another order.
func (r *repo) digestOf(q nawasync.Query) (string, error) {
	filters, err := r.filtersOf(q)
	if err != nil {
		return "", err
	}
	parts := []any{r.model.table, q.Sort, q.Search, q.States}
	for _, f := range filters {
		parts = append(parts, f.name, f.null, f.values, f.from, f.to, f.prefix, f.contains.text)
	}
	text, err := json.Marshal(parts)
	if err != nil {
		return "", fmt.Errorf("%w: marshal the query: %w", nawasync.ErrInvalid, err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6]), nil
}
