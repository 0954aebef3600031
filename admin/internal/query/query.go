// Package query parses the queries of the job list and turns them into searches of the store.
package query

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Query is a parsed query. It selects the jobs of a list, an export or a bulk run. Its text is
// canonical: two queries that differ only in the order or the spelling of their terms have the same
// text.
type Query struct {
	terms []queryTerm
}

// queryTerm is one condition of a query.
type queryTerm struct {
	field  string
	values []string
	op     string // ">", "<" or ""
	not    bool
	at     int // byte offset in the query's text
}

// Error reports an invalid query and the position of the mistake.
type Error struct {
	Line    string // the text of the query
	At      int    // byte offset of the mistake
	Message Message
	Hint    Message
}

func (e *Error) Error() string { return e.Message.String() }

// Caret returns a line that points at the mistake when it is shown below the query's text.
func (e *Error) Caret() string {
	return strings.Repeat(" ", len([]rune(e.Line[:min(e.At, len(e.Line))]))) + "^"
}

// fieldSpec is a field that terms can name. form describes the allowed values; an
// empty form allows any text.
type fieldSpec struct {
	name string
	form Message
}

// fields lists all fields in their canonical order.
var fields = []fieldSpec{
	{"status", newMessage("queued, running, success, failed, conflict, skipped or cancelled")},
	{"is", newMessage("open, stuck, repaired, retried or deleted")},
	{"service", Message{}},
	{"type", Message{}},
	{"instance", Message{}},
	{"action", Message{}},
	{"target", Message{}},
	{"by", Message{}},
	{"source", newMessage("manual, scheduled, event, api or retry")},
	{"class", Message{}},
	{"error", Message{}},
	{"group", newMessage("other, or the 16 hexadecimal digits of an error group")},
	{"id", newMessage("a number")},
	{"retry", newMessage("a number")},
	{"run", newMessage("a number")},
	{"attempts", newMessage("a number, >3 or <3")},
	{"duration", newMessage("a duration such as 10s, >10s or <2m")},
	{"since", newMessage("a duration such as 15m, 24h or 30d")},
	{"created", newMessage("a day or time, or two with .. between them, such as 2026-05-01..2026-05-03")},
	{"ended", newMessage("a duration such as 24h, a day such as 2026-05-01, or a range such as 2026-05-01..2026-05-03")},
	{"text", Message{}},
}

// MaxBytes is the maximum length of a query's text.
const MaxBytes = 2000

// Parse parses a query. Times without an offset are in the zone. The error is an *Error.
func Parse(line string, zone *time.Location) (q Query, err error) {
	if len(line) > MaxBytes {
		begin := strings.ToValidUTF8(line[:80], "") + "…"
		return q, &Error{begin, 0, newMessage("the query is longer than %d bytes", MaxBytes), newMessage("split the query into several searches")}
	}
	s := scanner{line: strings.ToValidUTF8(line, "\uFFFD")}
	texts := 0 // values that are searched for in texts
	for {
		t, ok, err := s.next()
		if err != nil {
			return Query{}, err
		}
		if !ok {
			break
		}
		if t, err = t.validate(s.line, zone); err != nil {
			return Query{}, err
		}
		if t.field == "error" || t.field == "text" {
			texts += len(t.values)
		}
		if err := t.checkSize(s.line, len(q.terms), texts); err != nil {
			return Query{}, err
		}
		q.terms = append(q.terms, t)
	}
	return q.canonical(), nil
}

// canonical returns the query with its terms in canonical order and without duplicates.
func (q Query) canonical() Query {
	rank := func(t queryTerm) int {
		return slices.IndexFunc(fields, func(f fieldSpec) bool { return f.name == t.field })
	}
	slices.SortStableFunc(q.terms, func(a, b queryTerm) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a.String(), b.String()))
	})
	q.terms = slices.CompactFunc(q.terms, func(a, b queryTerm) bool { return a.String() == b.String() })
	return q
}

// String returns the canonical text.
func (q Query) String() string {
	parts := make([]string, len(q.terms))
	for i, t := range q.terms {
		parts[i] = t.String()
	}
	return strings.Join(parts, " ")
}

// With returns a copy of the query in which one term for values replaces all terms of field that
// are not negated. If there are no values, With only removes the terms.
func (q Query) With(field string, values ...string) Query {
	out := Query{terms: slices.DeleteFunc(slices.Clone(q.terms), func(t queryTerm) bool { return t.field == field && !t.not })}
	if len(values) > 0 {
		values = slices.Clone(values)
		slices.Sort(values)
		out.terms = append(out.terms, queryTerm{field: field, values: slices.Compact(values)})
	}
	return out.canonical()
}

// Values returns the values of the field's first term that is neither negated nor a comparison.
func (q Query) Values(field string) []string {
	if i := q.shown(field); i >= 0 {
		return q.terms[i].values
	}
	return nil
}

// Value returns Values, joined with commas.
func (q Query) Value(field string) string { return strings.Join(q.Values(field), ",") }
