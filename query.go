package nawasync

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

	"github.com/nawasara/nawasync/tracker"
)

// Query says which rows, in which order. The zero value is the first 50 of all.
type Query struct {
	// Where are columns that must equal a value; Prefix columns that must begin with
	// a text, byte by byte.
	Where  map[string]any
	Prefix map[string]string
	// Search is looked for anywhere in the columns of RepositoryConfig.Search, without
	// regard to the case of ASCII letters. It reads every row of what else is asked for.
	Search string
	// States are the sync states to show; none is all.
	States []SyncState
	// Sort is a column, "-" before it for descending; rows without a value come last.
	// Default is the primary key. Large tables want an index for it.
	Sort string
	// After is List.Next of the page before; "" is the first page.
	After string
	// Limit is the page's size, 1 to 1000. Default 50.
	Limit int
	// Total asks for a count: 0 none, -1 an exact one, n > 0 one that stops at n.
	Total int64
}

// List is one page of rows.
type List[T any] struct {
	Items []T
	Next  string // for Query.After; "" at the end
	Total int64  // when it was asked for
	More  bool   // with Query.Total > 0: there are more than Total
}

// listPage is a List without its type parameter; items is a pointer to a slice.
type listPage struct {
	items reflect.Value
	next  string
	total int64
	more  bool
}

// cursor is the place after a row: pages stay right when rows come and go.
type cursor struct {
	Sort  string          `json:"s,omitempty"`
	Value json.RawMessage `json:"v,omitempty"` // null: among the rows without a value
	ID    int64           `json:"i"`
}

func (r *repo) list(ctx context.Context, q Query) (listPage, error) {
	base, err := r.filtered(ctx, q)
	if err != nil {
		return listPage{}, err
	}
	limit := q.Limit
	if limit == 0 {
		limit = 50
	}
	if limit < 1 || limit > 1000 {
		return listPage{}, fmt.Errorf("%w: Query.Limit is %d, not 1 to 1000", ErrInvalid, q.Limit)
	}
	after, err := r.after(q)
	if err != nil {
		return listPage{}, err
	}
	page := listPage{items: reflect.New(reflect.SliceOf(r.model.schema.ModelType))}
	valued, err := r.read(base, q.Sort, after, limit+1, page.items)
	if err != nil {
		return page, fmt.Errorf("nawasync: list %s: %w", r.model.table, err)
	}
	if items := page.items.Elem(); items.Len() > limit {
		items.Set(items.Slice(0, limit))
		page.next = r.cursorAt(q.Sort, items.Index(limit-1), limit <= valued)
	}
	if q.Total != 0 {
		page.total, page.more, err = r.count(ctx, q)
	}
	return page, err
}

// read appends the rows after the cursor: first those with a value, then those
// without, each by an index where there is one.
func (r *repo) read(base *gorm.DB, sort string, after cursor, limit int, into reflect.Value) (valued int, err error) {
	column, down := strings.CutPrefix(sort, "-")
	if column == "" || column == "id" {
		id := r.quote("id")
		order, than := id, " > ?"
		if down {
			order, than = id+" DESC", " < ?"
		}
		if after.ID != 0 {
			base = base.Where(id+than, after.ID)
		}
		err := base.Order(order).Limit(limit).Find(into.Interface()).Error
		return into.Elem().Len(), err
	}
	f := r.model.schema.FieldsByDBName[column]
	name := r.quote(column)
	direction, more := "", ">"
	if down {
		direction, more = " DESC", "<"
	}
	nulls := after.ID != 0 && (len(after.Value) == 0 || string(after.Value) == "null")
	if !nulls {
		first := base.Session(&gorm.Session{}).Where(name + " IS NOT NULL")
		if after.ID != 0 {
			value := reflect.New(f.FieldType)
			if err := json.Unmarshal(after.Value, value.Interface()); err != nil {
				return 0, errCursor
			}
			v := value.Elem().Interface()
			first = first.Where(name+" "+more+"= ? AND ("+name+" "+more+" ? OR "+r.quote("id")+" "+more+" ?)", v, v, after.ID)
		}
		if err := first.Order(name + direction + ", " + r.quote("id") + direction).Limit(limit).Find(into.Interface()).Error; err != nil {
			return 0, err
		}
		after.ID = 0
	}
	have := into.Elem().Len()
	if f.NotNull || have >= limit {
		return have, nil
	}
	rest := reflect.New(into.Elem().Type())
	last := base.Session(&gorm.Session{}).Where(name + " IS NULL")
	if after.ID != 0 {
		last = last.Where(r.quote("id")+" "+more+" ?", after.ID)
	}
	if err := last.Order(r.quote("id") + direction).Limit(limit - have).Find(rest.Interface()).Error; err != nil {
		return 0, err
	}
	into.Elem().Set(reflect.AppendSlice(into.Elem(), rest.Elem()))
	return have, nil
}

var errCursor = fmt.Errorf("%w: Query.After is not the Next of a page in this order", ErrInvalid)

