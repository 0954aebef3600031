package query

import "github.com/nawasara/nawasync/tracker"

// checkSize returns an error if the term has too many values or follows too many terms. texts is the
// number of values of the terms of error and text, with this one.
func (t queryTerm) checkSize(line string, before, texts int) error {
	hint := newMessage("split the query into several searches")
	switch {
	case before == tracker.MaxTerms:
		return &Error{line, t.at, newMessage("the query has more than %d terms", tracker.MaxTerms), hint}
	case t.field == "id" && len(t.values) <= tracker.MaxTermIDs:
		return nil
	case len(t.values) > tracker.MaxTermValues:
		return &Error{line, t.at, newMessage("%s: there are %d values; the maximum is %d", t.field, len(t.values), tracker.MaxTermValues), hint}
	case texts > tracker.MaxTermValues:
		return &Error{line, t.at, newMessage("the query searches for %d texts; the maximum is %d", texts, tracker.MaxTermValues), hint}
	}
	return nil
}
