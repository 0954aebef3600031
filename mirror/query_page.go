package mirror

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gorm.io/gorm"

	"github.com/nawasara/nawasync"
)

// pageReader reads one page of a list.
type pageReader struct {
	repo     *repo
	base     *gorm.DB
	order    pageOrder
	from     *pagePosition // nil is before the first row
	backward bool          // read the rows before from
	limit    int           // one more than the page has

	rows  reflect.Value // a pointer to a slice
	nulls [][]bool      // for each row: the sort columns that are NULL although the row does not show it
}

// pageSegment is a part of the rows after a position that follow each other in the order. One index on the sort
// columns finds the rows of a segment in order.
type pageSegment struct {
	where []pageCondition
	from  int // the first sort column that is not fixed
	some  int // the sort column that is known to have a value, or -1
}

type pageCondition struct {
	text string
	args []any
}

// read reads the page's rows and one more if there is one. It begins a statement for each segment until it has
// enough.
func (p *pageReader) read() error {
	p.rows = reflect.New(reflect.SliceOf(p.repo.model.schema.ModelType))
	for _, s := range p.segments() {
		left := p.limit - p.rows.Elem().Len()
		if left == 0 {
			break
		}
		query := p.base.Session(&gorm.Session{})
		for _, c := range s.where {
			query = query.Where(c.text, c.args...)
		}
		query = query.Order(p.orderBy(s)).Limit(left)
		if err := p.readInto(query); err != nil {
			return err
		}
	}
	return nil
}

// readInto appends the rows of a statement.
func (p *pageReader) readInto(query *gorm.DB) error {
	columns := []string{"*"}
	for i, key := range p.order.keys {
		if key.zeroMayBeNull() {
			columns = append(columns, "("+key.quoted+" IS NULL) AS "+nullFlag(i))
		}
	}
	if len(columns) > 1 {
		query = query.Select(strings.Join(columns, ", "))
	}
	return p.repo.model.readRows(query, p.rows, func(values map[string]any) {
		nulls := make([]bool, len(p.order.keys))
		for i := range nulls {
			nulls[i] = isTrue(values[nullFlag(i)])
		}
		p.nulls = append(p.nulls, nulls)
	})
}

func nullFlag(i int) string { return fmt.Sprintf("nawasync_null_%d", i) }

// isTrue reports whether a boolean of a database is true.
func isTrue(value any) bool {
	switch value := value.(type) {
	case bool:
		return value
	case int64:
		return value != 0
	case []byte:
		return string(value) == "1"
	}
	return false
}

// segments returns the segments in reading order.
func (p *pageReader) segments() []pageSegment {
	keys := p.order.keys
	if p.from == nil {
		if len(keys) == 0 || !keys[0].nullable {
			return []pageSegment{{some: -1}}
		}
		return []pageSegment{
			{where: []pageCondition{{text: keys[0].quoted + " IS NOT NULL"}}},
			{where: []pageCondition{{text: keys[0].quoted + " IS NULL"}}, from: 1, some: -1},
		}
	}
	list := []pageSegment{{where: append(p.fixed(len(keys)), p.beyondID()), from: len(keys), some: -1}}
	for i := range slices.Backward(keys) {
		list = append(list, p.beyond(i)...)
	}
	return list
}

// fixed returns the conditions that the first n sort columns have the position's values.
func (p *pageReader) fixed(n int) (list []pageCondition) {
	for i, key := range p.order.keys[:n] {
		if p.from.values[i] == nil {
			list = append(list, pageCondition{text: key.quoted + " IS NULL"})
		} else {
			list = append(list, pageCondition{key.quoted + " = ?", []any{p.from.values[i]}})
		}
	}
	return list
}

// beyondID returns the condition on the id of rows that have all values of the position.
func (p *pageReader) beyondID() pageCondition {
	compare := p.compare(p.order.idDescending)
	if p.from.before != p.backward { // the row itself lies beyond the position
		compare += "="
	}
	return pageCondition{p.repo.quote("id") + " " + compare + " ?", []any{p.from.id}}
}

// compare returns the operator for what lies beyond a value.
func (p *pageReader) compare(descending bool) string {
	if descending != p.backward {
		return "<"
	}
	return ">"
}

// beyond returns the segments of rows that have the position's values in the first i sort columns, and lie beyond
// it in the next one. NULL comes last.
func (p *pageReader) beyond(i int) (list []pageSegment) {
	key, value := p.order.keys[i], p.from.values[i]
	with := func(c pageCondition) []pageCondition { return append(p.fixed(i), c) }
	switch {
	case value != nil:
		list = append(list, pageSegment{where: with(pageCondition{key.quoted + " " + p.compare(key.descending) + " ?", []any{value}}), from: i, some: i})
		if key.nullable && !p.backward {
			list = append(list, pageSegment{where: with(pageCondition{text: key.quoted + " IS NULL"}), from: i + 1, some: -1})
		}
	case p.backward:
		list = append(list, pageSegment{where: with(pageCondition{text: key.quoted + " IS NOT NULL"}), from: i, some: i})
	}
	return list
}

// orderBy returns the order of a segment.
func (p *pageReader) orderBy(s pageSegment) string {
	var terms []string
	for i, key := range p.order.keys {
		if i >= s.from {
			terms = append(terms, p.orderTerm(key, key.nullable && i != s.some))
		}
	}
	return strings.Join(append(terms, p.repo.quote("id")+p.direction(p.order.idDescending)), ", ")
}

func (p *pageReader) direction(descending bool) string {
	if descending != p.backward {
		return " DESC"
	}
	return ""
}

// orderTerm returns the term of a column. Where a database has NULL last by itself, the term is one that an
// index has.
func (p *pageReader) orderTerm(key sortKey, nullable bool) string {
	term := key.quoted + p.direction(key.descending)
	switch {
	case !nullable:
	case p.base.Name() != "mysql" && p.backward:
		term += " NULLS FIRST"
	case p.base.Name() != "mysql":
		term += " NULLS LAST"
	case !key.descending:
		term = key.quoted + " IS NULL" + p.direction(false) + ", " + term
	}
	return term
}

// page returns the rows that were read as a page.
func (p *pageReader) page(digest string) rowPage {
	out := rowPage{items: p.rows}
	items := p.rows.Elem()
	further := items.Len() == p.limit
	if further {
		items.SetLen(p.limit - 1)
	}
	if p.backward {
		swap := reflect.Swapper(items.Interface())
		for i, j := 0, items.Len()-1; i < j; i, j = i+1, j-1 {
			swap(i, j)
		}
		p.nulls = p.nulls[:items.Len()]
		slices.Reverse(p.nulls)
	}
	if n := items.Len(); n > 0 {
		out.prev = p.order.cursorAt(p.repo.model, items.Index(0), p.nulls[0], true, digest)
		out.next = p.order.cursorAt(p.repo.model, items.Index(n-1), p.nulls[n-1], false, digest)
	}
	switch {
	case p.backward && !further:
		out.prev = ""
	case !p.backward && !further:
		out.next = ""
	}
	if p.from == nil {
		out.prev = ""
	}
	return out
}

// between returns the page between two others that has no rows any more: the page after it and the one before begin at its cursor.
func (p *rowPage) between(q nawasync.Query) {
	if p.items.Elem().Len() == 0 {
		p.next, p.prev = q.Before, q.After
	}
}
