// Package query reads the query lines of the lists, and turns them into searches.
package query

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Query is a parsed query line: what a list shows, and what a bulk act or an export
// covers. Its text is canonical: two lines that mean the same have one text.
type Query struct {
	terms []queryTerm
}

// queryTerm is one condition of a query line.
type queryTerm struct {
	field  string
	values []string
	op     string // ">" or "<"
	not    bool
	at     int // where it stands in the line, in bytes
}

// Error is a term that cannot be answered. It points at its place.
type Error struct {
	Line    string
	At      int // in bytes
	Message Message
	Hint    Message
}

func (e *Error) Error() string { return e.Message.String() }

// Caret is the line's beginning up to the mistake, for the mark beneath it.
func (e *Error) Caret() string {
	return strings.Repeat(" ", len([]rune(e.Line[:min(e.At, len(e.Line))]))) + "^"
}

// fieldForm is what a term may ask about, and how its values look.
type fieldForm struct {
	name string
	form Message
}

// fields are all of them, in their canonical order.
var fields = []fieldForm{
	{"status", newMessage("queued, running, success, failed, conflict, skipped or cancelled")},
	{"is", newMessage("open, stuck, repaired or deleted")},
	{"service", Message{}},
	{"type", Message{}},
	{"instance", Message{}},
	{"action", Message{}},
	{"target", Message{}},
	{"by", Message{}},
	{"source", newMessage("manual, scheduled, event, api or retry")},
	{"class", Message{}},
	{"error", Message{}},
	{"id", newMessage("a number")},
	{"retry", newMessage("a number")},
	{"attempts", newMessage("a number, >3 or <3")},
	{"duration", newMessage("a time such as 10s, >10s or <2m")},
	{"since", newMessage("a time such as 15m, 24h or 30d")},
	{"created", newMessage("a day or a time, or two of them with .. between")},
	{"ended", newMessage("a time such as 24h, or a day, or two days or times with .. between")},
	{"text", Message{}},
}

// MaxBytes is how long a query line may be.
const MaxBytes = 2000

// Parse reads a query line. Times without an offset are in the zone.
func Parse(line string, zone *time.Location) (q Query, err error) {
	if len(line) > MaxBytes {
		return q, &Error{line[:80] + "…", 0, newMessage("the query is longer than %d bytes", MaxBytes), newMessage("ask in parts")}
	}
	s := scanner{line: strings.ToValidUTF8(line, "\uFFFD")}
	for {
		t, ok, err := s.next()
		if err != nil {
			return Query{}, err
		}
		if !ok {
			break
		}
		if t, err = t.check(s.line, zone); err != nil {
			return Query{}, err
		}
		q.terms = append(q.terms, t)
	}
	return q.ordered(), nil
}

// ordered is the query with its terms in their canonical order.
func (q Query) ordered() Query {
	rank := func(t queryTerm) int {
		return slices.IndexFunc(fields, func(f fieldForm) bool {
			return f.name == t.field
		})
	}
	slices.SortStableFunc(q.terms, func(a, b queryTerm) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a.String(), b.String()))
	})
	q.terms = slices.CompactFunc(q.terms, func(a, b queryTerm) bool { return a.String() == b.String() })
	return q
}

// String is the canonical line.
func (q Query) String() string {
	parts := make([]string, len(q.terms))
	for i, t := range q.terms {
		parts[i] = t.String()
	}
	return strings.Join(parts, " ")
}

// With is the query with a field's terms replaced; no values takes them out.
func (q Query) With(field string, values ...string) Query {
	out := Query{terms: slices.DeleteFunc(slices.Clone(q.terms), func(t queryTerm) bool { return t.field == field && !t.not })}
	if len(values) > 0 {
		values = slices.Clone(values)
		slices.Sort(values)
		out.terms = append(out.terms, queryTerm{field: field, values: slices.Compact(values)})
	}
	return out.ordered()
}

// Values are those of a field's plain term.
func (q Query) Values(field string) []string {
	for _, t := range q.terms {
		if t.field == field && !t.not && t.op == "" {
			return t.values
		}
	}
	return nil
}

// Value is Values as one text, with commas.
func (q Query) Value(field string) string { return strings.Join(q.Values(field), ",") }