func (r *repo) after(q Query) (c cursor, err error) {
	column := strings.TrimPrefix(q.Sort, "-")
	if f := r.model.schema.FieldsByDBName[column]; column != "" && f == nil {
		return c, fmt.Errorf("%w: Query.Sort names %q, which is no column of %s", ErrInvalid, column, r.model.table)
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

// cursorAt is the place after a row. Whether it has a value is known from the query: a
// NULL in a field that is no pointer looks like a value.
func (r *repo) cursorAt(sort string, last reflect.Value, valued bool) string {
	c := cursor{Sort: sort, ID: r.model.idOf(last)}
	if column := strings.TrimPrefix(sort, "-"); column != "" && column != "id" && valued {
		f := &field{Field: r.model.schema.FieldsByDBName[column]}
		c.Value, _ = json.Marshal(f.value(last).Interface())
	}
	text, _ := json.Marshal(c)
	return base64.RawURLEncoding.EncodeToString(text)
}

func (r *repo) count(ctx context.Context, q Query) (total int64, more bool, err error) {
	base, err := r.filtered(ctx, q)
	if err != nil {
		return 0, false, err
	}
	if q.Total < 0 {
		err = base.Count(&total).Error
	} else {
		// Not further than it was asked for, however large the table.
		err = r.db(ctx).Table("(?) AS c", base.Select("1 AS one").Limit(int(q.Total)+1)).Count(&total).Error
		if total > q.Total {
			total, more = q.Total, true
		}
	}
	if err != nil {
		err = fmt.Errorf("nawasync: count %s: %w", r.model.table, err)
	}
	return total, more, err
}

func (r *repo) quote(column string) string { return r.engine.config.DB.Statement.Quote(column) }

func (r *repo) column(what, name string) (string, error) {
	if r.model.schema.FieldsByDBName[name] == nil {
		return "", fmt.Errorf("%w: Query.%s names %q, which is no column of %s", ErrInvalid, what, name, r.model.table)
	}
	return r.quote(name), nil
}

// filtered is the query without order, cursor and limit.
func (r *repo) filtered(ctx context.Context, q Query) (*gorm.DB, error) {
	db := r.db(ctx).Table(r.model.table)
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
		if db.Name() == "sqlite" { // its LIKE takes a for A
			db = db.Where(column+" >= ? AND substr("+column+", 1, ?) = ?", prefix, len([]rune(prefix)), prefix)
		} else {
			db = db.Where(column+" LIKE ? ESCAPE '!'", like(prefix)+"%")
		}
	}
	if len(q.States) > 0 {
		db = db.Where("sync_status IN ?", q.States)
	}
	if q.Search == "" {
		return db, nil
	}
	if len(r.search) == 0 {
		return nil, fmt.Errorf("%w: Query.Search, and RepositoryConfig.Search names no column", ErrInvalid)
	}
	var parts []string
	var args []any
	for _, name := range r.search {
		column := r.quote(name)
		if db.Name() == "mysql" { // a VARBINARY has no case
			column = "CONVERT(" + column + " USING utf8mb4)"
		}
		parts = append(parts, "LOWER("+column+") LIKE ? ESCAPE '!'")
		args = append(args, "%"+like(lowerASCII(q.Search))+"%")
	}
	return db.Where("("+strings.Join(parts, " OR ")+")", args...), nil
}

func like(text string) string {
	return strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(text)
}

func lowerASCII(text string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'A' && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return c
	}, text)
}

// all yields pointers to slices of rows.
func (r *repo) all(ctx context.Context, q Query) iter.Seq2[reflect.Value, error] {
	return func(yield func(reflect.Value, error) bool) {
		base, err := r.filtered(ctx, q)
		if err != nil {
			yield(reflect.Value{}, err)
			return
		}
		const size = 1000
		for after := (cursor{}); ; {
			batch := reflect.New(reflect.SliceOf(r.model.schema.ModelType))
			if _, err := r.read(base.Session(&gorm.Session{}), "", after, size, batch); err != nil {
				yield(reflect.Value{}, fmt.Errorf("nawasync: read %s: %w", r.model.table, err))
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

// find reads one row into a pointer to a struct.
func (r *repo) find(ctx context.Context, into reflect.Value, where string, args ...any) error {
	return r.findIn(r.db(ctx), into, where, args...)
}

func (r *repo) findIn(tx *gorm.DB, into reflect.Value, where string, args ...any) error {
	err := tx.Table(r.model.table).Where(where, args...).Take(into.Interface()).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return fmt.Errorf("%s: %w", r.model.table, tracker.ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("nawasync: read %s: %w", r.model.table, err)
	}
	return nil
}

// locate is the condition for the row with a scope and key; where the key is empty,
// for that with the natural name.
func (r *repo) locate(row reflect.Value) (string, []any) {
	fields := r.model.identity()
	if len(r.model.natural) > 0 && !slices.ContainsFunc(r.model.key, func(f *field) bool { return !f.value(row).IsZero() }) {
		fields = append(slices.Clone(r.model.scope), r.model.natural...)
	}
	var parts []string
	var args []any
	for _, f := range fields {
		parts = append(parts, r.quote(f.column)+" = ?")
		args = append(args, f.param(row))
	}
	return strings.Join(parts, " AND "), args
}
