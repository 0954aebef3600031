package mirror

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/nawasara/nawasync"
)

// maxSorts is the maximum number of columns in Query.Sort. A page takes up to two statements for each.
const maxSorts = 5

// sortKey is one column of Query.Sort.
type sortKey struct {
	queryColumn

	descending bool
	nullable   bool
}

// zeroMayBeNull reports whether a row that was read does not show if the column is NULL.
func (k sortKey) zeroMayBeNull() bool { return k.nullable && k.FieldType.Kind() != reflect.Pointer }

// pageOrder is the order of a list: columns, then the id, which makes it total.
type pageOrder struct {
	keys         []sortKey // without the id
	idDescending bool
}

// orderOf reads Query.Sort.
func (r *repo) orderOf(sort string) (o pageOrder, err error) {
	if sort == "" {
		return o, nil
	}
	var names []string
	parts := strings.Split(sort, ",")
	for i, part := range parts {
		name, descending := strings.CutPrefix(strings.TrimSpace(part), "-")
		column, err := r.queryColumn("Sort", name)
		switch {
		case err != nil:
			return o, err
		case slices.Contains(names, name):
			return o, column.errorf("Sort", "the column is named twice")
		case !column.kind.comparable():
			return o, column.errorf("Sort", "such values have no order; use another column")
		case name == "id" && i < len(parts)-1:
			return o, column.errorf("Sort", "no two rows have the same id, so the columns after it change nothing; leave them out")
		case i >= maxSorts:
			return o, fmt.Errorf("%w: Query.Sort names %d columns; the maximum is %d", nawasync.ErrInvalid, len(parts), maxSorts)
		}
		names, o.idDescending = append(names, name), descending
		if name != "id" {
			o.keys = append(o.keys, sortKey{column, descending, r.nullable(name)})
		}
	}
	return o, nil
}

// pagePosition is a place between two rows, beside a row that may be gone by now. It holds the row's values and
// not an offset, so that rows added or deleted do not shift the pages.
type pagePosition struct {
	values []any // of the sort columns, as parameters; nil for NULL
	id     int64
	before bool // the place is before the row, else after it
}

// pageCursor is a pagePosition as a query has it.
type pageCursor struct {
	Query  string            `json:"q"`           // the digest of the query
	Values []json.RawMessage `json:"v,omitempty"` // null for NULL
	ID     int64             `json:"i"`
	Before bool              `json:"b,omitempty"`
}

// start decodes the cursor of a query. A nil position is before the first row.
func (o pageOrder) start(m *model, q nawasync.Query, digest string) (p *pagePosition, backward bool, err error) {
	part, text := "After", q.After
	if q.Before != "" {
		part, text, backward = "Before", q.Before, true
	}
	if q.After != "" && q.Before != "" {
		return nil, false, fmt.Errorf("%w: Query.After and Query.Before are both set; a page begins after one cursor or ends before one", nawasync.ErrInvalid)
	}
	if text == "" {
		return nil, false, nil
	}
	plain, err := base64.RawURLEncoding.DecodeString(text)
	var c pageCursor
	if err != nil || json.Unmarshal(plain, &c) != nil || c.ID <= 0 || len(c.Values) > maxSorts {
		return nil, false, fmt.Errorf("%w: Query.%s is no cursor that List returned; begin with the first page", nawasync.ErrInvalid, part)
	}
	if c.Query != digest || len(c.Values) != len(o.keys) {
		return nil, false, fmt.Errorf("%w: Query.%s is the cursor of a query with other conditions or another Sort; begin with the first page", nawasync.ErrInvalid, part)
	}
	p = &pagePosition{id: c.ID, before: c.Before}
	for i, key := range o.keys {
		value, err := key.decode(m, c.Values[i])
		if err != nil {
			return nil, false, fmt.Errorf("%w: Query.%s is no cursor that List returned: %w", nawasync.ErrInvalid, part, err)
		}
		p.values = append(p.values, value)
	}
	return p, backward, nil
}

// decode returns a value of a cursor as a parameter.
func (k sortKey) decode(m *model, text json.RawMessage) (any, error) {
	if len(text) == 0 || string(text) == "null" {
		return nil, nil //nolint:nilnil // NULL is a value of a parameter
	}
	row := m.newRow()
	if err := decodeField(row, k.field, text); err != nil {
		return nil, err
	}
	return k.field.param(row), nil
}

// cursorAt encodes the place before or after a row. nulls has the columns that are NULL although the row does
// not show it, because gorm reads NULL as the zero value into a field that is not a pointer.
func (o pageOrder) cursorAt(m *model, row reflect.Value, nulls []bool, before bool, digest string) string {
	c := pageCursor{Query: digest, ID: m.idOf(row), Before: before}
	for i, key := range o.keys {
		text := json.RawMessage("null")
		if !nulls[i] {
			text, _ = json.Marshal(key.value(row).Interface())
		}
		c.Values = append(c.Values, text)
	}
	return c.String()
}

// String returns the cursor as text that can stand in a URL.
func (c pageCursor) String() string {
	text, _ := json.Marshal(c)
	return base64.RawURLEncoding.EncodeToString(text)
}
