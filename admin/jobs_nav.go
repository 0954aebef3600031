package admin

import (
	"github.com/nawasara/nawasync/admin/internal/format"
	"github.com/nawasara/nawasync/admin/internal/query"
	"github.com/nawasara/nawasync/tracker"
)

// navLink is a link in a navigation, such as a tab.
type navLink struct {
	name, url, count string
	current          bool
	status           tracker.Status // adds the sign of the status; "" adds none
}

func (v *jobsView) tabs() []navLink {
	now, every := v.query.Only("status"), v.query.With("status")
	all := navLink{name: v.T("All"), url: v.link(every), current: !v.query.Has("status")}
	if v.counted {
		all.count = v.cappedCount(v.countOf(every))
	}
	list := []navLink{all}
	for _, status := range tracker.Statuses() {
		q := v.query.With("status", string(status))
		t := navLink{name: v.status(status), status: status, url: v.link(q), current: now == string(status)}
		if v.counted {
			t.count = v.cappedCount(v.countOf(q))
		}
		list = append(list, t)
	}
	return list
}

// countOf returns the number of jobs of a query that differs from the page's by its status terms only. The
// counts are those without any status term.
func (v *jobsView) countOf(q query.Query) int {
	total := 0
	for status, n := range v.counts {
		if q.Allows("status", string(status)) {
			total += n
		}
	}
	return total
}

func (p *request) cappedCount(n int) string {
	if n > tracker.MaxCount {
		return format.Thousands(p, tracker.MaxCount) + "+"
	}
	return format.Thousands(p, int64(n))
}

// namedQueries returns links to frequently needed queries.
func (v *jobsView) namedQueries() []navLink {
	var list []navLink
	for _, named := range []struct{ name, query string }{
		{v.T("Unresolved"), "status:conflict,failed -is:repaired -is:retried"},
		{v.T("Stuck"), "is:stuck"},
		{v.T("Deleted"), "is:deleted"},
	} {
		list = append(list, navLink{name: named.name, url: v.url("/jobs", "q", named.query), current: v.queryText == named.query})
	}
	return list
}

// timeField returns the query field that the time links set: "since" for when jobs were created, or
// "ended".
func (v *jobsView) timeField() string {
	if v.query.Has("ended") {
		return "ended"
	}
	return "since"
}

func (v *jobsView) timeFieldName() string {
	if v.timeField() == "ended" {
		return v.T("Ended within")
	}
	return v.T("Created within")
}

// windows returns the time links, and a link that switches between creation and end. A link for one of the
// two keeps what the query says about the other.
func (v *jobsView) windows() []navLink {
	field, others := v.timeField(), v.query.With("ended")
	if field == "since" {
		others = v.query.With("since").With("created")
	}
	list := []navLink{{name: v.T("Any time"), url: v.link(v.anyTime()), current: !v.query.Has("since", "created", "ended")}}
	for _, w := range []string{"15m", "1h", "24h", "7d", "30d"} {
		current := v.query.Only(field) == w && (field == "ended" || !v.query.Has("created"))
		list = append(list, navLink{name: v.windowName(w), url: v.link(others.With(field, w)), current: current})
	}
	switch {
	case field == "since":
		return append(list, navLink{name: v.T("Ended"), url: v.link(others.With("ended", "24h"))})
	case !others.Has("since", "created"):
		others = others.With("since", "24h")
	}
	return append(list, navLink{name: v.T("Created"), url: v.link(others)})
}

// currentWindow returns the name of the time range.
func (v *jobsView) currentWindow() string {
	for _, w := range v.windows() {
		if w.current {
			return w.name
		}
	}
	return v.T("custom")
}

// anyTime returns the query without its time range.
func (v *jobsView) anyTime() query.Query { return v.query.With("since").With("created").With("ended") }
