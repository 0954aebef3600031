package query

import "slices"

// Term is one condition of a query, for display. Text is the condition as the query has it.
type Term struct {
	Text   string
	Field  string // "text" for a search text
	Op     string // ">", "<" or ""
	Values []string
	Not    bool
}

// Terms returns the terms in canonical order.
func (q Query) Terms() []Term {
	list := make([]Term, len(q.terms))
	for i, t := range q.terms {
		list[i] = Term{t.String(), t.field, t.op, slices.Clone(t.values), t.not}
	}
	return list
}

// Without returns the query without the term at an index of Terms.
func (q Query) Without(i int) Query {
	return Query{terms: slices.Delete(slices.Clone(q.terms), i, i+1)}
}
