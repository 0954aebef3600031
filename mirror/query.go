package mirror

import (
	"context"
	"encoding/base64"
	"encoding/json"
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

func (r *repo) listRows(ctx context.Context, q nawasync.Query) (rowPage, error) {
	base, err := r.filtered(ctx, q)
	if err != nil {
		return rowPage{}, err
	}
	limit := q.Limit
	if limit == 0 {
		limit = 50
	}
	if limit < 1 || limit > 1000 {
		return rowPage{}, fmt.Errorf("%w: Query.Limit is %d; it must be 1 to 1000", nawasync.ErrInvalid, q.Limit)
	}
	after, err := r.cursorOf(q)
	if err != nil {
		return rowPage{}, err
	}
	page := rowPage{items: reflect.New(reflect.SliceOf(r.model.schema.ModelType))}
	valued, err := r.readPage(base, q.Sort, after, limit+1, page.items)
	if err != nil {
		return page, fmt.Errorf("list %s: %w", r.model.table, err)
	}
	if items := page.items.Elem(); items.Len() > limit {
		items.Set(items.Slice(0, limit))
		page.next = r.cursorAt(q.Sort, items.Index(limit-1), limit <= valued)
	}
	if q.Total != 0 {
		page.total, page.more, err = r.countRows(ctx, q)
	}
	return page, err
}

// rowPage is a nawasync.ListResult without its type parameter.
type rowPage struct {
	items reflect.Value // a pointer to a slice of rows
	next  string
	total int64
	more  bool
}

// pageCursor is the position after a row. It holds the row's sort value and not an offset, so
// that rows added or deleted between two pages do not shift the next page.
type pageCursor struct {
	Sort  string          `json:"s,omitempty"`
	Value json.RawMessage `json:"v,omitempty"` // null for a row without a value in the sort column
	ID    int64           `json:"i"`
}

// readPage appends up to limit rows after the cursor to into, a pointer to a slice. Rows
// without a value in the sort column come last. valued is the number of rows in into that
// have a value.
func (r *repo) readPage(base *gorm.DB, sort string, after pageCursor, limit int, into reflect.Value) (valued int, err error) {
	column, descending := strings.CutPrefix(sort, "-")
	direction, compare := "", ">"
	if descending {
		direction, compare = " DESC", "<"
	}
	id := r.quote("id")
	if column == "" || column == "id" {
		if after.ID != 0 {
			base = base.Where(id+" "+compare+" ?", after.ID)
		}
		err := r.model.readRows(base.Order(id+direction).Limit(limit), into)
		return into.Elem().Len(), err
	}
	// Two queries, each of which an index can answer: rows with a value, then rows without.
	f := r.model.schema.FieldsByDBName[column]
	name := r.quote(column)
	amongNulls := after.ID != 0 && (len(after.Value) == 0 || string(after.Value) == "null")
	if !amongNulls {
		query := base.Session(&gorm.Session{}).Where(name + " IS NOT NULL")
		if after.ID != 0 {
			value := reflect.New(f.FieldType)
			if err := json.Unmarshal(after.Value, value.Interface()); err != nil {
				return 0, errCursor
			}
			v := value.Elem().Interface()
			query = query.Where(name+" "+compare+"= ? AND ("+name+" "+compare+" ? OR "+id+" "+compare+" ?)", v, v, after.ID)
		}
		if err := r.model.readRows(query.Order(name+direction+", "+id+direction).Limit(limit), into); err != nil {
			return 0, err
		}
		after.ID = 0
	}
	valued = into.Elem().Len()
	if f.NotNull || valued >= limit {
		return valued, nil
	}
	nulls := reflect.New(into.Elem().Type())
	query := base.Session(&gorm.Session{}).Where(name + " IS NULL")
	if after.ID != 0 {
		query = query.Where(id+" "+compare+" ?", after.ID)
	}
	if err := r.model.readRows(query.Order(id+direction).Limit(limit-valued), nulls); err != nil {
		return 0, err
	}
	into.Elem().Set(reflect.AppendSlice(into.Elem(), nulls.Elem()))
	return valued, nil
}

var errCursor = fmt.Errorf("%w: Query.After is not the Next of a page with this Sort", nawasync.ErrInvalid)

// cursorOf decodes the cursor of a query. The zero pageCursor is the first page.
func (r *repo) cursorOf(q nawasync.Query) (c pageCursor, err error) {
	column := strings.TrimPrefix(q.Sort, "-")
	if f := r.model.schema.FieldsByDBName[column]; column != "" && f == nil {
		return c, fmt.Errorf("%w: Query.Sort names column %q, which table %s does not have", nawasync.ErrInvalid, column, r.model.table)
	}
	if q.After == "" {
		return c, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(q.After)
	if err != nil || json.Unmarshal(text, &c) != nil || c.Sort != q.Sort || c.ID <= 0 {
		return c, errCursor
	}
	return c, nil
}

// cursorAt encodes the position after a row. valued reports whether the row has a value in the
// sort column. The field alone cannot show this, because gorm reads NULL as the zero value into a
// field that is not a pointer.
func (r *repo) cursorAt(sort string, last reflect.Value, valued bool) string {
	c := pageCursor{Sort: sort, ID: r.model.idOf(last)}
	if column := strings.TrimPrefix(sort, "-"); column != "" && column != "id" && valued {
		f := &field{Field: r.model.schema.FieldsByDBName[column]}
		c.Value, _ = json.Marshal(f.value(last).Interface())
	}
	text, _ := json.Marshal(c)
	return base64.RawURLEncoding.EncodeToString(text)
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
		for after := (pageCursor{}); ; {
			batch := reflect.New(reflect.SliceOf(r.model.schema.ModelType))
			if _, err := r.readPage(base.Session(&gorm.Session{}), "", after, size, batch); err != nil {
				yield(reflect.Value{}, fmt.Errorf("read %s: %w", r.model.table, err))
				return
			}
			n := batch.Elem().Len()
			if n == 0 {
				return
			}
			after.ID = r.model.idOf(batch.Elem().Index(n - 1))
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
	if err := r.model.readRows(tx.Table(r.model.table).Where(where, args...).Limit(1), found); err != nil {
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
