package query

import (
	"slices"
	"strings"

	"github.com/nawasara/nawasync/tracker"
)

// shown returns the index of the term that an input for the field shows, or -1: the first one that is neither
// negated nor a comparison.
func (q Query) shown(field string) int {
	return slices.IndexFunc(q.terms, func(t queryTerm) bool { return t.field == field && !t.not && t.op == "" })
}

// Input returns the text of an input for the field: the values of the term that Values returns, as a query
// has them. ParseInput is the inverse.
func (q Query) Input(field string) string {
	var list []string
	for _, value := range q.Values(field) {
		list = append(list, Quote(value, false))
	}
	return strings.Join(list, ",")
}

// ParseInput returns the values of an input. Commas separate them, and a value that contains a comma is in
// quotes. Unlike in a query, other values may have spaces.
func ParseInput(text string) (values []string) {
	for at := 0; at < len(text); at++ {
		s := scanner{line: text, at: at}
		for s.at < len(text) && isSpace(text[s.at]) {
			s.at++
		}
		end := at + strings.IndexByte(text[at:]+",", ',')
		value := strings.TrimSpace(text[at:end])
		empty := value == ""
		if s.at < len(text) && text[s.at] == '"' {
			quoted, err := s.value(false)
			for s.at < len(text) && isSpace(text[s.at]) {
				s.at++
			}
			if err == nil && (s.at == len(text) || text[s.at] == ',') {
				value, end = quoted, s.at
			}
		}
		if !empty {
			values = append(values, value)
		}
		at = end
	}
	return values
}

// Rest returns the query without the terms that inputs for the fields show.
func (q Query) Rest(fields ...string) Query {
	out := Query{terms: slices.Clone(q.terms)}
	for _, field := range fields {
		if i := out.shown(field); i >= 0 {
			out.terms = slices.Delete(out.terms, i, i+1)
		}
	}
	return out
}

// And returns the query with one more term. It returns the query unchanged if there are no values. The values
// are not checked: parse the text of the query to do so.
func (q Query) And(field string, values ...string) Query {
	if len(values) == 0 {
		return q
	}
	values = slices.Clone(values)
	slices.Sort(values)
	out := Query{terms: append(slices.Clone(q.terms), queryTerm{field: field, values: slices.Compact(values)})}
	return out.canonical()
}

// Only returns the value of the field if the query has one term of the field, with one value, and that term
// is neither negated nor a comparison. Otherwise it returns "".
func (q Query) Only(field string) string {
	value, n := "", 0
	for _, t := range q.terms {
		if t.field == field && !t.not {
			n++
			if t.op == "" && len(t.values) == 1 {
				value = t.values[0]
			}
		}
	}
	if n != 1 {
		return ""
	}
	return value
}

// Named returns the values of all terms of a field, also of negated ones.
func (q Query) Named(field string) (values []string) {
	for _, t := range q.terms {
		if t.field == field {
			values = append(values, t.values...)
		}
	}
	return values
}

// Has reports whether the query has a term of one of the fields that is not negated.
func (q Query) Has(fields ...string) bool {
	return slices.ContainsFunc(q.terms, func(t queryTerm) bool { return !t.not && slices.Contains(fields, t.field) })
}

// Allows reports whether the terms of a field, which is status, service, type, instance or action, allow a
// value. is:open is a term of the status.
func (q Query) Allows(field, value string) bool {
	for _, t := range q.terms {
		switch {
		case t.field == field && slices.Contains(t.values, value) == t.not:
			return false
		case field == "status" && t.field == "is" && t.values[0] == "open" && tracker.Status(value).Terminal() != t.not:
			return false
		}
	}
	return true
}

// Parts returns the query of an error in three parts, the middle one of which is wrong. It is "" if something
// is missing. Line breaks and tabs are shown as spaces.
func (e *Error) Parts() (before, wrong, after string) {
	at := min(e.At, len(e.Line))
	s := scanner{line: e.Line, at: at}
	if at < len(e.Line) && !isSpace(e.Line[at]) {
		if _, _, err := s.next(); err != nil {
			s.at = len(e.Line)
		}
	}
	clean := strings.NewReplacer("\n", " ", "\r", " ", "\t", " ").Replace
	return clean(e.Line[:at]), clean(e.Line[at:s.at]), clean(e.Line[s.at:])
}

// Column returns the place of the mistake as people count it: 1 is the first character.
func (e *Error) Column() int { return len([]rune(e.Line[:min(e.At, len(e.Line))])) + 1 }
