package mirror

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
	"github.com/nawasara/nawasync/tracker"
)

func (r *repo) listRows(ctx context.Context, q nawasync.Query) (page rowPage, err error) {
	base, err := r.filtered(ctx, q)
	if err != nil {
		return page, err
	}
	limit := q.Limit
	if limit == 0 {
		limit = 50
	}
	if limit < 1 || limit > 1000 {
		return page, fmt.Errorf("%w: Query.Limit is %d; it must be 1 to 1000", nawasync.ErrInvalid, q.Limit)
	}
	read := &pageReader{repo: r, base: base, limit: limit + 1}
	if read.order, err = r.orderOf(q.Sort); err != nil {
		return page, err
	}
	digest, err := r.digestOf(q)
	if err != nil {
		return page, err
	}
	if read.from, read.backward, err = read.order.start(r.model, q, digest); err != nil {
		return page, err
	}
	if err := read.read(); err != nil {
		return page, fmt.Errorf("list %s: %w", r.model.table, err)
	}
	page = read.page(digest)
	page.between(q)
	if q.Total != 0 {
		page.total, page.more, err = r.countRows(ctx, q)
	}
	return page, err
}

// rowPage is a nawasync.ListResult without its type parameter.
type rowPage struct {
	items      reflect.Value // a pointer to a slice of rows
	next, prev string
	total      int64
	more       bool
}

// streamRows yields pointers to slices of rows, ordered by id.
func (r *repo) streamRows(ctx context.Context, q nawasync.Query) iter.Seq2[reflect.Value, error] {
	return func(yield func(reflect.Value, error) bool) {
		base, err := r.filtered(ctx, q)
		if err != nil {
			yield(reflect.Value{}, err)
			return
		}
		const size = 1000
		id := r.quote("id")
		for after := int64(0); ; {
			batch := reflect.New(reflect.SliceOf(r.model.schema.ModelType))
			query := base.Session(&gorm.Session{}).Where(id+" > ?", after).Order(id).Limit(size)
			if err := r.model.readRows(query, batch, nil); err != nil {
				yield(reflect.Value{}, fmt.Errorf("read %s: %w", r.model.table, err))
				return
			}
			n := batch.Elem().Len()
			if n == 0 {
				return
			}
			after = r.model.idOf(batch.Elem().Index(n - 1))
			if !yield(batch, nil) || n < size {
				return
			}
		}
	}
}

// findRow reads one row into a pointer to a struct. It returns nawasync.ErrNotFound.
func (r *repo) findRow(ctx context.Context, into reflect.Value, where string, args ...any) error {
	return r.findIn(r.db(ctx), into, where, args...)
}

func (r *repo) findIn(tx *gorm.DB, into reflect.Value, where string, args ...any) error {
	found := reflect.New(reflect.SliceOf(r.model.schema.ModelType))
	if err := r.model.readRows(tx.Table(r.model.table).Where(where, args...).Limit(1), found, nil); err != nil {
		return fmt.Errorf("read %s: %w", r.model.table, err)
	}
	if found.Elem().Len() == 0 {
		return fmt.Errorf("%s: %w", r.model.table, tracker.ErrNotFound)
	}
	into.Elem().Set(found.Elem().Index(0))
	return nil
}

// findKey reads the row with the scope and key of key or, if there is none, the newest row whose creation
// failed. If the key is empty, it reads the oldest row with the natural fields instead.
func (r *repo) findKey(ctx context.Context, into, key reflect.Value) error {
	if r.model.hasKey(key) || len(r.model.natural) == 0 {
		err := r.findRow(ctx, into, "identity = ?", r.model.keyIdentity(key))
		if !errors.Is(err, nawasync.ErrNotFound) {
			return err
		}
		where, args := r.equal(r.model.keyFields(), key)
		// The first condition selects the index of rows that are not synced.
		return r.findIn(r.db(ctx).Order("id DESC"), into, "sync_status <> 'synced' AND last_synced_at IS NULL AND "+where, args...)
	}
	where, args := r.equal(append(slices.Clone(r.model.scope), r.model.natural...), key)
	return r.findIn(r.db(ctx).Order("id"), into, where, args...)
}

// equal returns the condition that columns equal the fields of row byte by byte. It is empty if
// there are no fields.
func (r *repo) equal(fields []*field, row reflect.Value) (where string, args []any) {
	var parts []string
	for _, f := range fields {
		column := r.quote(f.column)
		parts, args = append(parts, column+" = ?"), append(args, f.param(row))
		if r.engine.DB().Name() == "mysql" && f.IndirectFieldType.Kind() == reflect.String {
			// Most collations treat some different texts as equal. The first condition can use an index.
			parts, args = append(parts, "CAST(CONVERT("+column+" USING utf8mb4) AS BINARY) = ?"), append(args, f.param(row))
		}
	}
	return strings.Join(parts, " AND "), args
}
