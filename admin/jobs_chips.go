package admin

import (
	"strconv"

	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/admin/internal/query"
	"github.com/nawasara/nawasync/tracker"
)

// chip is a term of the query, with the URL of the list without the term.
type chip struct{ text, url string }

// The most that a chip shows of a term. The query has the rest.
const (
	chipValues = 4
	chipLength = 32
)

// chips returns the terms of the query.
func (v *jobsView) chips() []chip {
	terms := v.query.Terms()
	list := make([]chip, len(terms))
	for i, t := range terms {
		list[i] = chip{v.chipText(t), v.link(v.query.Without(i))}
	}
	return list
}

func (v *jobsView) chipText(t query.Term) string {
	values := ""
	for i, value := range t.Values[:min(len(t.Values), chipValues)] {
		if t.Field == "status" {
			value = v.status(tracker.Status(value))
		}
		if value = t.Op + format.Cut(value, chipLength); i == 0 {
			values = value
		} else {
			values = v.Tf("%s or %s", values, value)
		}
	}
	if more := len(t.Values) - chipValues; more > 0 {
		values = v.Tf("%s or %s more", values, strconv.Itoa(more))
	}
	text := values
	if t.Field != "text" {
		text = t.Field + ": " + values
	}
	if t.Not {
		text = v.Tf("not %s", text)
	}
	return text
}
